"""The only printer: tables and progress on a terminal, plain text in a pipe, one JSON document on request."""

import json
import re
import shutil
import sys
import textwrap
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import datetime

SCHEMA = 1
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
CONTROLS = re.compile(r"[\x7f-\x9f]")  # those that JSON leaves as they are
# characters that turn the direction of writing, end a line or are not seen (Unicode's Cf, Zl and Zp), but for two that
# scripts and emoji spell with (U+200C, U+200D)
UNSEEN = re.compile(
    "[\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0001-\U000e007f]"
)
STYLES = {
    "passed": "green", "complete": "green", "done": "green", "ok": "green", "ready": "cyan", "started": "cyan",
    "adopted": "cyan", "todo": "yellow", "stale": "yellow", "blocked": "yellow", "edited": "yellow", "locked": "dim",
    "failed": "red", "crashed": "red", "timeout": "red", "broken": "red", "missing": "red",
    "wrong": "red",
}  # fmt: skip


class Console:
    """What a command says, to whoever listens."""

    def __init__(self):
        self.json = False
        self.verbose = False
        self.data = None
        self.stdout = None
        self.is_told = False

    def configure(self, *, json, verbose=False):
        """Prepare the streams: UTF-8 whatever the locale, each line at once, also where a program reads them, and
        nothing but the document on stdout with `json`.
        """
        self.json, self.verbose, self.data = json, verbose, None
        self.stdout, self.is_told = sys.stdout, False  # app redirects stdout while a command runs
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)

    @property
    def on_terminal(self):
        return not self.json and sys.stdout.isatty()

    def show(self, data, lines):
        """A result: `data` for the document, and what `lines()`, a function that prints, shows to a person."""
        self.data = data
        if not self.json:
            lines()

    @property
    def width(self):
        """The columns of the terminal, None where there is none."""
        return shutil.get_terminal_size().columns if self.on_terminal else None

    def line(self, text=""):
        """A sentence. On a terminal it is broken between words, unless it holds what one may want to copy whole."""
        if not self.json:
            print("\n".join(_wrapped(line, self.width) for line in clean(text).split("\n")))

    def warn(self, text):
        """Beside the result, which has its warnings in its data."""
        if not self.json:
            _print_error(f"warning: {clean(text)}")

    def table(self, columns, rows):
        """`rows` of strings under `columns`; a column whose title starts with ">" is set flush right.

        Only the last cell of a row may have several lines.
        """
        titles = [title.lstrip(">") for title in columns]
        right = [title.startswith(">") for title in columns]
        rows = [[*map(on_one_line, row[:-1]), clean(row[-1])] for row in map(tuple, rows)]
        if self.on_terminal:
            _print_rich_table(titles, right, rows)
        elif not self.json:
            _print_plain_table(titles, right, rows)

    @contextmanager
    def progress(self, title, unit=None):
        """A bar on the terminal while a block runs; yields advance(done, total, title). In a pipe there is none.

        unit="bytes": what is counted is a download. A title given to advance replaces the one before.
        """
        if not sys.stderr.isatty():
            yield None
            return
        from rich import progress
        from rich.console import Console as Terminal

        counts = (progress.MofNCompleteColumn(), progress.TimeElapsedColumn())
        if unit == "bytes":
            counts = (progress.DownloadColumn(), progress.TransferSpeedColumn())
        columns = (progress.TextColumn("{task.description}", markup=False), progress.BarColumn(None), *counts)
        with progress.Progress(*columns, console=Terminal(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total, title=None: bar.update(
                task, completed=done, total=total, description=None if title is None else clean(title)
            )

    def error(self, message, hint):
        if not self.json or self.is_told:
            sys.stdout.flush()
            _print_error(f"error: {clean(message)}")
            if hint:
                print(f"  next: {clean(hint)}", file=sys.stderr)

    def stays(self):
        """The command runs on until somebody ends it, so whoever reads the document has to have it now."""
        if self.json:
            self.document()

    def document(self, error=None):
        """Print the one document of --json, unless it was. error: {"code", "message", "hint"}, or None."""
        if self.is_told:
            return
        self.is_told = True
        document = {"schema": SCHEMA, "ok": error is None, "data": self.data, "error": error}
        text = json.dumps(document, indent=2, ensure_ascii=False, default=_plain)
        print(CONTROLS.sub(_escaped, UNSEEN.sub(_escaped, text)), file=self.stdout)


def clean(text):
    """`text` without escape sequences and control characters, and with what is not seen as an escape: a student's
    message must not drive the terminal, nor a name look like another one.
    """
    return UNSEEN.sub(_escaped, ESCAPES.sub("", text.replace("\r\n", "\n")))


def on_one_line(text):
    """The same for a name, in which a new line would begin a line of its own."""
    return clean(text.replace("\n", "\\n"))


def _escaped(match):
    return json.dumps(match[0])[1:-1]


def _print_error(text):
    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else None
    print("\n".join(_wrapped(line, width) for line in text.split("\n")), file=sys.stderr)


def _wrapped(line, width):
    to_copy = line.startswith((" ", "next:")) or "://" in line
    if width is None or len(line) <= width or to_copy:
        return line
    return textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)


def _plain(value):
    """What JSON does not know: dataclasses by their fields, times in ISO 8601, paths as text."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)


def _print_plain_table(titles, right, rows):
    """Aligned columns; the further lines of the last cell of a row stand below it."""
    first_lines = [[*row[:-1], row[-1].split("\n", 1)[0]] for row in rows]
    widths = [max(len(row[column]) for row in [titles, *first_lines]) for column in range(len(titles))]
    aligned = [str.rjust if flush else str.ljust for flush in right]
    for row, further in zip([titles, *first_lines], ["", *(row[-1].partition("\n")[2] for row in rows)], strict=True):
        print("  ".join(align(text, width) for align, text, width in zip(aligned, row, widths, strict=True)).rstrip())
        for line in further.splitlines():
            print(f"    {line}".rstrip())


def _print_rich_table(titles, right, rows):
    from rich.box import SIMPLE_HEAD
    from rich.console import Console as Terminal
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title, flush in zip(titles, right, strict=True):
        table.add_column(title, justify="right" if flush else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in row))
    Terminal().print(table)


console = Console()
