"""Notebooks: read from a percent source or an .ipynb file into one form, asked what their cells are, and written.

Whatever a file holds, `load` returns a valid notebook of format 4.5 or raises a WorkError that says what is wrong
with which file. Cell ids are derived from the content, so that the same source always gives the same notebook.
"""

import copy
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tito.errors import WorkError
from tito.services import syntax
from tito.services.files import atomic_write, digest

PLACEHOLDER = "YOUR ANSWER HERE"  # nbgrader's
EXPORT = re.compile(r"#\|\s*export\s*")
MARKER = re.compile(r"\s*#\s*%%+(?P<options>\s.*)?")
QUOTES = tuple(prefix + quote for prefix in ("", "r", "R") for quote in ('"' * 3, "'" * 3))
KEPT_METADATA = ("nbgrader", "tinytorch", "jupyter", "tags")
NO_MEMORY = "takes more memory to read than there is"
MOST_CELLS = 2000  # of a notebook; a module's has about a hundred


@dataclass(frozen=True)
class Source:
    """A notebook and where it came from.

    label: the path as a person types it; node: the notebook; starts: for each cell the line of the percent file on
    which its source starts, or None for an .ipynb file. ids: of the cells as the file has them, "" for none. places:
    where the cells were put in order again, for each its index in the file, None where it is not there, and how many
    lines of that cell stand above it.
    """

    path: Path
    label: str
    node: dict
    starts: list | None
    ids: tuple = ()
    places: tuple | None = None


def load(project, path):
    """The notebook in `path`, a percent source or an .ipynb file. Raises WorkError (code "unreadable")."""
    path = Path(path)
    label = project.relative(path)
    data = _read_bytes(path, label)
    if path.suffix == ".ipynb":
        return parse(data, label, path)
    node, starts = _read_percent(_decoded(data, label, path), label)
    return Source(path, label, copy.deepcopy(node), [*starts])


def parse(data, label, path=None, *, outputs=True):
    """The notebook in `data`, the bytes of an .ipynb file. label: what messages call it; path: of the file, if any.

    outputs: whether those are kept. Raises WorkError (code "unreadable").
    """
    path = path or Path(label)
    node, ids = _parse_notebook(_decoded(data, label, path), label, path, outputs)
    _set_ids(node)
    return Source(path, label, node, None, ids)


def where(source, index, line=None):
    """The place of cell `index` (from 0), or of a `line` (from 1) of it, as a person finds it."""
    if source.places is not None:
        name = grade_id(source.node.cells[index])
        index, above = source.places[index]
        if index is None:
            return f"{source.label}, the restored cell {name}" + (f", line {line}" if line else "")
        line = line and max(1, line + above)
    if source.starts is not None:
        return f"{source.label}:{source.starts[index] + (line or 1) - 1} (cell {index + 1})"
    return f"{source.label}, cell {index + 1}" + (f", line {line}" if line else "")


def write(node, path):
    """Write a notebook to `path` as .ipynb: atomic, with the same bytes for the same notebook everywhere."""
    atomic_write(path, as_bytes(node))


def as_bytes(node):
    """A notebook as the bytes of its .ipynb file."""
    from nbformat import v4

    return (v4.writes(node).rstrip("\n") + "\n").encode("utf-8", "replace")


# What a cell is: the kinds of the course's conventions, read from the cell's metadata.


def grading(cell):
    """The nbgrader metadata of a cell, {} where it has none."""
    metadata = cell["metadata"].get("nbgrader") if isinstance(cell.get("metadata"), dict) else None
    return metadata if isinstance(metadata, dict) else {}


def guide(cell):
    """What the course says of an answer: {"hints": […], "minutes": …, "objective": …}; {} where it says nothing.

    "stretch": true where it is one, see is_stretch.
    """
    metadata = cell["metadata"].get("tinytorch") if isinstance(cell.get("metadata"), dict) else None
    return metadata if isinstance(metadata, dict) else {}


def hints(cell):
    """The hints of an answer, from a question to a sketch in words. A student's notebook has none."""
    found = guide(cell).get("hints")
    return [hint for hint in found if isinstance(hint, str)] if isinstance(found, list) else []


