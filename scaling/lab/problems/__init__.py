"""What the laboratory trains."""
