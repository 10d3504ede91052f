"""The hostile corpus as a class: handed in by folders, collected, autograded, told in feedback and exported.

It happens in a course folder of its own, which is gone afterwards. Of the course it has links to the modules and the
package; the kit and the sandbox are the course's own.
"""

import csv
import tempfile
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from tito.errors import TitoError
from tito.services.grading.book import records
from tito.services.grading.book.course import require_course
from tito.services.grading.intake.collect import collect
from tito.services.grading.proof import attacks
from tito.services.grading.release import release
from tito.services.grading.reports.feedback import feedback
from tito.services.grading.reports.score_tables import export
from tito.services.grading.roster.class_list import import_roster
from tito.services.grading.scoring import kits
from tito.services.grading.scoring.autograde import Options, autograde
from tito.services.grading.scoring.executors import Threads

LINKED = ("modules", "tinytorch", "tito", "pyproject.toml")
TAKEN = ("collected", "unchanged")


@dataclass(frozen=True)
class Came:
    """What one attack came to on the whole way. problems: in words; seconds: until it was recorded."""

    status: str
    problems: tuple
    seconds: float


class Executor(Threads):
    """Scores for another course folder with the kit and the sandbox of `project`. tasks: {student: its Task}, of which
    the limits count.
    """

    def __init__(self, project, isolation, tasks):
        self.project, self.isolation, self.tasks = project, isolation, tasks

    def sandbox(self, project):
        return self.isolation

    def kit(self, project, catalog, module, *, sandbox, source=None, view=None):
        return kits.make(self.project, catalog, module, sandbox=sandbox, source=source, view=view)

    def run(self, kit, tasks, **options):
        limited = (self._limited(task) for task in tasks)
        return super().run(kit, limited, **options)

    def _limited(self, task):
        own = self.tasks[task.student]
        return replace(task, limits=own.limits, cell_seconds=own.cell_seconds)


def go(project, catalog, module, corpus, isolation, task, *, jobs, on_done=None):
    """{name: Came} of the attacks `corpus` on `module`. task(attack, bytes): the Task of an attack."""
    with tempfile.TemporaryDirectory(prefix="tito-rehearsal-") as folder, ExitStack() as stack:
        home = _course(project, Path(folder) / "course")
        (released,) = release(home, catalog, [module])
        source = require_course(home).source / module.name / module.notebook.name
        with kits.make(project, catalog, module, sandbox=isolation, source=source) as kit:
            solved = kit.source
        traps, tokens, tasks = {}, {}, {}
        for attack in corpus:
            trap, token = stack.enter_context(attacks.Trap()), uuid.uuid4().hex
            data = attacks.submission(attack, solved, trap.values(project, token))
            traps[attack.name], tokens[attack.name], tasks[attack.name] = trap, token, task(attack, data)
            path = Path(folder) / "inbox" / attack.name / module.name / module.notebook.name
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
        _class_list(home, folder, corpus)
        collected = {row.student: row for row in collect(home, catalog, Path(folder) / "inbox").rows}
        start = time.monotonic()
        done = autograde(
            home, catalog, module, Options(jobs=jobs), executor=Executor(project, isolation, tasks), on_done=on_done
        )
        rows, took = {row.student: row for row in done.rows}, time.monotonic() - start
        told = _told(home, module, rows)
        found = {}
        for attack in corpus:
            name = attack.name
            record = records.read_record(require_course(home), module, name)
            status, problems = _judged(attack, record, collected.get(name), solved)
            problems += told(name, record, traps[name].secret, attacks.secret_lines(solved))
            problems += traps[name].sprung("", tokens[name])
            seconds = record.result.seconds if record else took
            found[name] = Came(status, tuple(problems), seconds)
        return found


def _course(project, root):
    root.mkdir()
    for name in LINKED:
        (root / name).symlink_to(project.root / name)
    return replace(project, root=root)


def _class_list(home, folder, corpus):
    path = Path(folder) / "class.csv"
    path.write_text("id,name\n" + "".join(f"{attack.name},{attack.name}\n" for attack in corpus), encoding="utf-8")
    import_roster(home, [path])


def _judged(attack, record, row, solved):
    """(status, problems) by what was recorded; a file that collecting refuses as no notebook is unreadable as well."""
    if record is not None:
        return record.result.status, attacks.judge(attack, record.result, solved)
    if "unreadable" in attack.status and row is not None and row.status not in TAKEN:
        return "unreadable", []
    if "unreadable" in attack.status and row is None:
        return "unreadable", []
    return "missing", [f"it was not graded: {row.detail if row is not None else 'it was not collected'}"]


def _told(home, module, rows):
    """A function that says what is wrong with what students and the school are told of a submission."""
    pages = feedback(home, module).pages
    refused, exported = "", {}
    try:
        lines = csv.DictReader(export(home, [module]).text.splitlines())
        exported = {line["student"]: line["score"] for line in lines}
    except TitoError as error:
        refused = error.message

    def problems(name, record, secret, lines):
        if record is None:
            return []
        if record.result.status == "ungraded":
            return [f"it is ungraded: {record.result.detail}"]
        found = []
        page = pages[name].read_text(encoding="utf-8") if name in pages else ""
        if not page:
            found.append("there is no feedback page")
        found += [f"the feedback page shows a line of a hidden test: {line}" for line in lines if line in page][:3]
        if secret in page:
            found.append("the feedback page shows a file of the instructor")
        due = rows[name].second_points
        if refused:
            return found  # because of others, which say so
        if not exported.get(name) or float(exported[name]) != round(due, 4):
            found.append(f"the export does not hold its {due:g} points")
        return found

    return problems
