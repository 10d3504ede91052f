"""Grading as a whole, tried out: the hostile corpus handed in by a class."""
