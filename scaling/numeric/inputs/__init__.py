"""Checked input: numbers, arrays, files, JSON, a tuned run."""
