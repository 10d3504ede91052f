"""A module's page: what the registry says, its README, and the notebook as handed out with what the reference shows."""

import ast
import base64
import re
from html import escape

from tito.services import executed, notebooks, strip, syntax
from tito.services.pages import CONTROL
from tito.services.site.links import lines
from tito.services.site.path import spans

PART = re.compile(r"^#+ Part (\d+) of \d+", re.MULTILINE)
# what a README may say itself, so that the page does not say it twice: a table of parts; time and difficulty
PARTS = re.compile(r"^\| part \| hours \|.*\n(?:\|.*\n?)+", re.MULTILINE)
ROW = re.compile(r"^\| ((\d+)\.? [^|]+?) \|", re.MULTILINE)
TIME = re.compile(r"^\| time \| difficulty \|", re.MULTILINE)
HEADING = re.compile(r"(#{1,5})(?= )")
TITLED = {"title", "set_title", "suptitle"}
LABELLED = {"xlabel", "set_xlabel", "ylabel", "set_ylabel"}
SETTERS = {"set", "subplots"}  # which take titles and labels by name


def page(project, catalog, module, links, outputs):
    """(text, {path of a picture: its bytes}) of the page. outputs: shown.Outputs, None where there are none.

    The text is Markdown as MyST reads it.
    """
    name = f"modules/{module.name}"
    readme = (module.folder / "README.md").read_text(encoding="utf-8")
    title, _, about = readme.partition("\n")
    about = links.moved(f"\n{about}", project.relative(module.folder / "README.md"), name)
    body, pictures = _notebook(project, module, links, outputs.cells if outputs else {})
    facts = _facts(catalog, module, with_time=not TIME.search(about), with_parts=not PARTS.search(about))
    about = PARTS.sub(lambda table: ROW.sub(r'| <a href="#part-\2">\1</a> |', table[0]), about)
    parts = [title, facts, about.strip(), "## The notebook"]
    parts.append(_introduction(outputs is not None))
    return "\n\n".join([*parts, *body]) + "\n", pictures


def _facts(catalog, module, *, with_time, with_parts):
    needs = spans(one.number for one in catalog.prerequisites(module))
    time = [("hours", f"about {module.hours:g}"), ("difficulty", f"{module.difficulty} of 5")]
    rows = [
        *(time if with_time else []),
        ("needs", needs),
        ("builds", f"[`tinytorch.core.{module.short}`](../reference/{module.short}.md)"),
    ]
    rows += [("kind", "an elective")] * module.elective
    head, rule = "| " + " | ".join(title for title, _ in rows) + " |", "|" + "---|" * len(rows)
    table = [head, rule, "| " + " | ".join(fact for _, fact in rows) + " |"]
    if module.parts and with_parts:
        table += ["", "| part | hours | what works at its end |", "|---|---|---|"]
        for number, one in enumerate(module.parts, 1):
            table.append(f'| <a href="#part-{number}">{escape(one.title)}</a> | {one.hours:g} | {one.works} |')
    return "\n".join(table)


def _introduction(with_outputs):
    shown = (
        "Below a cell stands what it printed and drew when the course's own solutions ran."
        if with_outputs
        else "What its cells print and draw is missing: this site was built without running them."
    )
    return f"As it is handed out: the answers are yours to write. {shown}"


def _notebook(project, module, links, outputs):
    source = notebooks.load(project, module.source(project))
    handed_out = strip.strip(source.node, source)
    origin, name = project.relative(module.source(project)), f"modules/{module.name}"
    body, pictures, level, heading = [], {}, 2, ""
    for index, cell in enumerate(handed_out.cells):
        if cell.cell_type == "markdown":
            text, level = _lowered(cell.source, level, drop_title=index == 0)
            titles = [line.lstrip("# ") for line, is_code in lines(cell.source) if not is_code and HEADING.match(line)]
            heading = titles[-1] if titles else heading
            text = PART.sub(r'<span id="part-\1"></span>\n\n\g<0>', text)
            body.append(links.moved(text, origin, name))
        elif cell.cell_type == "code" and not _is_directive(cell):
            body.append(_code(cell))
            if not (notebooks.is_solution(cell) or notebooks.is_test(cell)):
                stem = f"{module.name}-{index + 1}"
                body += _shown(outputs.get(index, ()), _alt(cell, heading), stem, pictures)
    return [text for text in body if text.strip()], pictures


def _is_directive(cell):
    return cell.source.startswith("#| default_exp")


def _lowered(text, level, drop_title):
    """(text, level of its last heading): headings one level lower, because the page has its own title.

    level: of the heading before; none is more than one level below it. Indented and fenced code stays as it is.
    """
    kept = []
    for line, is_code in lines(text):
        heading = None if is_code else HEADING.match(line)
        if heading and drop_title and len(heading[0]) == 1:
            continue
        if heading:
            level = min(len(heading[0]) + 1, level + 1)
            line = "#" * level + line[heading.end() :]
        kept.append(line)
    return "\n".join(kept), level


def _code(cell):
    kind = ":class: answer\n\n" if notebooks.is_solution(cell) else ""
    block = fenced("{code-block} python", f"{kind}{cell.source}")
    if not notebooks.is_folded(cell):
        return block
    count = len(cell.source.splitlines())
    return f"<details><summary>Provided code, {count} lines</summary>\n\n{block}\n\n</details>"


def fenced(info, text):
    """A block of code, inside a fence that is longer than any in it."""
    longest = max([2, *(len(run) for run in re.findall("`+", text))])
    fence = "`" * (longest + 1)
    return f"{fence}{info}\n{text}\n{fence}"


def _shown(outputs, alt, stem, pictures):
    """What a cell printed, and its pictures, in the order in which they came. alt: what the pictures show."""
    for number, output in enumerate(outputs, 1):
        if "image/png" in output.get("data", {}):
            path = f"modules/pictures/{stem}-{number}.png"
            pictures[path] = base64.b64decode(output.data["image/png"])
            # not <img>: Sphinx copies only pictures that it knows of
            yield fenced(f"{{image}} pictures/{stem}-{number}.png", f":alt: {alt}\n:class: dark-light")
        elif printed := CONTROL.sub("", executed.text([output])):
            yield fenced("{code-block} none", f":class: shown\n\n{printed}")


def _alt(cell, heading):
    """What a picture shows, from the titles and labels that its cell gives it; where there are none, its section."""
    tree = syntax.parsed(cell.source)
    said = {True: [], False: []}
    for node in ast.walk(tree) if tree else []:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        named = node.func.attr
        given = [(named, node.args[0])] if named in TITLED | LABELLED and node.args else []
        given += [(one.arg, one.value) for one in node.keywords if one.arg in TITLED | LABELLED] * (named in SETTERS)
        for name, value in given:
            if isinstance(value, ast.Constant):
                said[name in TITLED].append(str(value.value))
    titles = said[True] or [re.sub(r"[*`$]", "", heading)]
    parts = ["a plot", ", ".join(dict.fromkeys(titles)), "axes: " + ", ".join(dict.fromkeys(said[False]))]
    told = "; ".join(part for part in parts if part and part != "axes: ")
    return " ".join(told.split())
