"""A milestone's page: its README, and the report of a run on data that everybody has."""

import re

from tito.services.site.module_page import fenced
from tito.services.site.reference import escaped


def page(project, milestone, links, report):
    """(text, {path of a picture: its bytes}) of the page. report: (folder, metrics), None where none is kept."""
    name, readme = f"milestones/{milestone.name}", milestone.folder / "README.md"
    text = links.moved(readme.read_text(encoding="utf-8"), project.relative(readme), name)
    text = text.replace("# ", "# Milestone ", 1)  # beside the modules in the navigation, which have numbers, too
    parts, pictures = [text.strip(), "## The report of a run"], {}
    if report is None:
        parts.append("It is missing: this site was built without running the milestone.")
    else:
        parts += _report(milestone, *report, pictures)
    return "\n\n".join(parts) + "\n", pictures


def _report(milestone, folder, metrics, pictures):
    """The parts of a report in its own order; its pictures go into `pictures`."""
    yield fenced("{code-block} bash", metrics["setting"]["command"])
    yield from map(escaped, metrics["about"])
    yield "\n".join(f"- {escaped(claim['verdict'])}" for claim in metrics["asserts"])
    kinds = {"figure": iter(metrics["figures"]), "table": iter(metrics["tables"]), "note": iter(metrics["notes"])}
    for kind in metrics["order"]:
        one = next(kinds[kind])
        if kind == "note":
            yield _text(one)
            continue
        yield f"### {escaped(one['name'])}"
        if kind == "table":
            yield _table(one["rows"])
            continue
        for theme, file in (("light", one["file"]), ("dark", one["dark"])):
            path = f"pictures/{milestone.name}-{file}"
            pictures[f"milestones/{path}"] = (folder / file).read_bytes()
            options = f":alt: {one['name']}\n:class: plot only-{theme}\n:width: {one['width']}px"
            yield fenced(f"{{image}} {path}", options)
        yield escaped(one["caption"])
    compared = {claim["metric"] for claim in metrics["asserts"]}
    others = [[name, value] for name, value in metrics["results"].items() if name not in compared]
    if others:
        yield "### Also measured"
        yield _table([["measured", "value"], *others])
    yield "### How it ran"
    settings = [[name, value] for name, value in metrics["setting"].items() if name != "command"]  # which stands above
    yield _table([["setting", "value"], *settings])


def _text(note):
    """A note as Markdown with the lines that it has: what a model writes is verse."""
    lines = [re.sub(r"^(\d+)([.)])", r"\1\\\2", escaped(line)) for line in note.split("\n")]
    return re.sub(r"(?<=\S)\n(?=\S)", r"\\\n", "\n".join(lines))


def _table(rows):
    """rows as Markdown, the titles of the columns first; columns of numbers are set flush right."""
    columns = zip(*rows[1:], strict=True)
    numbers = [all(map(_is_number, column)) for column in columns] or [False] * len(rows[0])
    rule = "|" + "".join("---:|" if one else "---|" for one in numbers)
    lines = ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return "\n".join([lines[0], rule, *lines[1:]])


def _is_number(cell):
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _cell(cell):
    return f"{cell:,.6g}" if _is_number(cell) else escaped(str(cell))
