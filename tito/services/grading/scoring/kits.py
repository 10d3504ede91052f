"""What all submissions of a module are scored with: a folder, so that any process that can read it can score.

kit.json            the module, what its tests fetch and import, and where the project is
source.ipynb        the notebook with solutions and hidden tests
handed.ipynb        the notebook as it was handed out
shown/              all of the kit that a sandbox shows, compiled
    view/           tinytorch, with the exports that the module needs and no others
    bridge/         the program that runs in the sandbox
    matplotlib/     matplotlib's list of fonts, where it is installed
"""

import compileall
import json
import py_compile
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from tito.errors import ProjectError, WorkError
from tito.project import read_project
from tito.services import dependence, notebooks, strip, views
from tito.services.files import atomic_write
from tito.services.grading import bridge
from tito.services.grading.sandbox import fonts
from tito.services.grading.sandbox.find import Sandbox, find
from tito.services.grading.scoring import forkers, plans, readers
from tito.services.pristine import EARLIER
from tito.services.verdicts import question_of

BRIDGE = Path(bridge.__file__).resolve().parent
OPEN = 4  # kits that a process keeps in memory


@dataclass(frozen=True)
class Kit:
    """The folder of a kit, and what was read from it. Pickled, it is the folder alone.

    module: its name; notebook: the name of the file that students hand in; sandbox: what isolates where the kit was
    read. source: the notebook with solutions and hidden tests; handed: as it was handed out; tests: {grade_id: test
    cell}; plans: {grade_id: names that the test fetches}; imports: what the tests import; classes: names of the
    course's classes; answers: {grade_id: source of the reference's answer}; earlier: {grade_id: what a locked cell said
    in other versions that were handed out}. readers: the processes that read;
    testing: those that run tests.
    """

    folder: Path
    module: str
    notebook: str
    sandbox: Sandbox
    source: notebooks.Source = field(repr=False)
    handed: dict = field(repr=False)
    tests: dict = field(repr=False)
    plans: dict = field(repr=False)
    imports: tuple = ()
    classes: tuple = ()
    answers: dict = field(repr=False, default_factory=dict)
    earlier: dict = field(repr=False, default_factory=dict)
    readers: object = field(repr=False, compare=False, default=None)
    testing: object = field(repr=False, compare=False, default=None)

    @property
    def view(self):
        return self.shown / "view"

    @property
    def shown(self):
        return self.folder / "shown"

    @property
    def fonts(self):
        return self.shown / "matplotlib" if (self.shown / "matplotlib").is_dir() else None

    @cached_property
    def needed(self):
        """{grade_id of a test: the questions, in order, whose answers it depends on}, in the course's own notebook."""
        cells = [cell for _, cell in notebooks.code_cells(self.source.node) if not notebooks.is_measure(cell)]
        names = [notebooks.grade_id(cell) for cell in cells]
        read = dependence.Dependence([cell.source for cell in cells], dependence.read_modules(self.view))
        questions, found = notebooks.questions(self.source.node), {}
        for place, name in enumerate(names):
            if name in self.tests:
                own = [names.index(question)] if (question := question_of(questions, name)) else []
                found[name] = tuple(names[one] for one in sorted(read.needed(place, own)) if names[one] in self.answers)
        return found

    def __reduce__(self):
        return read, (self.folder,)


@contextmanager
def make(project, catalog, module, *, sandbox, source=None, view=None):
    """Yield the Kit of `module`, whose folder is gone afterwards. sandbox: where submissions run, see sandbox.find.

    source: the notebook with solutions and hidden tests; where None, the module's own, as it is handed out. view: a
    folder with the package as the sandbox shows it, beside what versions.put puts there; made of the course as it is
    where None. Raises WorkError where the notebook cannot be read or has nothing to run.
    """
    found = notebooks.load(project, source) if source else notebooks.load_handed_out(project, module)
    cells = [cell for _, cell in notebooks.code_cells(found.node)]
    if not _tests(found.node):
        raise WorkError(f"{found.label} has no graded cell to run", "restore the file", code="no-tests")
    needed, imports = plans.read(cells)
    classes = plans.classes(cells)
    about = {
        "module": module.name,
        "notebook": module.notebook.name,
        "project": str(project.root),
        "isolated": sandbox.kind != "none",
        "plans": needed,
        "imports": imports,
        "classes": classes,
        "earlier": json.loads(Path(view).with_name(EARLIER).read_text(encoding="utf-8")) if view else {},
    }
    with views.folder(project) as folder:
        atomic_write(folder / "kit.json", json.dumps(about))
        notebooks.write(found.node, folder / "source.ipynb")
        notebooks.write(strip.strip(found.node, found), folder / "handed.ipynb")
        if view is None:
            views.fill(folder / "shown" / "view", project, catalog.prerequisites(module), without_kernels_of=module)
        else:
            shutil.copytree(view, folder / "shown" / "view")
        shutil.copytree(BRIDGE, folder / "shown" / "bridge", ignore=shutil.ignore_patterns("__pycache__"))
        if prepared := fonts.prepare(project):
            shutil.copytree(prepared, folder / "shown" / "matplotlib")
        _compile(folder / "shown")
        made = load(folder, sandbox)
        try:
            yield made
        finally:
            made.readers.close()
            made.testing.close()


@lru_cache(OPEN)
def read(folder):
    """The Kit in `folder`, made by another process. Raises ProjectError where that isolates and this one cannot."""
    about = _about(folder)
    sandbox = find(read_project(Path(about["project"])), allow_none=not about["isolated"])
    return load(folder, sandbox)


def _about(folder):
    try:
        return json.loads((folder / "kit.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProjectError(f"{folder} is no kit, or its run has ended", code="kit") from None


def load(folder, sandbox):
    """The Kit in `folder`, with what isolates where it is read; None for a process that runs nothing."""
    about = _about(folder)
    source, handed = (notebooks.parse((folder / name).read_bytes(), name) for name in ("source.ipynb", "handed.ipynb"))
    cells = [cell for _, cell in notebooks.code_cells(source.node)]
    return Kit(
        folder=folder,
        module=about["module"],
        notebook=about["notebook"],
        sandbox=sandbox,
        source=source,
        handed=handed.node,
        tests=_tests(source.node),
        plans=about["plans"],
        imports=tuple(about["imports"]),
        classes=tuple(about["classes"]),
        earlier=about["earlier"],
        answers={notebooks.grade_id(cell): cell.source for cell in cells if notebooks.is_solution(cell)},
        readers=None if sandbox is None else readers.Readers(folder),
        testing=None if sandbox is None else forkers.testing(folder / "shown" / "view", about["imports"]),
    )


def _compile(folder):
    """Compile what every sandbox imports and none may write. Nothing in it says where the folder is."""
    compileall.compile_dir(
        folder, ddir="/grading", quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )


def _tests(node):
    """{grade_id: cell} of the graded tests of a notebook, in order."""
    cells = (cell for _, cell in notebooks.code_cells(node))
    return {name: cell for cell in cells if notebooks.is_test(cell) and (name := notebooks.grade_id(cell))}
