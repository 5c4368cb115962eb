"""Whole recipes at another batch size, and schedules."""
