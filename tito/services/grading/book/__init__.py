"""What is kept: the course folder, nbgrader's gradebook, records and results."""
