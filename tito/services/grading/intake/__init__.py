"""What came in, and when: archives, whose and of which module, attempts, due dates."""
