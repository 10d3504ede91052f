"""What Gradescope is told: a SubmissionResult as the documented results.json.

https://gradescope-autograders.readthedocs.io/en/latest/specs/
"""

import json
import math
import re

from tito.services.files import atomic_write
from tito.services.grading.book.results import counted
from tito.services.words import number

# of tests whose text stays with the instructor. Tests that are "hidden" for ever keep no total from being shown
VISIBILITIES = ("after_due_date", "after_published", "hidden")
SHOWN = {"after_due_date": "after the due date", "after_published": "with the grades", "hidden": "to instructors only"}
# of results.json, in which a database cannot keep them
UNKEPT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
EXPLAINED = {
    "missing": "Nothing was graded:",
    "unreadable": "Your file could not be read as a notebook, so that nothing in it could be graded:",
    "ungraded": "This is no verdict on your answers. The autograder failed: tell your instructor to run it again.",
}


def document(result, *, visibility, second_try, version=None, written=(), seconds=0.0):
    """results.json of a SubmissionResult, as a dictionary.

    visibility: of the withheld tests, one of VISIBILITIES. second_try: whether the better of both scores counts.
    version: of the module. written: grade_ids of the answers that a person grades. seconds: of the whole run.
    """
    tests, numbers, places = [], {}, {}
    for cell in result.cells:
        question = numbers.setdefault(cell.question, len(numbers) + 1)
        places[question] = places.get(question, 0) + 1
        tests.append(_test(cell, f"{question}.{places[question]}", visibility, second_try))
    return _document(
        score=sum(one["score"] for one in tests),
        output=_said(result, visibility, second_try, written),
        tests=tests,
        seconds=seconds,
        about={"module": result.module, "status": result.status, "isolation": result.isolation, "version": version},
    )


def failure(module, message, *, seconds=0.0, status="ungraded"):
    """results.json where nothing was scored. status: "missing" where that is the submission's doing."""
    output = f"{EXPLAINED[status]}\n{message}"
    return _document(score=0, output=output, tests=[], seconds=seconds, about={"module": module, "status": status})


def write(path, found):
    """Put a document at `path`; without its tests' texts where the disk has no room for them."""
    without = {**found, "tests": [{**one, "output": ""} for one in found["tests"]]}
    for one in (found, without):
        try:
            atomic_write(path, json.dumps(one, allow_nan=False, indent=1))
            return
        except OSError:
            if one is without:
                raise


def _document(*, score, output, tests, seconds, about):
    return {
        "score": _points(score),
        "execution_time": round(seconds, 1),
        "output": _text(output),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": about,
        "tests": tests,
    }


def _test(cell, place, visibility, second_try):
    points = counted(cell, second_try)
    said = [cell.message, cell.where]
    if points > cell.points:
        said.append(f"first try {number(cell.points)}, the second, beside the course's earlier answers, counts")
    if cell.reference:
        said.append(f"beside the course's {', '.join(cell.reference)}")
    about = cell.question or "the module as a whole"
    return {
        "name": _text(f"{about}: {'withheld test' if cell.hidden else cell.grade_id}"),
        "number": place,
        "score": _points(points),
        "max_score": _points(cell.max_points),
        "status": "passed" if points == cell.max_points else "failed",
        "output": _text("\n".join(filter(None, said))),
        "output_format": "text",
        "visibility": visibility if cell.hidden else "visible",
        "extra_data": {"grade_id": cell.grade_id, "status": cell.status, "seconds": round(cell.seconds, 3)},
    }


def _said(result, visibility, second_try, written):
    """The text about the whole submission. Nothing in it depends on what a withheld test came to."""
    lines = []
    if result.status in EXPLAINED:
        lines += [EXPLAINED[result.status], result.detail, ""]
    lines += [f"{one}." for one in result.warnings]
    shown = [cell for cell in result.cells if not cell.hidden]
    withheld = [cell for cell in result.cells if cell.hidden]
    points, most = sum(counted(cell, second_try) for cell in shown), sum(cell.max_points for cell in shown)
    if shown:
        lines.append(f"Visible tests: {number(points)} of {number(most)} points.")
    if withheld:
        worth = number(sum(cell.max_points for cell in withheld))
        lines.append(f"Withheld tests: {worth} points, shown {SHOWN[visibility]}.")
    if written:
        count = len(written)
        lines.append(f"{count} answer{'s' if count > 1 else ''} in words: graded by a person, not here.")
    return "\n".join(lines)


def _points(value):
    """A number as JSON has it."""
    value = float(value)
    if not math.isfinite(value):
        raise ValueError(f"{value} points")
    return int(value) if value.is_integer() else round(value, 6)


def _text(text):
    """`text` without what JSON or a database does not keep."""
    return UNKEPT.sub("\ufffd", text).encode("utf-8", "replace").decode("utf-8")
