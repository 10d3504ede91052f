"""Cells of CSV files that a spreadsheet shows and does not run, and that come back as they were.

A spreadsheet takes a text that begins with = + - or @ for a formula, wherever it believes that a cell begins: behind a
semicolon, a bar, a tab or a line end as well, with the settings of some country. There an apostrophe is put before it;
where a text has one at such a place already, it gets a second one, so that taking one away restores every text.
"""

import csv
import io
import re

STARTS = r"""(^|[;|\t\r\n])"""
RUNS = r"""(?=[\s"']*[=+@\-\N{MINUS SIGN}＝＋＠－﹢﹣﹦﹫])"""
ESCAPE, ESCAPED = re.compile(STARTS + RUNS), re.compile(f"{STARTS}'{RUNS}")


def harmless(text):
    """`text` as a cell that nothing runs."""
    return ESCAPE.sub(r"\1'", text)


def as_written(cell):
    """The text of which `harmless` made the cell."""
    return ESCAPED.sub(r"\1", cell)


def csv_bytes(rows):
    """The bytes of a CSV file of `rows`, which hold texts, numbers and None; spreadsheets read it as UTF-8."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([[_cell(value) for value in row] for row in rows])
    return text.getvalue().encode("utf-8-sig", "replace")


def _cell(value):
    if value is None:
        return ""
    return harmless(value) if isinstance(value, str) else f"{round(value, 4):.4f}".rstrip("0").rstrip(".")
