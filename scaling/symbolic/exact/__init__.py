"""Part F: exact expectations over Gaussian gradient noise."""
