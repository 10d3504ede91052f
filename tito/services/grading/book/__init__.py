"""What is kept: the course folder and its lock, nbgrader's gradebook, records and results."""
