"""Scoring again what was published, beside what it was: with the same version, or on the way to another one."""
