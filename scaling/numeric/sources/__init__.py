"""Where trackers and frameworks keep runs: each read into records, one a run."""
