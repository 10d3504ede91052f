"""The API reference: every public name of the package, from its docstring, with the module that builds it."""

import ast
import re
from dataclasses import dataclass

from tito.errors import ProjectError
from tito.services import syntax, views
from tito.services.site.module_page import fenced

# facades that offer PyTorch's names: {facade: PyTorch's namespace}; those of the course's own are found
FACADES = {
    "tinytorch": "torch",
    "tinytorch.nn": "torch.nn",
    "tinytorch.nn.functional": "torch.nn.functional",
    "tinytorch.nn.init": "torch.nn.init",
    "tinytorch.nn.utils": "torch.nn.utils",
    "tinytorch.optim": "torch.optim",
    "tinytorch.optim.lr_scheduler": "torch.optim.lr_scheduler",
    "tinytorch.utils.data": "torch.utils.data",
    "tinytorch.utils.checkpoint": "torch.utils.checkpoint",
}
# what a facade offers and PyTorch does not have under that name
OWN = frozenset(
    "tinytorch." + name
    for name in (
        "Op", "power", "accuracy", "gradcheck", "PositionalEmbedding", "sinusoidal_positions", "token_windows",
        "attention_in_blocks", "causal_mask", "causality_gap", "focus", "position_gap", "nn.AvgPool2D", "nn.Conv2D",
        "nn.MaxPool2D", "optim.lr_scheduler.WarmupDecayLR",
    )
)  # fmt: skip
SECONDS = 120
CODE = re.compile("`[^`]+`")
SPECIAL = re.compile(r"([\\*_<>\[\]$#|`+~{}-])")
ASK = """
import importlib, importlib.util, json, pkgutil, sys
import tinytorch

def core(one):
    'The file of tinytorch.core that an object is of, or is built around.'
    home = getattr(one, "__module__", None) or ""
    if home.startswith("tinytorch.core."):
        return home.rpartition(".")[2]
    for base in getattr(one, "__mro__", ())[1:]:
        if base.__module__.startswith("tinytorch.core."):
            return base.__module__.rpartition(".")[2]
    used = getattr(getattr(one, "__code__", None), "co_names", ())
    found = [name for name in used if name.isidentifier() and importlib.util.find_spec(f"tinytorch.core.{name}")]
    return min(found, key=lambda name: name == "tensor", default="")

found, facades = {}, sys.argv[1:]
own = (f"tinytorch.{one.name}" for one in pkgutil.iter_modules(tinytorch.__path__) if not one.name.startswith("_"))
for facade in [*facades, *sorted(set(own) - {*facades, "tinytorch.core"})]:
    try:
        module = importlib.import_module(facade)
    except ModuleNotFoundError as error:
        if not f"{facade}.".startswith(f"{error.name}."):
            raise
        continue  # a course without it
    found[facade] = {}
    for name in module.__all__ if hasattr(module, "__all__") else dir(module):
        one = getattr(module, name)
        home = getattr(one, "__module__", None) or ""
        if not name.startswith("_") and home.startswith("tinytorch"):
            found[facade][name] = [home, getattr(one, "__qualname__", None) or one.__name__, core(one)]
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Offered:
    """What a facade offers as a name. home: the module that defines it, as `defined`; core: the core file behind it."""

    home: str
    defined: str
    core: str


def offered(project):
    """{facade: {name: Offered}} as a new process finds them in the package."""
    found = views.asked(project.root, ASK, *FACADES, is_view=False, seconds=SECONDS)
    return {facade: {name: Offered(*home) for name, home in names.items()} for facade, names in found.items()}


def counterpart(facade, name):
    """PyTorch's name for what `facade` offers as `name`, "" where it has none."""
    return "" if facade not in FACADES or f"{facade}.{name}" in OWN else f"{FACADES[facade]}.{name}"


def counterparts(names):
    """{(core file, name): [(name in the package, PyTorch's)]} of all that facades offer of the core, as it is there or
    with PyTorch's arguments around it.
    """
    found = {}
    for facade, own in names.items():
        for name, one in own.items():
            if one.core:
                both = (f"{facade}.{name}", counterpart(facade, name))
                found.setdefault((one.core, one.defined), []).append(both)
    return found


