"""Tables from other programs: a CSV file in whatever encoding and with whatever separator it came."""

import codecs
import csv
import io
import re
from dataclasses import dataclass

from tito.errors import UsageError

SEPARATORS = (",", ";", "\t")
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
EXCEL_TEXT = re.compile(r'="(.*)"')  # how some programs keep Excel from reading 007 as a number


@dataclass(frozen=True)
class Table:
    """columns: the titles; rows: (line in the file, {title: text}) for every row that is not empty."""

    columns: tuple
    rows: tuple


def read_table(path):
    """The table in the CSV file `path`. Raises UsageError where there is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", "name a CSV file") from error
    if data[:4] == b"PK\x03\x04":
        raise UsageError(f"{path} is a spreadsheet or an archive, not CSV", "save it as CSV, then import that file")
    text = _decode(data)
    separator, text = separator_of(text)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=False)
        lines = [(reader.line_num, [stripped(value) for value in row]) for row in reader]
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: {error}", "save it as CSV again") from error
    lines = [(line, row) for line, row in lines if any(row)]
    if not lines:
        raise UsageError(f"{path} is empty", "name a CSV file with a line of titles")
    columns = lines[0][1]
    rows = tuple((line, dict(zip(columns, row, strict=False))) for line, row in lines[1:])
    return Table(tuple(columns), rows)


def _decode(data):
    """Text in UTF-8 or UTF-16 with or without a mark, else in Windows' western code page."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if b"\0" in data[:200]:
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def separator_of(text):
    """(separator, the text without a line `sep=;`)"""
    first = re.match(r"[^\r\n]*", text)[0]
    stated = re.fullmatch(r"sep=(.)\s*", first)
    if stated:
        return stated[1], re.sub(r"\r\n|\r|\n", "", text[len(first) :], count=1)
    counts = {separator: len(next(csv.reader([first], delimiter=separator), [])) for separator in SEPARATORS}
    return max(SEPARATORS, key=counts.get), text


def stripped(value):
    """A cell as it is meant: without space around it, and without what keeps a spreadsheet from reading a number."""
    value = value.strip().strip("\N{NO-BREAK SPACE}")
    stated = EXCEL_TEXT.fullmatch(value)
    return stated[1] if stated else value
