"""Published measurements, see README.md for their sources."""
