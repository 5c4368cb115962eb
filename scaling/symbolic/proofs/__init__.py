"""How statements are proved, and how errors are measured."""
