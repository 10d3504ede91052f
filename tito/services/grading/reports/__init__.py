"""What is told: standings, feedback, exports, the class on a page."""
