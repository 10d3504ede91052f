"""Who may import whom, read from the syntax trees; and what the command line imports before it has to."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tito.services import notebooks

STANDARD = sys.stdlib_module_names
FOUNDATION = {"tito", "tito.errors", "tito.project", "tito.catalog", "tito.first_aid", "tito.recover"}
HEAVY = {
    "jupytext",
    "nbformat",
    "nbclient",
    "nbconvert",
    "nbdev",
    "nbgrader",
    "numpy",
    "tinytorch",
    "jupyter_client",
    "IPython",
    "torch",
}
INSTALLED = {"packaging", "jinja2", "jupytext", "nbformat", "nbclient", "nbconvert", "nbdev", "nbgrader"}
INSTALLED |= {"jupyter_client", "pygments"}
# what nbgrader is made of: grading speaks its language
JUPYTERLAB = {"jupyter_server", "jupyterlab", "traitlets"}  # of the two files that start it
NBGRADERS = {"traitlets", "sqlalchemy", "alembic", "jupyter_core", "jupyter_server", "tornado", "jinja2", "bleach"}


def imported(tree, package=""):
    """{module name: is it imported at top level} of a syntax tree. `from a import b` counts as a.b where a is ours."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            name = ".".join(part for part in (base if node.level else "", node.module) if part)
            names = [f"{name}.{alias.name}" if name.split(".")[0] in OURS else name for alias in node.names]
        else:
            continue
        for name in names:
            found[name] = found.get(name, False) or node in tree.body
    return found


OURS = {"tito", "tinytorch", "tests", "milestones", "modules"}


def parts(name):
    """a.b.c belongs to a, a.b and a.b.c."""
    pieces = name.split(".")
    return {".".join(pieces[:count]) for count in range(1, len(pieces) + 1)}


def breaches(tree, allowed, package=""):
    """What `tree` imports that neither is nor lies in one of the `allowed` modules."""
    return sorted(name for name in imported(tree, package) if not parts(name) & set(allowed))


def trees(folder):
    for path in sorted(folder.rglob("*.py")):
        if path.parent.name in ("hostile", "wrong", "right"):  # cells with magics, and edits of cells
            continue
        yield path, ast.parse(path.read_text(encoding="utf-8"))


# The rules, one function each: what may a file import?

# engineering that notebooks use and no student writes
PROVIDED = {"tinytorch.threads", "tinytorch.kernels", "tinytorch.checkpoints", "tinytorch.progress"}
PROVIDED |= {"tinytorch.profiles", "tinytorch.submissions", "tinytorch.measuring"}


def allowed_in_cells(module, catalog, is_exported):
    needed = {f"tinytorch.core.{other.short}" for other in catalog.prerequisites(module)}
    more = set() if is_exported else {"tinytorch.notebook", "tinytorch.datasets", "matplotlib", "sklearn"}
    return {*STANDARD, "numpy", *PROVIDED, *needed, *more}


def allowed_in_tito(path):
    """commands -> services -> catalog, project, errors, never back."""
    if path.parts[:2] == ("services", "grading"):
        # inside.py and trusted.py are programs of their own, next to a student's code
        more = {"numpy", "IPython", *(("child", "pytest") if path.name == "complete_child.py" else ())}
        more |= {"matplotlib"} if path.name == "formgrade_server.py" else set()  # it draws formulas
        more |= {"distributed", "tito"} if "cluster" in path.parts else set()  # Dask; and which tito a worker has
        return {*STANDARD, *FOUNDATION - {"tito"}, "tito.services", *INSTALLED, *NBGRADERS, *more}
    if path.parts[0] == "services" and path.name in ("jupyter.py", "lab.py"):
        return {*STANDARD, *FOUNDATION - {"tito"}, "tito.services", *JUPYTERLAB}
    if path.parts[0] == "services":
        more = {"pytest"} if path.name == "pytest_cases.py" else set()  # a plugin, in pytest's own process
        more |= {"traitlets"} if path.name == "doctor.py" else set()  # its error is a damaged kernel.json's
        return {*STANDARD, *FOUNDATION - {"tito"}, "tito.services", *INSTALLED, *more}
    if path.parts[0] == "commands":
        return {*STANDARD, *FOUNDATION - {"tito"}, "tito.services", "tito.commands", "tito.console", "typer"}
    if path.name == "console.py":
        return {*STANDARD, *FOUNDATION - {"tito"}, "rich"}
    if path.name in ("recover.py", "first_aid.py"):  # which run where the rest of tito may be half replaced, or cannot
        return {*STANDARD}
    if path.name in ("app.py", "__main__.py"):
        return {*STANDARD, "tito", "typer"}
    return {*STANDARD, *FOUNDATION - {"tito"}}


def is_public(name):
    pieces = name.split(".")
    return pieces[0] == "tinytorch" and pieces[1:2] != ["core"] and not any(piece.startswith("_") for piece in pieces)


# The repository keeps them.


