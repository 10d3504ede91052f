"""Compares the submissions of a module, and writes what is alike on a page: a place to look, and no verdict.

copydetect, the library for this, serves only in part: it works on files and knows no notebooks, it takes the course's
own text away with a routine that is only right where no fingerprint comes twice, and attributes are names to it like
any other, so that most of NumPy looks alike. Tokens are Pygments'.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from tito.errors import ProjectError, UsageError, WorkError
from tito.services import notebooks, pages
from tito.services.files import atomic_write
from tito.services.grading.book.course import require_course
from tito.services.grading.intake.received import students_with_submissions, submitted_notebook
from tito.services.grading.scoring.executors import Inline
from tito.services.grading.similarity import fingerprints

LEAST = 4  # fingerprints that a pair has to share
COMMON = 1 / 3  # of a class: what more than that have is a common way of writing it, and no sign
SMALL = 9  # up to so many submissions nothing is common
SHOWN = 25  # pairs whose texts are on the page


@dataclass(frozen=True)
class ComparedProgram:
    """What somebody wrote for a module. cells: [(grade_id or "", code)]; equal: the answers that are the course's own
    but for names, comments and layout. current: of this term. No two programs of a comparison have the same who.
    """

    who: str
    cells: tuple = field(repr=False, compare=False)  # not hashed again for each fingerprint that a pair shares
    equal: frozenset = field(default=frozenset(), compare=False)
    current: bool = True


@dataclass(frozen=True)
class Pair:
    """Two programs that are alike. shared: fingerprints that both have; part: of the smaller one's own, 0 to 1. equal:
    the answers in which both are the course's own.
    """

    one: ComparedProgram
    other: ComparedProgram
    shared: int
    part: float
    equal: tuple


@dataclass(frozen=True)
class Comparison:
    """pairs: the most alike first. shares: {answer: the part of the class in which it equals the reference}. unread:
    {who: why} of submissions that could not be read.
    """

    module: str
    path: Path
    submissions: int
    pairs: tuple
    shares: dict
    unread: dict


def similarity(project, catalog, module, *, against=None, top=100, on_done=None):
    """Compare all submissions of `module` with each other, and with those in the folder `against`. Returns Comparison.

    on_done(done, total): called after each that was read. Raises UsageError where there are fewer than two.
    """
    course = require_course(project)
    files = {student: submitted_notebook(course, module, student) for student in _students(course, module)}
    files = {student: path for student, path in files.items() if path}
    others = _others(against, module) if against else {}
    if len(files) + len(others) < 2 or not files:
        raise UsageError(
            f"{len(files)} submission of {module.name}: there is nothing to compare it with"
            if files
            else f"nothing was submitted for {module.name}",
            "tito grade collect PATH, or --against FOLDER",
            code="too-few",
        )
    programs, unread, known = _read(project, catalog, module, files, others, on_done)
    pairs = _pairs(programs, known)[:top]
    path = course.root / "similarity" / f"{module.name}.html"
    current = [one for one in programs if one.current]
    counts = Counter(name for one in current for name in one.equal)
    shares = {name: counts[name] / len(current) for name in sorted(known.answers)} if current else {}
    done = Comparison(module.name, path, len(programs), tuple(pairs), shares, unread)
    atomic_write(path, _page(done, known))
    return done


def _students(course, module):
    return sorted(students_with_submissions(course, module))


def _others(folder, module):
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder", "name a folder with the notebooks of another term")
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.ipynb"))}
    wanted = {name: path for name, path in found.items() if path.name == module.notebook.name}
    if not wanted:
        raise UsageError(f"no {module.notebook.name} lies in {folder}", "name a folder with submissions of this module")
    return {f"{folder.name}/{Path(name).parent.as_posix()}": path for name, path in wanted.items()}


# Reading.


class _Known:
    """What the course wrote. hashes: of what was handed out and of the reference; answers: {grade_id: tokens}."""

    def __init__(self, kit):
        self.handed = {cell.source.strip() for cell in kit.handed.cells}
        self.answers = {name: _texts(source) for name, source in kit.answers.items()}
        sources = [cell.source for node in (kit.handed, kit.source.node) for _, cell in notebooks.code_cells(node)]
        self.hashes = {one for source in sources for one in fingerprints.grams(fingerprints.tokens(source))}


def _texts(source):
    return [token.text for token in fingerprints.tokens(source)]


def _read(project, catalog, module, files, others, on_done):
    """([ComparedProgram], {who: why not}, _Known). It is read in a process with limits: the files are anybody's."""
    run, programs, unread = Inline(), [], {}
    everyone = [(who, path, True) for who, path in files.items()]
    everyone += [(who, path, False) for who, path in others.items()]
    with run.kit(project, catalog, module, sandbox=run.sandbox(project)) as kit:
        known = _Known(kit)
        for done, (who, path, current) in enumerate(everyone, 1):
            try:
                with kit.readers.open(path.read_bytes(), kit.notebook) as opened:
                    programs.append(_program(who, opened.read.running, known, current))
            except (WorkError, OSError) as error:
                unread[who] = str(error)
            if on_done:
                on_done(done, len(everyone))
    if not programs:
        raise ProjectError(f"no submission of {module.name} can be read", f"tito grade autograde {module.name}")
    return programs, unread, known


