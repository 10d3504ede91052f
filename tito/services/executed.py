"""What the cells of a notebook that ran have printed and shown: as text, and as a page."""

import copy

from tito.services import pages
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
    """Write the notebook as it ran as an HTML page; (its path, "" or what is missing on it).

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
    made, missing = page(node, module.name)
    atomic_write(path, made)
    return path, missing


def page(node, title):
    """(the bytes of an HTML page of a notebook with its outputs, "" or what is missing on it).

    Where nbconvert cannot make a page, without its templates for example, there is a plain one.
    """
    from nbconvert import HTMLExporter

    try:
        html, _ = HTMLExporter().from_notebook_node(node, resources={"metadata": {"name": title}})
        return html.encode("utf-8", "replace"), ""
    except Exception as error:  # whatever it is, nobody has to do without the text
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        missing = (
            f"the page is a plain one, because nbconvert does not make its own ({reason[:200]}): "
            "pip install --force-reinstall nbconvert"
        )
        return pages.render("executed.html", title=title, cells=[_plain(cell) for cell in node.cells]), missing


def _plain(cell):
    """A cell as the plain page shows it: its text, what it printed, and its pictures as PNG in Base64."""
    own = cell.get("outputs", [])
    errors = ["\n".join(one.traceback) for one in own if one.output_type == "error"]
    pictures = [one.data["image/png"] for one in own if "image/png" in one.get("data", {})]
    return {
        "is_code": cell.cell_type == "code",
        "source": cell.source,
        "printed": "\n".join(filter(None, [text(own), *errors])),
        "pictures": ["".join(one.split()) for one in pictures],
    }
