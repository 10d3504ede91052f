"""Answers to graded cells that lie in files: `tests/grading/wrong/` and `tests/grading/right/`, a file a module.

A file holds sections, each headed by `# %% grade_id` or `# %% grade_id: what is wrong, or different`. A section is a
whole answer, or an edit of the reference's:

    # %% correlate: flips the kernel
      kh, kw = kernel.shape
    + kernel = kernel[::-1, ::-1]

`-` marks lines that go, `+` lines that come, two spaces lines that stay; a blank line stands between two edits of one
answer. How deep the reference indents its lines does not matter, and neither do its blank lines. What is to be replaced
must stand in the reference exactly once: an edit that has lost its place is an error that names it.
"""

import re
from functools import cache
from pathlib import Path

from tito.catalog import read_catalog
from tito.project import read_project
from tito.services import notebooks, syntax

ROOT = Path(__file__).resolve().parents[2]
GRADING = ROOT / "tests" / "grading"
SECTION = re.compile(r"^# %% (?P<grade_id>[^\s:]+)(?:: (?P<what>.+))?$", re.MULTILINE)
MARKS = ("- ", "+ ", "  ")


class EditError(ValueError):
    """An edit that does not apply to the reference, or applies in more than one place."""


def wrong_answers(name):
    """{grade_id: [(what is wrong, code)]} of the module called `name`."""
    return _read(GRADING / "wrong" / f"{name}.py", name)


def right_answers(name):
    """{grade_id: [(what is different or None, code)]} of the module called `name`."""
    return _read(GRADING / "right" / f"{name}.py", name)


def right_notebooks(name):
    """[{grade_id: code}]: in notebook k every cell has its k-th right answer; one with fewer starts again."""
    found = right_answers(name)
    count = max(map(len, found.values()), default=0)
    return [{cell: codes[k % len(codes)][1] for cell, codes in found.items()} for k in range(count)]


@cache
def reference_answers(name):
    """{grade_id: code} of the module's own answers, without what only nbgrader and the exporter read."""
    project = read_project(ROOT)
    node = notebooks.load(project, read_catalog(project)[name].percent).node
    return {notebooks.grade_id(cell): plain(cell.source) for cell in node.cells if notebooks.is_solution(cell)}


def plain(source):
    """The code of a cell without directives and markers of regions."""
    lines = source.split("\n")
    kept = [line for line in lines if not line.startswith("#|") and not syntax.MARKER_LINE.match(line)]
    return "\n".join(kept).strip()


def sections(text):
    """[(grade_id, what or None, body)] of a file's text, in order."""
    marks = list(SECTION.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)][: len(marks)]  # no sections, no ends
    bodies = [text[mark.end() : end].strip("\n") for mark, end in zip(marks, ends, strict=True)]
    return [(mark["grade_id"], mark["what"], body) for mark, body in zip(marks, bodies, strict=True)]


def is_edit(body):
    lines = [line for line in body.split("\n") if line.strip()]
    return bool(lines) and all(line.startswith(MARKS) for line in lines)


def edited(reference, edit):
    """The code `reference` after `edit`. Raises EditError."""
    lines = [line for line in reference.split("\n") if line.strip()]
    places = []
    for hunk in re.split(r"\n\s*\n", edit.strip("\n")):
        rows = hunk.split("\n")
        old = [row[2:] for row in rows if not row.startswith("+")]
        new = [row[2:] for row in rows if not row.startswith("-")]
        if not old or old == new:
            raise EditError(f"changes no line of the reference:\n{hunk}")
        found = [(start, depth) for start in range(len(lines)) if (depth := _depth(lines, start, old)) is not None]
        if len(found) != 1:
            raise EditError(f"applies in {len(found)} places of the reference instead of one:\n{hunk}")
        places.append((*found[0], old, new))
    places.sort(key=lambda place: place[0])
    for (start, _, old, _), (following, *_) in zip(places, places[1:], strict=False):
        if following < start + len(old):
            raise EditError(f"changes one line of the reference twice:\n{edit}")
    for start, depth, old, new in reversed(places):
        lines[start : start + len(old)] = [" " * depth + line for line in new]
    return "\n".join(lines)


def _depth(lines, start, old):
    """By how many spaces `lines` from `start` on are indented more than `old`, None where they are not the same."""
    depth = _indent(lines[start]) - _indent(old[0])
    is_there = depth >= 0 and lines[start : start + len(old)] == [" " * depth + line for line in old]
    return depth if is_there else None


def _indent(line):
    return len(line) - len(line.lstrip(" "))


@cache
def _read(path, name):
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = {}
    for grade_id, what, body in sections(text):
        place = f"{path.relative_to(ROOT)}: {grade_id}, {what}"
        reference = reference_answers(name).get(grade_id)
        if reference is None:
            raise EditError(f"{place}: {name} has no graded cell of this name")
        try:
            code = edited(reference, body) if is_edit(body) else body.strip()
        except EditError as error:
            raise EditError(f"{place}: {error}") from None
        found.setdefault(grade_id, []).append((what, code))
    return found
