"""What enters, checked at the edge: numbers, arrays, files, JSON, a tuned run."""