def test_cells_import_numpy_the_standard_library_and_what_their_module_needs(project, catalog):
    for module in catalog:
        for index, cell in notebooks.code_cells(notebooks.load(project, module.percent).node):
            allowed = allowed_in_cells(module, catalog, notebooks.is_exported(cell))
            assert breaches(ast.parse(cell.source), allowed) == [], f"{module.name}, cell {index + 1}"


def test_the_tests_of_a_module_run_in_a_workspace(catalog):
    """So they need neither PyTorch nor anything else of the development extras, and no module but prerequisites."""
    for module in catalog:
        strange = {f"tinytorch.core.{other.short}" for other in {*catalog} - {module, *catalog.prerequisites(module)}}
        names = imported(ast.parse(module.tests.read_text(encoding="utf-8")))
        assert [name for name in names if not parts(name) & {*STANDARD, "numpy", "pytest", "tinytorch"}] == []
        assert [name for name in names if parts(name) & strange] == [], module.name


def test_tinytorch_imports_numpy_and_the_standard_library(project):
    for path, tree in trees(project.package):
        package = ".".join(("tinytorch", *path.relative_to(project.package).parent.parts))
        assert breaches(tree, {*STANDARD, "numpy", "tinytorch"}, package) == [], path


def test_kernels_import_nothing_of_the_students_at_the_top(project):
    """They are imported by what the student exports, so an import of that would go round in a circle."""
    for path, tree in trees(project.package / "kernels"):
        package = ".".join(("tinytorch", *path.relative_to(project.package).parent.parts))
        early = [name for name, is_top in imported(tree, package).items() if is_top]
        allowed = {*STANDARD, "numpy", "tinytorch.threads", "tinytorch.kernels"}
        assert [name for name in early if not parts(name) & allowed] == [], path


def test_milestones_use_the_public_api(project):
    allowed = {*STANDARD, "numpy", "matplotlib", "jinja2", "tinytorch", "milestones"}
    for path, tree in trees(project.root / "milestones"):
        assert breaches(tree, allowed) == [], path
        ours = [name for name in imported(tree) if name.split(".")[0] == "tinytorch"]
        assert [name for name in ours if not is_public(name)] == [], path


def test_the_layers_of_tito(project):
    folder = project.root / "tito"
    for path, tree in trees(folder):
        relative = path.relative_to(folder)
        package = ".".join(("tito", *relative.parent.parts))
        assert breaches(tree, allowed_in_tito(relative), package) == [], path


def test_heavy_imports_of_tito_stay_inside_functions(project):
    for path, tree in trees(project.root / "tito"):
        early = [name for name, is_top in imported(tree).items() if is_top and name.split(".")[0] in HEAVY | NBGRADERS]
        assert early == [], path


def test_nothing_imports_everything_by_star(project):
    for folder in ("modules", "tinytorch", "milestones", "tito", "tests"):
        for path, tree in trees(project.root / folder):
            stars = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"]
            assert stars == [], path


def test_the_command_line_imports_nothing_heavy(project):
    program = "import sys, tito.app; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    child = subprocess.run(
        [sys.executable, "-c", program], cwd=project.root, capture_output=True, encoding="utf-8", check=True
    )
    assert set(child.stdout.split()) & HEAVY == set()


# The rules notice a breach.


@pytest.mark.parametrize(
    "code",
    [
        "import torch",
        "def f():\n    import torch",
        "import tito",
        "from tito import catalog",
        "from tests import samples",
        "import tinytorch.core.beta",
        "from tinytorch.core import beta",
        "from tinytorch.core.beta import x",
        "from tinytorch import Tensor",
        "from tinytorch import nn",
        "import matplotlib.pyplot as plt",
        "from tinytorch.notebook import check_home",
    ],
)
def test_what_an_exported_cell_may_not_import(code):
    allowed = {*STANDARD, "numpy", "tinytorch.threads", "tinytorch.kernels", "tinytorch.core.alpha"}
    assert breaches(ast.parse(code), allowed)
    assert not breaches(ast.parse("import numpy.linalg, os.path\nfrom tinytorch.core import alpha"), allowed)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("services/a.py", "import typer"),
        ("services/a.py", "def f():\n    import rich.table"),
        ("services/a.py", "from tito.console import console"),
        ("services/a.py", "from tito import commands"),
        ("services/a.py", "from ..commands import module"),
        ("services/a.py", "import tinytorch"),
        ("services/a.py", "from tinytorch.core import tensor"),
        ("commands/a.py", "import tito.app"),
        ("commands/a.py", "from rich import print"),
        ("catalog.py", "from tito.services import files"),
        ("errors.py", "from .services import files"),
        ("project.py", "import tito.console"),
        ("console.py", "from tito.services import files"),
    ],
)
def test_what_a_layer_of_tito_may_not_import(path, code):
    package = ".".join(("tito", *Path(path).parent.parts))
    assert breaches(ast.parse(code), allowed_in_tito(Path(path)), package)


@pytest.mark.parametrize(
    "name", ["tinytorch.core.tensor", "tinytorch.core", "tinytorch._lazy", "tinytorch.nn._x", "tito"]
)
def test_what_is_not_public(name):
    assert not is_public(name)
    assert is_public("tinytorch.nn.Linear")


