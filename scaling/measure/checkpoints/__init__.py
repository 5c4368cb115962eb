"""Second moments from checkpoints, which are files from strangers: decoded, never executed."""
