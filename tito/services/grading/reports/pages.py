"""The frame of the HTML pages that grading writes: one file each, no scripts, readable in light, dark and print."""

import html
import re

CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark; --text: #1b1b1f; --page: #ffffff; --soft: #f3f3f6; --line: #8a8a94;
  --good: #14602c; --bad: #9b1c1c; --link: #0b4f9e; --bar: #3d6da8; }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8ee; --page: #17171b; --soft: #24242b; --line: #85858f;
  --good: #7fd49a; --bad: #ff9d9d; --link: #8fbcff; --bar: #7ca7dd; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; color: var(--text); background: var(--page);
  font: 1rem/1.5 system-ui, sans-serif; }
a { color: var(--link); }
.skip { position: absolute; left: -100rem; }
.skip:focus { position: static; }
h1, h2, h3 { line-height: 1.25; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
caption { text-align: left; font-weight: bold; padding: 0.25rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.6rem; border: 1px solid var(--line); }
thead th { background: var(--soft); }
td.number, th.number { text-align: right; white-space: nowrap; }
pre, td.words { white-space: pre-wrap; overflow-wrap: anywhere; }
pre { background: var(--soft); border: 1px solid var(--line); padding: 0.6rem; margin: 0.5rem 0; }
pre, code { font: 0.9rem/1.45 ui-monospace, monospace; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1rem; }
dt { font-weight: bold; }
dd { margin: 0; }
.passed { color: var(--good); }
.lost { color: var(--bad); }
svg { max-width: 100%; height: auto; }
svg text { fill: var(--text); font: 12px system-ui, sans-serif; }
svg rect { fill: var(--bar); }
svg line { stroke: var(--line); }
@media print { :root { --text: #000; --page: #fff; --soft: #fff; --good: #000; --bad: #000; --link: #000;
  color-scheme: light; } body { max-width: none; } .skip { display: none; } tr, h2, h3 { break-inside: avoid; }
  h2, h3 { break-after: avoid; } }
"""


def escape(text):
    """`text` as HTML shows it, without control characters."""
    return html.escape(CONTROL.sub("", str(text).replace("\r\n", "\n")))


def page(title, body):
    """A whole page. body: HTML; its first heading is the title's."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # whatever slipped through: nothing is fetched and no script runs
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#content">Skip to the content</a>\n<header><h1>{escape(title)}</h1></header>\n'
        f'<main id="content">\n{body}\n</main>\n</body>\n</html>\n'
    ).encode("utf-8", "replace")


def table(caption, columns, rows):
    """A table. columns: titles, those of numbers with a ">" in front; rows: lists of cells, each text or Markup; the
    first cell of a row names it.
    """
    kinds = [' class="number"' if title.startswith(">") else "" for title in columns]
    head = "".join(
        f'<th scope="col"{kind}>{escape(title.lstrip(">"))}</th>' for title, kind in zip(columns, kinds, strict=True)
    )
    lines = []
    for row in rows:
        first, *others = [cell if isinstance(cell, Markup) else escape(cell) for cell in row]
        cells = "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds[1:], others, strict=True))
        lines.append(f'<tr><th scope="row"{kinds[0]}>{first}</th>{cells}</tr>')
    head = f"<caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>"
    return "\n".join(["<table>", head, "<tbody>", *lines, "</tbody>", "</table>"])


class Markup(str):
    """Text that is HTML already."""


def words(text):
    """Text with lines of its own, in a cell of a table."""
    return Markup("<br>".join(escape(line) for line in str(text).split("\n")))


def terms(pairs):
    """A list of what is called how."""
    return "<dl>\n" + "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs) + "\n</dl>"


def code(text):
    return f"<pre><code>{escape(text)}</code></pre>"


def number(value):
    """A number as people write it: at most two decimals."""
    return "" if value is None else f"{round(float(value), 2):g}"
