"""A CSV file that goes back to where it came from: single cells change, and every other byte stays as it was.

Encoding, byte order mark, separator, quotes, line ends and the order of columns are whoever's who wrote the file.
"""

import codecs
import re
from dataclasses import dataclass

from tito.errors import UsageError
from tito.services.grading.roster.tables import separator_of, stripped

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
WITHOUT_MARK = ("utf-8", "cp1252", "latin-1")  # the last one takes all bytes
LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class Cell:
    """A cell of a sheet: text[start:end] of the file is `value`, in quotes where `quoted`."""

    value: str
    start: int
    end: int
    quoted: bool


@dataclass(frozen=True)
class SheetRow:
    """A row that is not empty. line: of the file, from 1."""

    line: int
    cells: tuple

    def exact(self, column):
        """The text of a cell as it stands there; "" where the row ends before it."""
        return self.cells[column].value if column < len(self.cells) else ""

    def __getitem__(self, column):
        return stripped(self.exact(column))


class Sheet:
    """The CSV file `data`, whose titles are its first row. label: its name, for messages.

    Raises UsageError for what is no CSV file.
    """

    def __init__(self, data, label):
        self.label = label
        if data[:4] == b"PK\x03\x04":
            raise UsageError(f"{label} is a spreadsheet or an archive, not CSV", "save it as CSV, then name that file")
        self.mark, self.encoding, self.text = _decoded(data)
        self.separator, table = separator_of(self.text)
        rows = [row for row in self._rows(len(self.text) - len(table)) if any(cell.value for cell in row.cells)]
        if not rows:
            raise UsageError(f"{label} is empty", "name a CSV file with a line of titles")
        self.titles = tuple(rows[0][column] for column in range(len(rows[0].cells)))
        self.rows = tuple(rows[1:])
        self._changes, self._further = {}, {}

    def _rows(self, position):
        """Every row from `position` of the text on."""
        separator = re.escape(self.separator)
        cell = re.compile(rf'"([^"]*(?:""[^"]*)*)"(?={separator}|[\r\n]|\Z)|([^{separator}\r\n]*)')
        line, cells = 1 + len(LINE_END.findall(self.text, 0, position)), []
        first = line
        while True:
            found = cell.match(self.text, position)
            quoted = found[1] is not None
            if not quoted and found[2].startswith('"'):
                raise UsageError(
                    f"{self.label}, line {line}: a cell begins with a quotation mark and does not end with one",
                    "save it as CSV again",
                )
            value = found[1].replace('""', '"') if quoted else found[2]
            cells.append(Cell(value, found.start(), found.end(), quoted))
            line += len(LINE_END.findall(found[0])) if quoted else 0
            position = found.end()
            if self.text.startswith(self.separator, position):
                position += len(self.separator)
                continue
            yield SheetRow(first, tuple(cells))
            end = LINE_END.match(self.text, position)
            if end is None or end.end() == len(self.text):
                return
            position, cells, line = end.end(), [], line + 1
            first = line

    def put(self, row, column, text):
        """Change a cell. The same text is no change."""
        if column < len(row.cells):
            cell = row.cells[column]
            if text != cell.value:
                self._changes[cell.start, cell.end, 0] = self._written(text, cell.quoted)
        elif text:  # behind the last cell of a row that is shorter than the titles
            last = row.cells[-1].end
            further = self._further.setdefault(last, [])
            further += [""] * (column - len(row.cells) + 1 - len(further))
            further[column - len(row.cells)] = self._written(text, False)
            self._changes[last, last, 1] = "".join(self.separator + one for one in further)

    def _written(self, text, quoted):
        needs = quoted or text != text.strip() or re.search(rf'["\r\n{re.escape(self.separator)}]', text)
        return '"' + text.replace('"', '""') + '"' if needs else text

    def has_characters_of(self, text):
        """Whether the encoding of the file has all characters of `text`."""
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            return False
        return True

    @property
    def changed_text(self):
        """The text of the file with its changes."""
        parts, position = [], 0
        for (start, end, _), text in sorted(self._changes.items()):
            parts += [self.text[position:start], text]
            position = end
        return "".join([*parts, self.text[position:]])

    @property
    def data(self):
        """The bytes of the file with its changes."""
        return self.mark + self.changed_text.encode(self.encoding)


def read_sheet(path):
    """The Sheet in the file `path`. Raises UsageError where there is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "name a CSV file") from error
    return Sheet(data, str(path))


def _decoded(data):
    """(mark, encoding, text) of which the same bytes can be made again."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            candidates, rest = (encoding,), data[len(mark) :]
            break
    else:
        mark, rest, candidates = b"", data, WITHOUT_MARK
        if b"\0" in data[:200]:
            candidates = ("utf-16-le" if data[1:2] == b"\0" else "utf-16-be",)
    for encoding in candidates:
        try:
            text = rest.decode(encoding)
        except UnicodeDecodeError:
            continue
        if text.encode(encoding) == rest:
            return mark, encoding, text
    raise UsageError("the file is in no encoding that is known: its bytes are broken", "save it as CSV in UTF-8")
