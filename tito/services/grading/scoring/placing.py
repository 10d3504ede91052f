"""Puts the cells of a submission in the order in which they are graded, every test as the course has it."""

from dataclasses import dataclass

from tito.services import notebooks
from tito.services.pristine import TAMPERING, Deviation, Placed, restore


@dataclass(frozen=True)
class Order:
    """placed: all cells as they are graded; changes: what was not as handed out; tampered: whether a test was not."""

    placed: tuple
    changes: tuple
    tampered: bool


def order(source, handed, tests):
    """The Order of a submission.

    source: what was submitted; handed: the notebook as it was handed out; tests: {grade_id: the test cell as the course
    has it, hidden tests included}. A test that was deleted or edited comes from there; one that was moved goes back
    behind the cells that it was handed out behind.
    """
    placed, changes = restore(source, handed)
    changes += _put_in_place(placed, handed, tests)
    for index, one in enumerate(placed):
        full = tests.get(notebooks.grade_id(one.cell))
        if full is not None:
            placed[index] = Placed(full, one.index)
    tampered = any(_is_tampering(change, tests) for change in changes)
    return Order(tuple(placed), tuple(changes), tampered)


def _is_tampering(change, tests):
    """Whether a test is not as it was handed out; one that only lost its metadata is."""
    return change.kind == "added" or (change.kind in TAMPERING and change.grade_id in tests)


def _put_in_place(placed, handed, tests):
    """Move the tests in `placed` that do not stand where they were handed out; a Deviation for each."""
    changes = []
    names = [name for cell in handed.cells if (name := notebooks.grade_id(cell))]
    for number, test in enumerate(names):
        if test not in tests:
            continue
        before, after = {*names[:number]}, {*names[number + 1 :]} - tests.keys()
        own = next(place for place, one in enumerate(placed) if notebooks.grade_id(one.cell) == test)
        last = max((place for place, one in enumerate(placed) if notebooks.grade_id(one.cell) in before), default=-1)
        # a later answer that the student moved up is no reason to move the test
        next_ones = (place for place, one in enumerate(placed) if notebooks.grade_id(one.cell) in after)
        following = min((place for place in next_ones if place > last), default=len(placed))
        if last < own < following:
            continue
        one = placed.pop(own)
        placed.insert(last + 1 - (own < last), one)
        changes.append(Deviation("moved", test, one.index))
    return changes
