"""The module that docs/adding_a_module.md adds, as the files and the additions to files that the page shows."""

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adding_a_module.md"
BLOCK = re.compile(r"^`(?P<path>[\w./]+)`:\n\n```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


class PlaceError(ValueError):
    """An addition whose place is not in its file, or more than once."""


@dataclass(frozen=True)
class Piece:
    """A block of the page. path: below the course; body: the text of a file, or what is added to one."""

    path: str
    body: str
    is_addition: bool


def pieces(page=None):
    """All of the page, in order."""
    text = PAGE.read_text(encoding="utf-8") if page is None else page
    return [Piece(found["path"], found["body"], found["kind"] == "diff") for found in BLOCK.finditer(text)]


def write(root, parts):
    """Write the files into the course at `root`, and the additions into its files, where those are."""
    for part in parts:
        path = root / part.path
        if not part.is_addition:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(part.body, encoding="utf-8", newline="\n")
        elif path.is_file():
            path.write_text(added(path.read_text(encoding="utf-8"), part), encoding="utf-8", newline="\n")


def added(text, part):
    """`text` with an addition's lines that begin with + between those that stay. Raises PlaceError."""
    rows = part.body.splitlines()
    before = "".join(f"{row[1:]}\n" for row in rows if not row.startswith("+"))
    if text.count(before) != 1:
        raise PlaceError(f"{part.path}: this stands there {text.count(before)} times, not once:\n{before}")
    return text.replace(before, "".join(f"{row[1:]}\n" for row in rows))
