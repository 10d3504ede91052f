"""The course's own release check: gates of validators, each of which can fail, over the course repository itself."""
