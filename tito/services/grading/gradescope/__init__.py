"""Gradescope: the zip of an autograder, and what it does there with one submission."""
