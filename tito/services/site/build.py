"""Builds the site: what the cells show, the sources, the pages, and a search for answers on them. Only what changed is
made again.
"""

import importlib.util
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tito.catalog import Milestones, read_milestones
from tito.errors import ProjectError, UsageError, WorkError
from tito.services import leaks, runner, shown
from tito.services import milestones as runs
from tito.services.files import atomic_write, digest, remove_tree
from tito.services.site import page_text
from tito.services.site.sources import MATHJAX, sources

MARK = ".tinytorch-site"  # in a folder that this command made
NEEDED = ("sphinx", "myst_parser", "pydata_sphinx_theme", MATHJAX)
INSTALL = 'pip install -e ".[docs]"'
SECONDS = 900
SPHINX_PAGES = {"search.html"}
THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Site:
    """A built site. seconds: {part of the work: seconds}, among them those of each module and milestone that was run;
    changed: sources that were written again.

    kept, ran, lacking: names of the modules and milestones of which it shows what was kept, what was run for it, and
    nothing.
    """

    folder: Path
    pages: int
    changed: int
    kept: tuple
    ran: tuple
    lacking: tuple
    seconds: dict


def default_folder(project):
    return project.state / "site" / "html"


def build(project, catalog, folder=None, *, run=True, on_part=None, say=lambda text: None):
    """Build the site into `folder`.

    run: run the cells of modules, and the milestones, of which nothing is kept. on_part(what): called before each part
    of the work; say(sentence): told what takes long, before it does. Raises UsageError for a folder with something
    else in it, WorkError for what stops when it is run, broken links, warnings and answers.
    """
    if not project.is_course:
        raise ProjectError("the site is built from the course's sources", "run this in the course repository")
    _require_installed()
    folder = (Path(folder) if folder else default_folder(project)).resolve()
    _require_own(folder)
    clock = _Clock(on_part)
    has_milestones = (project.root / "milestones").is_dir()
    milestones = read_milestones(project) if has_milestones else Milestones(())
    clock.start("what is kept")
    outputs = {one.name: shown.outputs(project, catalog, one) for one in catalog}
    reports = {one.name: shown.report(project, one) for one in milestones}
    kept = _there(outputs) + _there(reports)
    if run:
        _say_what_runs(project, catalog, milestones, kept, say)
        # milestones first: the models that they train are kept, and modules show them
        for one in milestones:
            reports[one.name] = reports[one.name] or _run_milestone(project, catalog, one, clock)
        for one in catalog:
            outputs[one.name] = outputs[one.name] or _run_module(project, catalog, one, clock)
    clock.start("sources")
    made = sources(project, catalog, milestones, outputs, reports)
    home = project.state / "site"
    changed = _write(home / "source", made)
    clock.start("pages")
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / MARK, "made by tito site build\n")
    _sphinx(project, home, folder)
    clock.start("search for answers")
    pages = _without_stale(folder, made)
    _require_no_answer(project, catalog, home, folder, pages)
    clock.stop()
    there = _there(outputs) + _there(reports)
    return Site(
        folder=folder,
        pages=len(pages),
        changed=changed,
        kept=kept,
        ran=tuple(name for name in there if name not in kept),
        lacking=tuple(name for name in (*outputs, *reports) if name not in there),
        seconds=clock.seconds,
    )


class _Clock:
    def __init__(self, on_part):
        self.seconds, self.on_part, self.part, self.since = {}, on_part, "", 0.0

    def start(self, part):
        self.stop()
        self.part, self.since = part, time.monotonic()
        self.say(part)

    def say(self, text):
        if self.on_part:
            self.on_part(text)

    def stop(self):
        if self.part:
            self.seconds[self.part] = round(time.monotonic() - self.since, 1)


def _there(found):
    return tuple(name for name, one in found.items() if one is not None)


def _require_installed():
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ProjectError(f"the site needs {', '.join(missing)}", INSTALL, code="not-installed")


