"""Which submissions are alike beyond what the course handed out."""
