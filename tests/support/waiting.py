"""Waiting for what another process does."""

import time


def until(look, what, seconds=60):
    """What `look` returns once it is true. what: as the failure names it, after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.1)
    return found
