"""The programs that fork a child for each submission: a child knows nothing of another one, and none is left behind."""

import os
from pathlib import Path

import pytest
from one_notebook import HandedIn, notebook

from tito.services.grading.sandbox.find import Limits
from tito.services.grading.scoring.session import Session


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    with notebook(tmp_path_factory.mktemp("kit")) as made:
        yield made


def run_test(kit, source, seconds=30, *, left=None):
    """What a test says that runs alone, in a process of its own."""
    session = Session(kit, Limits(), None)
    try:
        return session.run(seconds, do="test", number=1, source=source, fetch=[])
    finally:
        session.close()
        if left is not None:
            left.append(session.outside.number)


def is_there(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_the_tests_of_one_submission_leave_behind_no_other_meets(kit):
    assert run_test(kit, "import json, numpy\nnumpy.left = json.left = 1")["status"] == "ok"
    found = run_test(kit, "import json, numpy\nassert not hasattr(numpy, 'left') and not hasattr(json, 'left')")
    assert found["status"] == "ok", found


def test_no_two_submissions_are_tested_with_the_same_numbers(kit):
    source = "import random, numpy\nraise AssertionError(repr((numpy.random.random(), random.random())))"
    first, second = (run_test(kit, source)["message"].strip("()").split(", ") for _ in range(2))
    assert first[0] != second[0] and first[1] != second[1]


def test_numpy_is_imported_before_the_first_submission(kit):
    """That import took longer than all tests of a submission."""
    source = "import sys\nassert 'numpy.random' in sys.modules"
    assert run_test(kit, source)["status"] == "ok"
    assert "numpy" in Path(f"/proc/{kit.testing.process.pid}/maps").read_text(encoding="utf-8")


@pytest.mark.parametrize("source", ["pass", "while True: pass", "import os\nos._exit(3)"])
def test_a_session_that_is_closed_leaves_no_process_behind(kit, source):
    left = []
    run_test(kit, source, 1, left=left)
    assert not is_there(left[0]), "not even one that nobody has waited for"


def test_another_submission_does_not_notice_that_the_program_has_ended(kit):
    run_test(kit, "pass")
    before = kit.testing.process
    before.kill()
    before.wait()
    assert run_test(kit, "pass")["status"] == "ok"
    assert kit.testing.process is not before


def test_all_children_end_with_tito(kit):
    """A socket whose other end is gone is all that a program notices of a tito that was killed."""
    session = Session(kit, Limits(), None)
    try:
        assert is_there(session.outside.number)
        kit.testing.control.close()
        kit.testing.process.wait(10)
        assert not is_there(session.outside.number)
    finally:
        session.close()


def test_a_reader_is_waited_for(kit):
    with kit.readers.open(HandedIn(kit).task().notebook, "x.ipynb"):
        number = kit.readers.process.pid
        children = Path(f"/proc/{number}/task/{number}/children").read_text(encoding="ascii").split()
        assert len(children) == 1
    assert not is_there(int(children[0]))
