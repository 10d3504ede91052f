"""Grading: nbgrader's folders, metadata and gradebook, with the running of submissions taken out of its hands."""