def is_stretch(cell):
    """An answer for those who want more: it earns points only where the course says so."""
    return is_solution(cell) and guide(cell).get("stretch") is True


def load_handed_out(project, module):
    """The notebook of `module` with its answers, its cells worth what they are worth to students."""
    source = load(project, module.percent)
    count_stretches(project, source.node)
    return source


def count_stretches(project, node):
    """Make stretch answers' tests worth 0 points, so that nothing depends on them, unless the course counts them."""
    if project.stretch:
        return
    stretch, answers = {grade_id(cell) for cell in node.cells if is_stretch(cell)}, questions(node)
    for cell in node.cells:
        if is_test(cell) and answers.get(grade_id(cell)) in stretch:
            grading(cell)["points"] = 0


def grade_id(cell):
    """nbgrader's name for the cell, or None."""
    name = grading(cell).get("grade_id")
    return name if isinstance(name, str) and name else None


def is_solution(cell):
    """A code cell that the student writes."""
    return bool(grading(cell).get("solution")) and not grading(cell).get("grade")


def is_test(cell):
    """A cell that earns points by running."""
    return bool(grading(cell).get("grade")) and not grading(cell).get("solution")


def is_written(cell):
    """An answer in words, graded by a person."""
    return bool(grading(cell).get("grade")) and bool(grading(cell).get("solution"))


def empty_answers(node, handed_out=None):
    """grade_ids of the written answers of `node` that say nothing: gone, blank, or as they were handed out."""
    if handed_out is None:
        return tuple(grade_id(cell) for cell in node.cells if is_written(cell) and _says_nothing(cell.source))
    answers = {grade_id(cell): cell.source.strip() for cell in node.cells if is_written(cell)}
    originals = {grade_id(cell): cell.source.strip() for cell in handed_out.cells if is_written(cell)}
    said = {name: answers.get(name, "") for name in originals if name}
    return tuple(name for name, text in said.items() if _says_nothing(text) or text == originals[name])


def _says_nothing(text):
    return text.strip() in ("", PLACEHOLDER)


def is_question(cell):
    """The question that the written answer below it answers."""
    return cell.cell_type == "markdown" and (grade_id(cell) or "").startswith("question-") and is_locked(cell)


def question_of(answer, node):
    """The question that a written answer answers, wherever the student moved it: written-x to question-x; or None."""
    name = (grade_id(answer) or "").replace("written-", "question-", 1)
    return next((cell for cell in node.cells if is_question(cell) and grade_id(cell) == name), None)


def is_folded(cell):
    """A cell whose code JupyterLab shows only when it is asked for."""
    metadata = cell.metadata.get("jupyter")
    return isinstance(metadata, dict) and metadata.get("source_hidden") is True


def is_locked(cell):
    """A cell that is restored from the pristine copy where it was edited."""
    return bool(grading(cell).get("locked"))


def points(cell):
    """What the cell is worth; 0 where it says nothing usable."""
    value = grading(cell).get("points", 0)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0


def is_measure(cell):
    """A cell that only measures, trains or plots: skipped by testing and grading."""
    tags = cell.metadata.get("tags")
    return isinstance(tags, list) and "measure" in tags


def is_exported(cell):
    """A code cell that becomes part of the package."""
    return cell.cell_type == "code" and EXPORT.fullmatch(cell.source.split("\n", 1)[0]) is not None


def is_withheld(cell):
    """A test whose code stays with the instructor: nothing but comments is left of it."""
    lines = (line.strip() for line in cell.source.splitlines())
    return is_test(cell) and cell.cell_type == "code" and all(not line or line.startswith("#") for line in lines)


def code_cells(node):
    """(index, cell) of every code cell."""
    return [(index, cell) for index, cell in enumerate(node.cells) if cell.cell_type == "code"]


def exported_definitions(node):
    """(cell index, name, line, top-level statement) of all that the exported cells define, in order."""
    for index, cell in code_cells(node):
        tree = syntax.parsed(cell.source) if is_exported(cell) else None
        for name, line, statement in syntax.definitions(tree) if tree else []:
            yield index, name, line, statement


