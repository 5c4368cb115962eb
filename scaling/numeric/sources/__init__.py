"""Readers of what trackers and frameworks keep: one record for each run."""
