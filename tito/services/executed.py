"""What the cells of a notebook that ran have printed and shown: as text, and as a page."""

import copy

from tito.services.files import atomic_write


def text(outputs):
    """What was printed, and the last value, as a terminal can show them; a picture is a word."""
    parts = []
    for output in outputs:
        if output.output_type == "stream":
            parts.append(output.text)
        elif output.output_type in ("display_data", "execute_result"):
            is_picture = any(kind.startswith("image/") for kind in output.data)
            parts.append("(a picture)\n" if is_picture else output.data.get("text/plain", "") + "\n")
    return "".join(parts).rstrip("\n")


def page_path(project, module):
    return project.state / "pages" / f"{module.name}.html"


def write_page(project, module, placed, running, outputs):
    """Write the notebook as it ran as an HTML page, and return its path.

    placed: its cells; running: those that ran; outputs: {number among those: their outputs}.
    """
    from nbformat import v4

    numbers = {id(one): number for number, one in enumerate(running)}
    node = v4.new_notebook(cells=[copy.deepcopy(one.cell) for one in placed])
    for cell, one in zip(node.cells, placed, strict=True):
        if cell.cell_type == "code":
            cell.outputs = outputs.get(numbers.get(id(one)), [])
            cell.execution_count = numbers[id(one)] + 1 if id(one) in numbers else None
    path = page_path(project, module)
    atomic_write(path, page(node, module.name))
    return path


def page(node, title):
    """The bytes of an HTML page of a notebook, with the outputs that it has."""
    from nbconvert import HTMLExporter

    text, _ = HTMLExporter().from_notebook_node(node, resources={"metadata": {"name": title}})
    return text.encode("utf-8", "replace")
