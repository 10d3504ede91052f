"""The educational gate: what the course promises a student in hours, difficulty, stops and objectives."""

import re

from tito.services import notebooks, rules
from tito.services.check.gates import Breach, line_of, place_of
from tito.services.conventions import SHORT_MODULE

ROW = re.compile(
    r"^\| \[(?P<name>\w+)\]\((?P<link>.+?)\) \| .+? \| (?P<needs>.+?) \| (?P<hours>\S+) \| (?P<difficulty>\d) of 5 \|$",
    re.M,
)
HOURS = re.compile(r"\b[Aa]bout (?P<hours>[\w½]+) hours?")
RATED = re.compile(r"(?P<difficulty>\d) of 5")
PART = re.compile(r"^## Part (?P<number>\d+) of (?P<count>\d+) · about (?P<hours>[\d½]+) hours?: ", re.M)
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
         "thirteen", "fourteen", "fifteen", "sixteen")  # fmt: skip


def hours_in(text):
    """The number of hours that `text`, such as "ten", "14" or "3½", means; None where it is none."""
    if text.lower() in WORDS:
        return float(WORDS.index(text.lower()))
    found = re.fullmatch(r"(\d*)(½?)", text)
    return None if found is None or text == "" else float(found[1] or 0) + 0.5 * bool(found[2])


def times(checked):
    for module in checked.catalog:
        settings = checked.label(module.folder / "module.toml")
        total = sum(part.hours for part in module.parts)
        if module.parts and abs(total - module.hours) > 1e-9:
            yield Breach(
                settings, None, f"the parts sum to {total:g} hours, hours says {module.hours:g}", "make them agree"
            )
        for path, line, said in _said_hours(checked, module):
            if said != module.hours:
                shown = "no hours" if said is None else f"{said:g} hours"
                yield Breach(
                    path, line, f"{module.name}: {shown}, module.toml says {module.hours:g}", "make them agree"
                )
        text, said = checked.text(module.percent), [part.hours for part in module.parts]
        headings = [(line_of(text, found), hours_in(found["hours"])) for found in PART.finditer(text)]
        if headings and [hours for _, hours in headings] != said:
            shown = ", ".join(f"{hours:g}" for _, hours in headings)
            yield Breach(
                checked.label(module.percent), headings[0][0],
                f"its headings give the parts {shown} hours, module.toml {', '.join(f'{hours:g}' for hours in said)}",
                "make them agree",
            )  # fmt: skip


def _said_hours(checked, module):
    """(file, line, hours) as the path and the module's README say them; hours None where nothing is said."""
    path = checked.project.modules / "README.md"
    rows = [(line_of(checked.text(path), row), row) for row in ROW.finditer(checked.text(path))]
    own = [(line, hours_in(row["hours"])) for line, row in rows if row["name"] == module.name]
    yield (checked.label(path), *(own[0] if own else (None, None)))
    readme = module.folder / "README.md"
    text = checked.text(readme)
    found = HOURS.search(text)
    yield checked.label(readme), found and line_of(text, found), found and hours_in(found["hours"])


def difficulty(checked):
    path = checked.project.modules / "README.md"
    text = checked.text(path)
    rows = {row["name"]: (line_of(text, row), int(row["difficulty"])) for row in ROW.finditer(text)}
    for module in checked.catalog:
        settings = checked.label(module.folder / "module.toml")
        if not 1 <= module.difficulty <= 5:
            yield Breach(settings, None, f"difficulty is {module.difficulty}", "rate it from 1 to 5")
        places = [(checked.label(path), *rows.get(module.name, (None, None)))]
        readme = checked.text(module.folder / "README.md")
        places += [
            (checked.label(module.folder / "README.md"), line_of(readme, found), int(found["difficulty"]))
            for found in RATED.finditer(readme)
        ]
        for file, line, said in places:
            if said != module.difficulty:
                shown = "no difficulty" if said is None else f"{said} of 5"
                yield Breach(
                    file, line, f"{module.name}: {shown}, module.toml says {module.difficulty}", "make them agree"
                )


def checkpoints(checked):
    for module in checked.catalog:
        text, file = checked.text(module.percent), checked.label(module.percent)
        headings = list(PART.finditer(text))
        if module.hours >= SHORT_MODULE and len(module.parts) < 2:
            settings = checked.label(module.folder / "module.toml")
            yield Breach(settings, None, f"{module.hours:g} hours and no parts", "divide it into two [[parts]] or more")
        if len(module.parts) > 1 and len(headings) != len(module.parts):
            yield Breach(
                file, None, f"{len(headings)} headings of parts, module.toml has {len(module.parts)}",
                f"give each part its heading: ## Part 1 of {len(module.parts)} · about N hours: what it is about",
            )  # fmt: skip
            continue
        for place, found in enumerate(headings, 1):
            line = line_of(text, found)
            if (int(found["number"]), int(found["count"])) != (place, len(headings)):
                yield Breach(
                    file, line, f"part {place} of {len(headings)} calls itself {found[0].strip('# ')}", "number it"
                )
            end = headings[place].start() if place < len(headings) else len(text)
            if "### BEGIN SOLUTION" not in text[found.end() : end]:
                yield Breach(
                    file, line, f"part {place} holds no answer: it is no stop on the way", "join it to another"
                )
        for place, part in enumerate(module.parts, 1):
            if not part.works.strip():
                settings = checked.label(module.folder / "module.toml")
                yield Breach(settings, None, f"part {place} does not say what works at its end", "write its `works`")


def objectives(checked):
    for module in checked.catalog:
        source = checked.source(module)
        met = {
            (cell.metadata.get("tinytorch") or {}).get("objective")
            for cell in source.node.cells
            if notebooks.is_solution(cell)
        }
        for one in module.objectives:
            if one.id not in met:
                yield Breach(
                    checked.label(module.folder / "module.toml"), None,
                    f"no graded cell meets the objective {one.id!r}",
                    "name it in the metadata of a cell, or take it out",
                )  # fmt: skip
        for problem in rules.unfinished(source, module):
            if "tinytorch metadata" in problem.message:
                file, line, _ = place_of(problem.where)
                yield Breach(file, line, problem.message, "add hints, minutes and the objective")
        questions = set(notebooks.questions(source.node).values())
        for cell in source.node.cells:
            if notebooks.is_solution(cell) and notebooks.grade_id(cell) not in questions:
                yield Breach(
                    checked.label(module.percent), None, f"{notebooks.grade_id(cell)} has no test", "write one"
                )