def questions(node):
    """{grade_id of a test: grade_id of the closest solution above it, None where there is none}."""
    answers, question = {}, None
    for cell in node.cells:
        if is_solution(cell):
            question = grade_id(cell)
        elif is_test(cell) and grade_id(cell):
            answers[grade_id(cell)] = question
    return answers


# Reading.


def _unreadable(label, reason, hint):
    return WorkError(f"{label} {reason}", hint, code="unreadable")


def _start_over(path):
    if path.suffix == ".ipynb":
        return f"tito module reset {path.parent.name}   (keeps a backup of the file)"
    return "restore the file"


def _read_bytes(path, label):
    try:
        return path.read_bytes()
    except FileNotFoundError:
        hint = f"tito module start {path.parent.name}" if path.suffix == ".ipynb" else "restore the file"
        raise _unreadable(label, "does not exist", hint) from None
    except OSError as error:
        raise _unreadable(label, f"cannot be read: {error.strerror}", "check the file and its permissions") from error


def encoding(data):
    """Of the bytes of a notebook: UTF-8, or UTF-16 as some editors on Windows save it."""
    found = json.detect_encoding(data)
    return "utf-8-sig" if found == "utf-8" else found


def _decoded(data, label, path):
    try:
        text = data.decode(encoding(data))
    except UnicodeDecodeError as error:
        name = error.encoding.upper()[:6].rstrip("-_")
        raise _unreadable(label, f"is not {name} text (byte {error.start})", "save it as UTF-8") from error
    if not text.strip():
        raise _unreadable(label, "is empty", _start_over(path))
    return text.replace("\r\n", "\n").replace("\r", "\n")


@lru_cache(maxsize=64)
def _read_percent(text, label):
    """(node, starts) of a percent source, for all who ask for it: whoever may change them needs a copy."""
    node, starts = _parse_percent(text, label)
    _set_ids(node)
    return node, starts


def _parse_percent(text, label):
    """The notebook in a percent source, and the line on which each cell's source starts."""
    import jupytext

    lines = text.splitlines()
    if not MARKER.fullmatch(lines[0]):
        raise _unreadable(f"{label}:1", "does not start with a cell marker", "begin the file with: # %% [markdown]")
    # comment_magics=False: otherwise jupytext takes a comment such as "# copy the array" for a shell command
    # and uncomments it
    cells = jupytext.reads(text, fmt={"extension": ".py", "format_name": "percent", "comment_magics": False}).cells
    starts, end = [], 0
    for cell in cells:
        marker = next(number for number in range(end, len(lines)) if MARKER.fullmatch(lines[number]))
        _require_metadata(cell, lines[marker], f"{label}:{marker + 1}")
        quoted = "cell_marker" in cell.metadata and lines[marker + 1].strip() in QUOTES
        start = marker + (2 if quoted else 1)
        starts.append(start + 1)
        end = start + cell.source.count("\n")
        cell.metadata = {key: cell.metadata[key] for key in KEPT_METADATA if key in cell.metadata}
    return _clean(cells, {}), starts


def _require_metadata(cell, marker, place):
    """Refuse a cell whose metadata jupytext could not parse and dropped."""
    options = (MARKER.fullmatch(marker)["options"] or "").replace(f"[{cell.cell_type}]", "")
    kept = any(key in cell.metadata for key in KEPT_METADATA)
    if any(sign in options for sign in "{[=") and (not kept or "incorrectly_encoded_metadata" in cell.metadata):
        raise _unreadable(
            place,
            f"has cell metadata that cannot be parsed: {options.strip()}",
            "write it as key=value with JSON values: true and false, not True and False",
        )


