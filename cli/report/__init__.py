"""What the commands print: JSON values and prose."""
