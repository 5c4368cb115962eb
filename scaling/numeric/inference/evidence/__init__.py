"""What is known, and how it is read: optima, valleys, cells."""
