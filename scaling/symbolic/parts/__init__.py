"""The argument, in its order: one module for each part of the theory."""
