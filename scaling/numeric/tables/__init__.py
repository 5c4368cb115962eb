"""Tables of runs: from files and frames to columns that have a role."""