def overview(catalog, names):
    """The first page: the facades, and the files of the core."""
    facades = [facade for facade, own in names.items() if own]
    groups = {
        "Under PyTorch's names": [one for one in facades if one in FACADES],
        "The course's own": [one for one in facades if one not in FACADES],
        "The files that the modules build": [module.short for module in catalog],
    }
    parts = ["# Reference", "What the finished package offers: each name with the module in which you build it."]
    for title, pages in groups.items():
        if pages:
            parts.append(fenced("{toctree}", f":maxdepth: 1\n:caption: {title}\n\n" + "\n".join(pages)))
    return "\n\n".join(parts) + "\n"


def facade_page(project, catalog, facade, own):
    """Each name of a facade with PyTorch's and the module behind it; then what the facade itself defines."""
    built = {module.short: module for module in catalog}
    rows = [_row(facade, name, own[name], built) for name in sorted(own)]
    titles = ["name", *(["PyTorch's"] if facade in FACADES else []), "built in"]
    table = ["| " + " | ".join(row) + " |" for row in (titles, ["---"] * len(titles), *rows)]
    parts = [f"# {facade}", "\n".join(table)]
    for home in sorted({one.home for one in own.values() if ".core." not in one.home}):
        wanted = {one.defined: name for name, one in own.items() if one.home == home}
        for node in _definitions(project.root.joinpath(*home.split("."))):
            if node.name in wanted:
                other = counterpart(facade, wanted[node.name])
                parts += _entry(node, [(f"{facade}.{wanted[node.name]}", other)])
    return "\n\n".join(parts) + "\n"


def _definitions(path):
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = syntax.parse(path.read_text(encoding="utf-8"))
    return [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]


def _row(facade, name, one, built):
    module = built.get(one.core)
    where = f"[{module.name}](../modules/{module.name}.md)" if module else "provided"
    is_core = module and one.home == f"tinytorch.core.{one.core}"
    shown = f"[`{name}`]({one.core}.md)" if is_core else f"`{name}`"
    other = counterpart(facade, name)
    return [shown, *([f"`{other}`" if other else "–"] if facade in FACADES else []), where]


def page(project, module, others):
    """The page of the file that `module` exports."""
    path = project.core / module.core_file
    if not path.is_file():
        raise ProjectError(f"{project.relative(path)} is missing", "tito export --all")
    tree = syntax.parse(path.read_text(encoding="utf-8"))
    public = _public(tree)
    parts = [
        f"# tinytorch.core.{module.short}",
        f"{module.summary} Built in [{module.number:02} {module.title}](../modules/{module.name}.md).",
    ]
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in public:
            parts += _entry(node, others.get((module.short, node.name), []))
    return "\n\n".join(parts) + "\n"


def _public(tree):
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return set(ast.literal_eval(node.value))
    return {
        node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_"
    }


def _entry(node, others):
    yield f"## {node.name}"
    yield fenced("{code-block} python", signature(node))
    for name, other in others:
        yield f"`{name}`" + (f", in PyTorch `{other}`" if other else "")
    if said := ast.get_docstring(node):
        yield prose(said)
    if isinstance(node, ast.ClassDef):
        methods = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name[0] != "_"]
        for one in methods:
            if said := ast.get_docstring(one):
                yield f"### {node.name}.{one.name}"
                yield fenced("{code-block} python", signature(one))
                yield prose(said)


def signature(node):
    """`def name(arguments)`, or `class name(arguments of its __init__)`, without the decorators."""
    if isinstance(node, ast.FunctionDef):
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return f"{node.name}({ast.unparse(node.args)}){returns}"
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and one.name == "__init__":
            arguments = ast.unparse(one.args).removeprefix("self").removeprefix(", ")
            return f"class {node.name}({arguments})"
    bases = ", ".join(map(ast.unparse, node.bases))
    return f"class {node.name}({bases})" if bases else f"class {node.name}"


def prose(docstring):
    """A docstring, which is plain text, as Markdown that shows the same characters."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", docstring):
        indented = all(line.startswith("    ") for line in paragraph.split("\n"))
        parts.append(fenced("", paragraph) if indented else "\n".join(map(escaped, paragraph.split("\n"))))
    return "\n\n".join(parts)


def escaped(line):
    """A line of plain text as Markdown that shows the same characters; what stands in backticks is code."""
    pieces = re.split(r"(`[^`]+`)", line.strip())
    return "".join(piece if CODE.fullmatch(piece) else SPECIAL.sub(r"\\\1", piece) for piece in pieces)
