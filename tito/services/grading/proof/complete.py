"""Whether `tito module complete` would take an answer: runs `test_name.py` on what a notebook with it exports.

Many at a time, in one process that forks. Like the audit this is for answers that were written or made here.
"""

from dataclasses import dataclass

from tito.services import module_text, syntax
from tito.services.grading.proof import forks

CHILD = forks.CHILD.with_name("complete_child.py")
LENGTH = 200  # of a message on the terminal
SECONDS = 120  # after which a run of test_name.py is ended


@dataclass(frozen=True)
class Refusal:
    """The first test of `test_name.py` that failed, and what it said."""

    test: str
    message: str

    def __str__(self):
        said = " ".join(self.message.split())
        said = said if len(said) <= LENGTH else said[:LENGTH] + " …"
        return f"{self.test}: {said}" if self.test else said


def exported(module, cells, answers=None):
    """The text of the file that `cells` export with `answers` ({number of a cell: code}) in them; None where it does
    not parse."""
    answers = answers or {}
    codes = [
        answers.get(number, cell["source"]).removeprefix("#| export\n")
        for number, cell in enumerate(cells)
        if cell["exported"]
    ]
    return module_text.module_text(module, codes) if all(map(syntax.parsed, codes)) else None


def refusals(project, catalog, module, texts, *, jobs=1, on_text=None):
    """[None, or the Refusal of the export, for every one of `texts`].

    What is refused runs a second time with nothing beside it, and is refused if it fails again: a test of time, or of
    what goes on at the same time, may fail on a busy machine. on_text(done, total): called after each. Raises
    ProjectError where the child that does all this fails.
    """
    found = _run(project, catalog, module, texts, jobs, on_text)
    doubtful = [number for number, refusal in enumerate(found) if refusal]
    again = _run(project, catalog, module, [texts[number] for number in doubtful], 1, None)
    for number, refusal in zip(doubtful, again, strict=True):
        found[number] = refusal
    return found


def _run(project, catalog, module, texts, jobs, on_text):
    if not texts:
        return []
    job = {
        "exports": texts,
        "core_file": module.core_file,
        "root": str(project.root),
        "tests": str(module.tests),
        "jobs": jobs,
        "seconds": SECONDS,
    }
    found = {}
    for finding in forks.findings(project, catalog, module, CHILD, job, len(texts)):
        found[finding["export"]] = Refusal(**finding["failure"]) if finding["failure"] else None
        if on_text:
            on_text(len(found), len(texts))
    return [found[number] for number in range(len(texts))]
