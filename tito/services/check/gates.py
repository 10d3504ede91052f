"""The gates in their order, the validators of each, and a run over some of them.

A validator is a function of a Checked that yields a Breach for everything that is wrong. One that cannot run here
(a program is missing) says so, which is no finding and no success.
"""

import importlib
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tito.catalog import read_catalog, read_milestones
from tito.errors import ProjectError, TitoError, UsageError
from tito.services import notebooks, rules
from tito.services.files import atomic_write

PLACE = re.compile(r"(?P<file>[^:]+?)(?::(?P<line>\d+))?(?: \((?P<cell>.+)\))?")
RECORD = "check.json"  # how long each took last, in .tito


@dataclass(frozen=True)
class Checked:
    """What is looked at. work: a folder for what a validator makes, gone afterwards; jobs: how many may run at once."""

    project: object
    catalog: object
    milestones: object
    work: Path
    jobs: int = 1
    _kept: dict = field(default_factory=dict)

    def label(self, path):
        return self.project.relative(path)

    def text(self, path):
        """The text of a file, "" where it is missing: `sources` says so."""
        return Path(path).read_text(encoding="utf-8") if Path(path).is_file() else ""

    def source(self, module):
        """The module's source, read once for all validators; none of them changes it."""
        return self._once(("source", module.name), lambda: notebooks.load(self.project, module.percent))

    def problems(self, module):
        """Every breach of the conventions of a percent source."""
        return self._once(("problems", module.name), lambda: rules.check(self.source(module), module, self.catalog))

    def _once(self, key, make):
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


@dataclass(frozen=True)
class Breach:
    """Something that is wrong. file: as typed from the root; line: None for the whole file; fix: what to do."""

    file: str
    line: int | None
    what: str
    fix: str


class NotHere(Exception):
    """A validator cannot run on this machine. The text says what is missing."""


class NotDecided(Exception):
    """A validator measured, and a clock on this machine decides nothing. The text says what and why."""


@dataclass(frozen=True)
class Validator:
    """name, gate: as typed; about: what it looks at. The function lies in the file of the gate, under the name."""

    gate: str
    name: str
    about: str

    def run(self, checked):
        """Yield each Breach as it is found."""
        home = importlib.import_module(f"{__package__}.{self.gate}")
        yield from getattr(home, self.name.replace("-", "_"))(checked)


VALIDATORS = (
    Validator(
        "educational", "times", "hours in module.toml, READMEs, the path and the notebook's parts agree and add up"
    ),
    Validator("educational", "difficulty", "ratings in module.toml, READMEs and the path agree"),
    Validator(
        "educational", "checkpoints", "a module of 8 hours or more has parts, each with answers and a stop behind it"
    ),
    Validator("educational", "objectives", "an objective is met by a graded cell; a cell has tests, hints and minutes"),
    Validator("implementation", "sources", "metadata, markers and export rules of every module's source"),
    Validator("implementation", "exports", "tinytorch/core is what the sources export, byte for byte, on this Python"),
    Validator(
        "testing", "patterns", "names of tests, the share of withheld points, messages that say what was expected"
    ),
    Validator("testing", "strength", "the reference earns everything, the stub nothing, mutants lose points as stated"),
    Validator("package", "builds", "wheel and sdist build and install, oldest and newest; tinytorch needs NumPy alone"),
    Validator("package", "answers", "no answer in a workspace, a release folder or the wheel (of the site: site)"),
    Validator("documentation", "links", "links, anchors, commands and options that any page names exist"),
    Validator("documentation", "site", "the site builds without a warning and passes its test in a browser"),
    Validator("systems", "speed", "times and memory beside PyTorch within their bounds, in a run of about two minutes"),
)
GATES = tuple(dict.fromkeys(one.gate for one in VALIDATORS))


@dataclass(frozen=True)
class Checkup:
    """What a validator came to. findings: () where all is well; not_run, undecided: why it could not run (to its end,
    where there are findings), or not decide, "" else.
    """

    validator: Validator
    findings: tuple = ()
    seconds: float = 0.0
    not_run: str = ""
    undecided: str = ""

    @property
    def status(self):
        if self.findings:
            return "failed"
        if self.not_run or self.undecided:
            return "not run" if self.not_run else "not decided"
        return "passed"


def chosen(names):
    """The validators that are meant by `names` of gates or validators, all where empty. Raises UsageError."""
    known = {*GATES, *(one.name for one in VALIDATORS)}
    for name in names:
        if name not in known:
            validators = ", ".join(one.name for one in VALIDATORS)
            raise UsageError(
                f"there is no gate and no validator {name!r}",
                f"gates: {', '.join(GATES)}; validators: {validators}",
                code="gate",
            )
    return [one for one in VALIDATORS if not names or {one.gate, one.name} & set(names)]


def check(project, names=(), *, work, jobs=1, on_start=None):
    """Yield a Checkup for each validator that `names` mean, as it ends. on_start(validator): before each.

    Raises UsageError for a name that is none, ProjectError in a workspace: only a course is released.
    """
    validators = chosen(names)
    if not project.is_course:
        raise ProjectError(
            f"{project.root} is a student's workspace: tito check looks at a course",
            "cd into the course repository, then run the command again",
            code="not-a-course",
        )
    checked = Checked(project, read_catalog(project), read_milestones(project), Path(work), jobs)
    for one in validators:
        if on_start:
            on_start(one)
        start = time.monotonic()
        found, not_run, undecided = [], "", ""  # what stops a validator takes away nothing that it found before
        try:
            for breach in one.run(checked):
                found.append(breach)
        except NotHere as error:
            not_run = str(error)
        except NotDecided as error:
            undecided = str(error)
        except TitoError as error:  # what it needs is not in order, which is a finding as well
            found.append(Breach(".", None, error.message, error.hint or "see the message"))
        seconds = round(time.monotonic() - start, 2)
        if not not_run:
            _remember(project, one, seconds)
        yield Checkup(one, tuple(found), seconds, not_run, undecided)


def last_seconds(project):
    """{name of a validator: seconds that it took when it last ran here}"""
    try:
        known = json.loads((project.state / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_record = isinstance(known, dict) and all(isinstance(one, (int, float)) for one in known.values())
    return known if is_record else {}


def _remember(project, validator, seconds):
    known = {**last_seconds(project), validator.name: seconds}
    atomic_write(project.state / RECORD, json.dumps(known, indent=1) + "\n")


def place_of(where):
    """(file, line or None, cell in words or "") of a place as rules name it, such as `a_dev.py:12 (cell 3)`."""
    found = PLACE.fullmatch(where)
    return found["file"], found["line"] and int(found["line"]), found["cell"] or ""


def failed_tests(checked, path):
    """(a line for each test that fails in the file `path`, whether some were skipped)."""
    command = [sys.executable, "-m", "pytest", str(path), "-q", "--tb=line", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=checked.project.root, capture_output=True, encoding="utf-8", check=False)
    lines = done.stdout.strip().splitlines() or [done.stderr.strip() or "pytest says nothing"]
    failed = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
    return (failed or lines[-1:] if done.returncode else []), bool(re.search(r"\d+ skipped", lines[-1]))


def line_of(text, found):
    """The number of the line in which `found`, a match or a place in `text`, begins."""
    place = found if isinstance(found, int) else found.start()
    return text.count("\n", 0, place) + 1