# The rooms of grading, each a folder: DESIGN section 7.

GRADING = "tito.services.grading"
ROOMS = {
    "book": (),
    "roster": ("book",),
    "intake": ("roster", "book"),
    "sandbox": (),
    "bridge": (),
    "scoring": ("sandbox", "bridge", "intake", "book"),
    "reports": ("intake", "roster", "book"),
    "graders": ("intake", "roster", "book"),
    "similarity": ("scoring", "intake", "book"),
    "regrading": ("scoring", "intake", "book", "release"),
    "proof": ("scoring", "sandbox"),
    # a class of one, on somebody else's machine
    "gradescope": ("scoring", "sandbox", "intake", "book"),
    "olympics": ("sandbox", "bridge", "intake", "book"),
    # all of grading, tried out
    "rehearsal": ("proof", "reports", "scoring", "sandbox", "intake", "roster", "book", "release"),
    "cluster": ("rehearsal", "proof", "scoring", "sandbox"),
    "": ("book",),  # what lies in no room: release, formgrade
}


def room_breaches(room, tree, package):
    """What a file of `room` imports of grading that it may not."""
    own = [f"{GRADING}.{room}"] if room else []
    allowed = {*own, *(f"{GRADING}.{other}" for other in ROOMS[room])}
    ours = (name for name in breaches(tree, allowed, package) if f"{name}.".startswith(f"{GRADING}."))
    # `from tito.services.grading import bridge` is bridge, not grading
    return [name for name in ours if name != GRADING]


def files(project):
    """(room, path, tree) of each file of grading."""
    home = project.root / "tito" / "services" / "grading"
    for path, tree in trees(home):
        inner = path.relative_to(home).parts
        yield inner[0] if len(inner) > 1 else "", path, tree


def package_of(room):
    return f"{GRADING}.{room}".rstrip(".")


def test_the_rooms_are_those_of_the_table(project):
    assert {room for room, _, _ in files(project)} == set(ROOMS)


def test_a_room_imports_rooms_below_it_only(project):
    for room, path, tree in files(project):
        assert room_breaches(room, tree, package_of(room)) == [], path


@pytest.mark.parametrize("room", ["bridge", "olympics.stadium"])
def test_the_conversation_needs_nothing_of_tito(project, room):
    """Its programs run beside a student's code, where there is no tito."""
    for path, tree in trees(project.root.joinpath("tito", "services", "grading", *room.split("."))):
        names = imported(tree, package_of(room))
        ours = [name for name in names if name.startswith("tito") and not name.startswith(f"{GRADING}.{room}.")]
        assert ours == [], path


def test_the_record_of_submissions_has_one_owner(project):
    spelled = [
        path.name
        for path, tree in trees(project.root / "tito")
        if any(isinstance(node, ast.Constant) and node.value == "submissions.json" for node in ast.walk(tree))
    ]
    assert spelled == ["received.py"]


@pytest.mark.parametrize(
    ("room", "code"),
    [
        ("book", f"from {GRADING}.roster import people"),
        ("roster", f"from {GRADING}.intake.dates import Dates"),
        ("intake", f"import {GRADING}.scoring.scorer"),
        ("sandbox", f"from {GRADING} import book"),
        ("sandbox", f"def f():\n    from {GRADING}.bridge.wire import Pipe"),
        ("bridge", "from ..sandbox import find"),
        ("bridge", "from .. import scoring"),
        ("scoring", f"from {GRADING}.reports.report import report"),
        ("scoring", f"from {GRADING}.proof import audit"),
        ("scoring", f"from {GRADING} import release"),
        ("reports", f"from {GRADING}.scoring.autograde import autograde"),
        ("proof", f"from {GRADING}.reports import report"),
        ("olympics", f"from {GRADING}.scoring import scorer"),
        ("", f"from {GRADING}.scoring import scorer"),
    ],
)
def test_what_a_room_may_not_import(room, code):
    assert room_breaches(room, ast.parse(code), package_of(room))


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_room_may_import(room):
    lines = [f"from {GRADING}.{other} import x\nfrom {GRADING} import {other}" for other in ROOMS[room]]
    assert room_breaches(room, ast.parse("\n".join(lines)), package_of(room)) == []


def test_every_room_says_what_it_is_for(project):
    for room in filter(None, ROOMS):
        text = Path(project.root, "tito", "services", "grading", room, "__init__.py").read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(text)), room


def classes_of_one_name(trees_of):
    """{name of a class: the files that have one} of those in more than one file."""
    found = {}
    for path, tree in trees_of:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(str(path))
    return {name: paths for name, paths in found.items() if len(paths) > 1}


def test_a_class_of_tito_has_its_name_for_itself(project):
    """Whoever looks for a name finds one thing."""
    files = [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in (project.root / "tito").rglob("*.py")]
    assert classes_of_one_name(files) == {}
    assert classes_of_one_name([("a.py", ast.parse("class A: pass")), ("b.py", ast.parse("class A: pass"))])