def _parse_notebook(text, label, path, outputs=True):
    """(notebook, ids of its cells) in the JSON `text` of a file that anybody may have edited with anything."""
    import nbformat

    try:
        data = json.loads(text)
    except MemoryError as error:
        raise _unreadable(label, NO_MEMORY, _start_over(path)) from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(label, f"is not valid JSON: {error}", _start_over(path)) from error
    if not isinstance(data, dict) or not isinstance(data.get("nbformat"), int):
        raise _unreadable(label, "is JSON, but not a notebook", _start_over(path))
    if not isinstance(data.get("cells", data.get("worksheets")), list):
        raise _unreadable(label, "has no list of cells", _start_over(path))
    count = _count(data)
    if count > MOST_CELLS:
        raise _unreadable(label, f"has {count:,} cells; tito reads up to {MOST_CELLS:,}", _start_over(path))
    if data["nbformat"] > 4:
        version = data["nbformat"]
        raise _unreadable(label, f"has notebook format {version}; tito reads up to 4", "save it as format 4")
    try:
        node = nbformat.from_dict(data)
        if node.nbformat < 4:
            node = nbformat.convert(node, 4)
        ids = tuple(map(_id, node.cells))
        if not outputs:
            _drop_outputs(node.cells)
        return _clean(node.cells, node.get("metadata")), ids
    except MemoryError as error:
        raise _unreadable(label, NO_MEMORY, _start_over(path)) from error
    except Exception as error:  # nbformat's converters and validators fail on malformed cells in any way
        reason = (str(error).splitlines() or [""])[0]
        reason = f"is not a valid notebook ({type(error).__name__}: {reason})"
        raise _unreadable(label, reason, _start_over(path)) from error


def _count(data):
    """How many cells a notebook of any format has."""
    worksheets = data.get("worksheets") if isinstance(data.get("worksheets"), list) else []
    lists = [data, *(one for one in worksheets if isinstance(one, dict))]
    return sum(len(one["cells"]) for one in lists if isinstance(one.get("cells"), list))


def _drop_outputs(cells):
    for cell in cells:
        if isinstance(cell, dict):
            cell.pop("outputs", None)
            cell.pop("execution_count", None)


def _id(cell):
    """The id of a cell, which Colab keeps in its metadata; "" for none."""
    cell = cell if isinstance(cell, dict) else {}
    metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    return next((one for one in (cell.get("id"), metadata.get("id")) if isinstance(one, str)), "")


def _clean(cells, metadata):
    """A notebook of format 4.5 with what is valid in `cells`. Raises ValueError where one is no cell at all."""
    from nbformat import ValidationError, v4

    try:
        node = v4.new_notebook(metadata=metadata)
    except ValidationError:
        node = v4.new_notebook()
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
            raise ValueError(f"cell {number} is neither code nor markdown nor raw")
        node.cells.append(_cell(cell))
    if not _is_valid(node):
        node.cells = [_repaired(cell) for cell in node.cells]
    return node


def _cell(cell):
    """A cell with what it should have; whether that is valid is asked once, of the whole notebook."""
    from nbformat import NotebookNode

    empty = {"execution_count": None, "outputs": []} if cell["cell_type"] == "code" else {}
    keys = ("metadata", *empty) if empty else ("metadata", "attachments")
    given = {key: cell[key] for key in keys if key in cell}
    made = {"cell_type": cell["cell_type"], "id": "cell", "metadata": NotebookNode(), **empty, **given}
    return NotebookNode(made, source=_text(cell.get("source")))


def _is_valid(node):
    from nbformat.validator import get_validator

    return not any(get_validator(4, 5).iter_errors(node))


def _repaired(cell):
    """A cell without what is not valid in it; what decides about points is kept, outputs can be computed again."""
    from nbformat import ValidationError, v4

    maker = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell, "raw": v4.new_raw_cell}[cell["cell_type"]]
    try:
        return maker(**{key: value for key, value in cell.items() if key != "cell_type"})
    except ValidationError:
        return maker(cell.source, metadata={"nbgrader": grading(cell)} if grading(cell) else {})


def _text(source):
    """The source of a cell, which the format allows to be a list of lines."""
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    text = source if isinstance(source, str) else ""
    # half a surrogate pair is valid JSON, and no text that a file could hold
    return text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode("utf-8")


def _set_ids(node):
    """Give every cell an id that depends on its content only: its grade_id, else a hash of its source."""
    taken = set()
    for cell in node.cells:
        name = re.sub(r"[^A-Za-z0-9_-]", "-", grade_id(cell) or "")[:56]
        base = name or digest(f"{cell.cell_type}\n{cell.source}".encode())[:16]
        number = 1
        while (unique := base if number == 1 else f"{base}-{number}") in taken:
            number += 1
        taken.add(unique)
        cell.id = unique
