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
from tito.services import leaks
from tito.services.files import atomic_write, digest, remove_tree
from tito.services.site import outputs, page_text
from tito.services.site.sources import MATHJAX, sources

MARK = ".tinytorch-site"  # in a folder that this command made
NEEDED = ("sphinx", "myst_parser", "pydata_sphinx_theme", MATHJAX)
INSTALL = 'pip install -e ".[docs]"'
SECONDS = 900
SPHINX_PAGES = {"search.html"}
THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Site:
    """A built site. seconds: {part of the work: seconds}; changed: sources that were written again; ran: modules whose
    cells were run; unmeasured: those whose pages lack what cells show.
    """

    folder: Path
    pages: int
    changed: int
    ran: tuple
    unmeasured: tuple
    seconds: dict


def default_folder(project):
    return project.state / "site" / "html"


def build(project, catalog, folder=None, *, run=True, on_part=None):
    """Build the site into `folder`.

    run: run the cells of modules whose outputs are not kept. on_part(what): called before each part of the work.
    Raises UsageError for a folder with something else in it, WorkError for broken links, warnings and answers.
    """
    if not project.is_course:
        raise ProjectError("the site is built from the course's sources", "run this in the course repository")
    _require_installed()
    folder = (Path(folder) if folder else default_folder(project)).resolve()
    _require_own(folder)
    clock = _Clock(on_part)
    clock.start("what cells show")
    shown, ran = _outputs(project, catalog, run, clock)
    clock.start("sources")
    has_milestones = (project.root / "milestones").is_dir()
    milestones = read_milestones(project) if has_milestones else Milestones(())
    made = sources(project, catalog, milestones, shown)
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
    unmeasured = tuple(module.name for module in catalog if module.name not in shown)
    return Site(folder, len(pages), changed, ran, unmeasured, clock.seconds)


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


def _outputs(project, catalog, run, clock):
    """({module name: {cell index: outputs}}, names of modules whose cells were run)"""
    shown, ran = {}, []
    for module in catalog:
        found = outputs.kept(project, catalog, module)
        if found is None and run:
            clock.say(f"the cells of {module.name}")
            found = outputs.run(project, catalog, module)
            ran.append(module.name)
        if found is not None:
            shown[module.name] = found
    return shown, tuple(ran)


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
    child = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=SECONDS
    )
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
