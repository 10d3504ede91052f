"""What the cells of a module's reference print and draw: run once, and kept for as long as nothing they use changes."""

import sys

from tito.errors import WorkError
from tito.services import documents, kernel, notebooks, views
from tito.services.files import atomic_write, digest

SCHEMA = 1
CELL_SECONDS, MEASURE_SECONDS, TOTAL_SECONDS = 60, 300, 1800


def kept(project, catalog, module):
    """{cell index: outputs} of the last run, where the code and the package are those that ran; else None."""
    from nbformat import from_dict

    found, _ = documents.read(_path(project, module), SCHEMA, lambda document: document, project.state / "backups")
    if found is None or found.get("key") != key(project, catalog, module):
        return None
    return {int(index): [from_dict(one) for one in cell] for index, cell in found["cells"].items()}


def run(project, catalog, module):
    """The same from a fresh run of every cell, which is kept. Raises WorkError naming the first cell that stops."""
    wanted = key(project, catalog, module)
    source = notebooks.load(project, module.source(project))
    running = [index for index, _ in notebooks.code_cells(source.node)]
    outputs = {}

    def seconds(number, _):
        return MEASURE_SECONDS if notebooks.is_measure(source.node.cells[running[number]]) else CELL_SECONDS

    with views.view(project, catalog.prerequisites(module)) as folder:
        outcomes = kernel.run_cells(
            [source.node.cells[index].source for index in running],
            folder=folder,
            cwd=module.folder,
            limits=kernel.TimeLimits(CELL_SECONDS, TOTAL_SECONDS, seconds),
            outputs=outputs,
        )
    for index, outcome in zip(running, outcomes, strict=True):
        if outcome.status != "ok":
            place, message = notebooks.where(source, index), outcome.error or outcome.message or outcome.status
            raise WorkError(f"{place} stopped: {message}", f"tito module test {module.name} --all", code="stopped")
    cells = {running[number]: shown for number, shown in outputs.items() if shown}
    atomic_write(_path(project, module), documents.text(SCHEMA, key=wanted, cells=cells))
    return kept(project, catalog, module)


def key(project, catalog, module):
    """Changes with the code of the notebook and with all of the package that it can import; prose is no part of it."""
    source = notebooks.load(project, module.source(project))
    parts = [f"{sys.version_info[:2]}", *(cell.source for _, cell in notebooks.code_cells(source.node))]
    cores = {one.core_file for one in catalog.prerequisites(module)}
    for path in sorted(project.package.rglob("*.py")):
        if path.parent != project.core or path.name in cores:
            parts += [project.relative(path), path.read_text(encoding="utf-8")]
    return digest("\0".join(parts).encode("utf-8"))


def _path(project, module):
    return project.state / "site" / "outputs" / f"{module.name}.json"
