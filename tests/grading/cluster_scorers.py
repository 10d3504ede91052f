"""Scorers for tests of a cluster, in a file of their own: a worker has to be able to import them."""

import os
import time

from tito.services.grading.scoring import scorer


def quick(kit, task, cancel=None):
    return scorer.unreadable(kit, task.student, "ran")


def deadly(kit, task, cancel=None):
    """Ends the worker's process for one submission, as only a fault of an interpreter or of its limits can."""
    if task.student == "eve":
        os._exit(1)
    return quick(kit, task)


def slow(kit, task, cancel=None):
    time.sleep(0.3)
    return quick(kit, task)