def _program(who, running, known, current):
    cells = [
        (one.name or "", one.source)
        for one in running
        if one.test is None and (one.name in known.answers or not one.name) and one.source.strip() not in known.handed
    ]
    equal = {name for name, source in cells if name in known.answers and _texts(source) == known.answers[name]}
    return ComparedProgram(who, tuple(cells), frozenset(equal), current)


# Comparing.


class _Printed:
    """A program's fingerprints. places: {hash: [(cell, first token)]}; lines: {cell: [line of each token]}.

    every: keep all of them, to show what is shared; else those that winnowing leaves, to find it.
    """

    def __init__(self, program, known, every=False):
        self.places, self.lines = defaultdict(list), {}
        for cell, (_, source) in enumerate(program.cells):
            found = fingerprints.tokens(source)
            self.lines[cell] = [token.line for token in found]
            hashes = fingerprints.grams(found)
            for place in range(len(hashes)) if every else fingerprints.winnow(hashes):
                if hashes[place] not in known.hashes:
                    self.places[hashes[place]].append((cell, place))

    def marked(self, shared):
        """{(cell, line)} of all that the hashes `shared` stand for."""
        return {
            (cell, line)
            for one in shared
            for cell, place in self.places[one]
            for line in self.lines[cell][place : place + fingerprints.K]
        }


def _pairs(programs, known):
    printed = {program: _Printed(program, known) for program in programs}
    holders = defaultdict(list)
    for program, one in printed.items():
        for value in one.places:
            holders[value].append(program)
    most = len(programs) * COMMON if len(programs) > SMALL else len(programs)
    common = {value for value, found in holders.items() if len(found) > most}
    shared = Counter()
    for value, found in holders.items():
        if value not in common:
            shared.update(pair for pair in combinations(found, 2) if pair[0].current or pair[1].current)
    sizes = {program: len(one.places.keys() - common) for program, one in printed.items()}
    pairs = [
        Pair(one, other, count, count / min(sizes[one], sizes[other]), tuple(sorted(one.equal & other.equal)))
        for (one, other), count in shared.items()
        if count >= LEAST
    ]
    return sorted(pairs, key=lambda pair: (-pair.part, -pair.shared, pair.one.who, pair.other.who))


# Showing.


def _page(done, known):
    return pages.render(
        "similarity.html",
        title=f"{done.module}: submissions that are alike",
        about=done,
        pairs=[_row(number, pair, done) for number, pair in enumerate(done.pairs, 1)],
        shown=[_shown(number, pair, known) for number, pair in enumerate(done.pairs[:SHOWN], 1)],
        shares=[(name, f"{100 * share:.0f} %") for name, share in done.shares.items()],
        unread=sorted(done.unread.items()),
        run=fingerprints.K + fingerprints.WINDOW - 1,
    )


def _row(number, pair, done):
    equal = ", ".join(f"{name} (as {100 * done.shares[name]:.0f} % of the class)" for name in pair.equal)
    linked = f"#pair-{number}" if number <= SHOWN else ""
    return {
        "link": linked,
        "one": pair.one.who,
        "other": pair.other.who,
        "part": f"{100 * pair.part:.0f} %",
        "shared": pair.shared,
        "equal": equal,
    }


def _shown(number, pair, known):
    printed = [_Printed(program, known, every=True) for program in (pair.one, pair.other)]
    shared = printed[0].places.keys() & printed[1].places.keys()
    sides = [
        {"who": program.who, "cells": _cells(program, one.marked(shared))}
        for program, one in zip((pair.one, pair.other), printed, strict=True)
    ]
    return {"id": f"pair-{number}", "title": f"{pair.one.who} and {pair.other.who}", "sides": sides}


def _cells(program, marked):
    """[{name, lines: [(text, whether it is shared)]}]"""
    return [
        {
            "name": name or "a cell of their own",
            "lines": [(text, (cell, number) in marked) for number, text in enumerate(source.split("\n"))],
        }
        for cell, (name, source) in enumerate(program.cells)
    ]