def _require_own(folder):
    """A folder that holds anything else is nobody's to write into."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", "name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise UsageError(
            f"{folder} holds something that tito site build did not make",
            "name an empty folder, or one that does not exist yet",
            code="not-own",
        )


def _say_what_runs(project, catalog, milestones, kept, say):
    modules = [one for one in catalog if one.name not in kept]
    programs = [one for one in milestones if one.name not in kept]
    if modules:
        known = [one for one in (shown.last_seconds(project, module) for module in modules) if one is not None]
        before = f"{len(known)} of them took {sum(known):.0f} s the last time" if known else "how long is not known yet"
        say(f"nothing current is kept of {len(modules)} of {len(catalog)} modules: their cells run now, {before}")
    if programs:
        say(f"nothing current is kept of {len(programs)} of {len(milestones)} milestones: they run now")


def _run_module(project, catalog, module, clock):
    """The Outputs of a fresh run of every cell. Raises WorkError naming the first that stops."""
    clock.start(f"the cells of {module.name}")
    report = runner.run(project, catalog, module, measure=True)
    found = shown.outputs(project, catalog, module)
    if found is None:
        failed = [f"{one.where}: {one.message}" for one in report.cells if one.status != "passed"]
        reason = (*report.stopped, *failed, "its sources changed meanwhile")[0]
        raise WorkError(f"{module.name} stopped: {reason}", f"tito module test {module.name} --all", code="stopped")
    return found


def _run_milestone(project, catalog, milestone, clock):
    """The report of a fresh run. Raises WorkError where it missed what the milestone expects: see milestones.missed."""
    clock.start(f"the run of {milestone.name}")
    dataset = shown.dataset(milestone)
    outcome = runs.run(project, catalog, milestone, dataset=dataset, fresh=True)
    found = shown.report(project, milestone)
    missed = runs.missed(outcome.asserts)
    if missed or found is None:
        reason = "; ".join(one["verdict"] for one in missed)
        again = f"tito milestone run {milestone.number:02} --data {dataset}"
        raise WorkError(f"{milestone.name}: {reason or 'its sources changed meanwhile'}", again, code="not-reached")
    return found


def _write(folder, made):
    """Write what differs, for Sphinx goes by their times, and remove what is no source now; how many were written."""
    changed = 0
    for name, content in made.items():
        data = content.encode("utf-8") if isinstance(content, str) else content
        path = folder / name
        if not path.is_file() or path.read_bytes() != data:
            atomic_write(path, data)
            changed += 1
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in made:
            path.unlink()
    return changed


def _sphinx(project, home, folder):
    """Run Sphinx in a process of its own; a warning is an error."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", home / "doctrees"]
    command += ["-D", f"release={project.version}", home / "source", folder]
    environment = {**os.environ, **THREADS, "PYTHONUTF8": "1"}
    try:
        child = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=SECONDS
        )
    except subprocess.TimeoutExpired as error:
        remove_tree(home / "doctrees")  # what was read and not written would count as done the next time
        hint = "close other programs, then: tito site build"
        raise ProjectError(f"Sphinx took more than {SECONDS} seconds", hint, code="timeout") from error
    if child.returncode:
        said = (child.stderr + child.stdout).strip().replace(f"{home / 'source'}{os.sep}", "")
        # what was not written for a warning would count as done the next time
        remove_tree(home / "doctrees")
        said = re.sub(r"\x1b\[[0-9;]*m", "", said)
        raise WorkError(
            f"Sphinx does not accept the pages:\n{said[-4000:]}", "fix the sources that it names", code="sphinx"
        )


def _without_stale(folder, made):
    """The pages in `folder`; those whose sources are gone are removed. What lies in _static is the theme's."""
    own = {f"{name.removesuffix('.md')}.html" for name in made if name.endswith(".md")} | SPHINX_PAGES
    pages = []
    for path in sorted(folder.rglob("*.html")):
        name = path.relative_to(folder).as_posix()
        if name in own:
            pages.append(name)
        elif not name.startswith("_static/"):
            path.unlink()
    return pages


def _require_no_answer(project, catalog, home, folder, pages):
    """Search the pages that differ from those that were searched before, for the same secrets."""
    secrets = leaks.secrets(project, catalog)
    salt = "\0".join(sorted(secrets.origins))
    keys = {page: digest(salt.encode("utf-8") + (folder / page).read_bytes()) for page in pages}
    record = home / "searched"
    known = set(record.read_text(encoding="utf-8").split()) if record.is_file() else set()
    found = page_text.scan(project, folder, secrets, [page for page in pages if keys[page] not in known])
    if found:
        told = "\n".join(
            f"{leak.path}, line {leak.line}: {leak.statement[:60]} (from {leak.origin})" for leak in found[:10]
        )
        for page in {leak.path for leak in found}:
            (folder / page).unlink()
        raise WorkError(
            f"{len(found)} answers are on the pages, which were removed:\n{told}", "fix the sources", code="leak"
        )
    atomic_write(record, "\n".join(sorted(keys.values())) + "\n")
