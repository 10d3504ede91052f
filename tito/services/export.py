"""From notebooks to `tinytorch/core`: rendered by nbdev, tried in a stage, then put in place.

nbdev collects the exported cells. What it would write around them (a header and cell comments with paths that depend
on where it runs) is replaced by a module maker of our own, so that the file is the same on every machine.
"""

import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tito.catalog import Module
from tito.errors import WorkError
from tito.project import Project
from tito.services import rules
from tito.services.files import atomic_write, backup
from tito.services.module_text import module_text
from tito.services.notebooks import is_exported, where, write
from tito.services.pristine import load_source
from tito.services.views import child_environment, view

IMPORT_SECONDS = 120


def render(project, catalog, module, source):
    """The text of `tinytorch/core/<name>.py`. Raises WorkError where the source breaks a rule of exporting."""
    from nbdev.export import nb_export

    problems = rules.export_problems(source, module, catalog)
    if problems:
        raise WorkError(
            "\n".join(f"{problem.where}: {problem.message}" for problem in problems),
            f"fix {project.relative(source.path)}; nothing was exported",
            code="not-exportable",
            data=problems,
        )
    with tempfile.TemporaryDirectory() as folder:
        notebook, package = Path(folder, "notebook.ipynb"), Path(folder, "tinytorch")
        write(source.node, notebook)
        nb_export(str(notebook), lib_path=str(package), mod_maker=_module_maker(module))
        return (package / "core" / module.core_file).read_text(encoding="utf-8")


def _module_maker(module):
    from nbdev.maker import ModuleMaker

    class PathFreeMaker(ModuleMaker):
        def make(self, cells, all_cells=None, lib_path=None):
            self.fname.parent.mkdir(parents=True)
            text = module_text(module, [cell.source for cell in all_cells])
            self.fname.write_text(text, encoding="utf-8", newline="\n")

    return PathFreeMaker


@dataclass(frozen=True)
class Stage:
    """Rendered files that import, not yet in place. folder: a view of the package with them; texts: {module: text}."""

    project: Project
    folder: Path
    texts: dict[Module, str]

    def commit(self):
        """Replace the files of the package that differ, each in one step, and return their paths.

        In a workspace the replaced file is kept in `.tito/backups`: somebody may have edited it by hand.
        """
        replaced = []
        for module, text in self.texts.items():
            path = self.project.core / module.core_file
            if path.exists() and path.read_bytes() == text.encode("utf-8"):
                continue
            if path.exists() and not self.project.is_course:
                backup(path, self.project.state / "backups")
            atomic_write(path, text)
            replaced.append(path)
        return replaced


@contextmanager
def stage(project, catalog, modules):
    """A Stage in which `modules` are rendered and every built module imports. The package itself is not touched.

    Raises WorkError naming the module, and the cell where it is known, for what cannot be rendered or imported.
    """
    sources = {module: load_source(project, module) for module in modules}
    texts = {module: render(project, catalog, module, source) for module, source in sources.items()}
    with stage_texts(project, catalog, texts, sources) as made:
        yield made


@contextmanager
def stage_texts(project, catalog, texts, sources=None):
    """A Stage of files that are there already: {module: text}. sources: where they came from, for messages."""
    with view(project, catalog, {module.core_file: text for module, text in texts.items()}) as folder:
        _require_imports(project, catalog, sources or {}, folder)
        yield Stage(project, folder, texts)


IMPORT_EACH = """
import importlib, json, sys, traceback
failure = {}
for name in sys.argv[2:]:
    try:
        importlib.import_module(name)
    except BaseException as error:
        frames = [[frame.filename, frame.lineno] for frame in traceback.extract_tb(error.__traceback__)]
        if isinstance(error, SyntaxError):
            frames.append([error.filename, error.lineno])
        failure = {"name": name, "error": f"{type(error).__name__}: {error}", "frames": frames}
        break
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(failure, file)
"""


def _require_imports(project, catalog, sources, folder):
    """Import every core file of the stage in a fresh process. The report is a file: cells may print."""
    core, report = folder / "tinytorch" / "core", folder / "imports.json"
    built = {module.short: module for module in catalog if (core / module.core_file).is_file()}
    names = [f"tinytorch.core.{short}" for short in built]
    try:
        child = subprocess.run(
            [sys.executable, "-c", IMPORT_EACH, str(report), *names],
            cwd=folder,
            env=child_environment(folder, is_view=True),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=IMPORT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise _import_failure(f"importing them took more than {IMPORT_SECONDS} seconds") from error
    if not report.is_file():
        raise _import_failure(f"importing them ended the process (exit code {child.returncode})")
    failure = json.loads(report.read_text(encoding="utf-8"))
    if failure:
        module = built[failure["name"].rsplit(".", 1)[1]]
        place = _place(failure["frames"], built, sources, core) or project.relative(module.source(project))
        raise _import_failure(f"{place}: tinytorch.core.{module.short} fails with {failure['error']}")


def _import_failure(reason):
    return WorkError(
        f"the exported modules do not import: {reason}", "fix it; nothing was exported", code="import-failed"
    )


def _place(frames, built, sources, core):
    """The cell that the innermost frame of a staged file comes from: the only exported cell with that line."""
    for filename, line in reversed(frames):
        source = sources.get(built.get(Path(filename).stem)) if Path(filename).parent == core else None
        if source is None:
            continue
        text = Path(filename).read_text(encoding="utf-8").split("\n")[line - 1].strip()
        found = [
            (index, number)
            for index, cell in enumerate(source.node.cells)
            for number, cell_line in enumerate(cell.source.split("\n"), 1)
            if cell_line.strip() == text and is_exported(cell)
        ]
        if len(found) == 1:
            return where(source, *found[0])
    return None


@dataclass(frozen=True)
class Difference:
    """A core file that is not what its source exports. kind: missing, stale or orphan; module is None for an orphan."""

    module: Module | None
    kind: str
    message: str


def check(project, catalog, modules):
    """How the core files of `modules` differ from what their sources export now, byte for byte; and every orphan."""
    differences = []
    for module in modules:
        text = render(project, catalog, module, load_source(project, module))
        path = project.core / module.core_file
        if not path.is_file():
            differences.append(Difference(module, "missing", f"{project.relative(path)} has not been exported"))
        elif path.read_bytes() != text.encode("utf-8"):
            message = f"{project.relative(path)} is not what {project.relative(module.source(project))} exports"
            differences.append(Difference(module, "stale", message))
    known = {"__init__.py", *(module.core_file for module in catalog)}
    for path in sorted(project.core.glob("*.py")):
        if path.name not in known:
            message = f"{project.relative(path)} is exported by no module"
            differences.append(Difference(None, "orphan", message))
    return differences
