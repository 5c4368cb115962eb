"""Moments of Adam's update, the laws that follow from them, and their fits."""
