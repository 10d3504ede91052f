"""The learning path: its order, its two ways, the list that is also a picture, and the terms it fits into."""

import math
import tomllib
from dataclasses import dataclass
from html import escape

from tito.errors import ProjectError
from tito.services import notebooks, words

PLAN = "docs/terms.toml"
NONE = "–"


@dataclass(frozen=True)
class Plan:
    """roots: {way: the module that it begins with}. terms: the tables of the file."""

    roots: dict
    terms: tuple = ()


def read_plan(project, catalog):
    """The plan of `project`, an empty one where it has none. Raises ProjectError where it names no module."""
    path = project.root / PLAN
    if not path.is_file():
        return Plan({})
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        plan = Plan(dict(document["ways"]), tuple(document["terms"]))
        named = [*plan.roots.values(), *(term["until"] for term in plan.terms)]
        named += [name for term in plan.terms for name in term.get("first_part_of", [])]
        for term in plan.terms:
            term["title"], term["weeks"] + 0
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProjectError(f"{PLAN} is not in order: {error}", f"fix {PLAN}") from error
    if unknown := set(named) - {module.name for module in catalog}:
        raise ProjectError(f"{PLAN} names {', '.join(sorted(unknown))}, which is no module", f"fix {PLAN}")
    return plan


def way(plan, catalog, module):
    """The way that `module` is on; "" before they part, and where it needs more than one."""
    own = {one.name for one in (*catalog.prerequisites(module), module)}
    on = [name for name, root in plan.roots.items() if root in own]
    return on[0] if len(on) == 1 else ""


def in_order(catalog, milestones):
    """Modules by number, each milestone behind the last module that it needs."""
    steps = []
    for module in catalog:
        steps.append(module)
        steps += [one for one in milestones if catalog[_last(catalog, one)] is module]
    return steps


def _last(catalog, milestone):
    return max(milestone.needs, key=lambda name: catalog[name].number)


def spans(numbers):
    """01–05, 08: module numbers as the texts of the course write them; – for none."""
    found = words.runs(sorted(numbers))
    return ", ".join(f"{a:02}" if a == b else f"{a:02}–{b:02}" for a, b in found) or NONE


def picture(project, catalog, milestones, plan):
    """The path as an ordered list in HTML, one item for each module and milestone."""
    items = [
        _module(project, catalog, plan, one) if one in catalog.modules else _milestone(catalog, plan, one)
        for one in in_order(catalog, milestones)
    ]
    return '<ol class="path" aria-label="The learning path">\n' + "\n".join(items) + "\n</ol>"


def _module(project, catalog, plan, module):
    needs = spans(one.number for one in catalog.prerequisites(module))
    needed = "no other module" if needs == NONE else needs
    facts = [f"{module.hours:g} hours", f"difficulty {module.difficulty} of 5", f"needs {needed}"]
    own_way = way(plan, catalog, module)
    facts += [f"the {own_way} way"] * bool(own_way) + ["an elective"] * module.elective
    if stretches := _stretches(project, module):
        facts.append(f"{stretches} stretch answer{'s' * (stretches > 1)}")
    name = f"{module.number:02} {module.title}"
    return _item(own_way, f"modules/{module.name}.html", name, module.summary, " · ".join(facts))


def _stretches(project, module):
    return sum(map(notebooks.is_stretch, notebooks.load(project, module.source(project)).node.cells))


def _milestone(catalog, plan, milestone):
    own_way = way(plan, catalog, catalog[_last(catalog, milestone)])
    name = f"Milestone {milestone.number:02}: {milestone.title}, {milestone.year}"
    return _item(f"{own_way} milestone", f"milestones/{milestone.name}.html", name, milestone.summary)


def _item(kind, target, name, *facts):
    told = "".join(f'<span class="facts">{escape(fact)}</span>' for fact in facts)
    return f'<li class="{kind.strip()}"><a class="name" href="{target}">{escape(name)}</a>{told}</li>'


def _marked(module):
    return f"{module.title} (elective)" if module.elective else module.title


def terms(plan, catalog, milestones):
    """The terms as Markdown: in which weeks each module is worked on, by its hours, and which milestone comes after."""
    return "\n\n".join(_term(catalog, milestones, **term) for term in plan.terms)


def _term(catalog, milestones, title, weeks, until, first_part_of=()):
    """A module of which only the first part is taken counts with the hours of that part."""
    after = {}
    for one in milestones:
        link = f"[{one.number:02} {one.title}](milestones/{one.name}.md)"
        after.setdefault(_last(catalog, one), []).append(link)
    chosen = [(one, one.hours, _marked(one)) for one in catalog if one.number <= catalog[until].number]
    for name in first_part_of:
        part = catalog[name].parts[0]
        chosen.append((catalog[name], part.hours, f"{catalog[name].title}, first part: {part.title}"))
    total = sum(hours for _, hours, _ in chosen)
    rows, spent = [], 0
    for module, hours, name in chosen:
        first, spent = math.floor(spent / total * weeks) + 1, spent + hours
        last = max(first, math.ceil(spent / total * weeks - 1e-9))
        week = f"{first}" if last == first else f"{first}–{last}"
        milestone = ", ".join(after.get(module.name, ())) if hours == module.hours else ""
        rows.append(f"| {week} | [{module.number:02} {name}](modules/{module.name}.md) | {hours:g} | {milestone} |")
    return "\n".join(
        [
            f"### {title}\n",
            f"{total:g} hours, about {total / weeks:.1f} a week.\n",
            "| week | module | hours | milestone after it |",
            "|---|---|---|---|",
            *rows,
        ]
    )
