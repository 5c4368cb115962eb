"""Steps against examples: the critical batch size, and how it grows."""
