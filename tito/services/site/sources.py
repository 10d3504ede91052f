"""Every page of the site as Sphinx reads it: {path below the folder of sources: text or bytes}."""

import re
from pathlib import Path

from tito.errors import ProjectError, WorkError
from tito.services.pages import TEMPLATES as PAGES
from tito.services.site import milestone_page, module_page, path, reference
from tito.services.site.links import Links, relative
from tito.services.site.module_page import fenced

TEMPLATES = Path(__file__).resolve().parents[2] / "templates" / "site"
ANSWERS = ("engine.md",)  # pages below docs/ that show answers, for readers of the repository
# pages below docs/ that are for whoever works on the course; the others are instructors'
MAINTAINERS = ("adding_a_module.md", "protocol.md")
# sections of the README that begin a page of their own; the others stand on the first page
SECTIONS = {
    "For instructors": "instructors/index",
    "For maintainers": "maintainers/index",
    "Where things are": "maintainers/index",
}
MATHJAX = "sphinx-mathjax-offline"


def sources(project, catalog, milestones, outputs, reports):
    """All sources. outputs: {module name: shown.Outputs}, reports: {milestone name: (folder, metrics)}; None for those
    of which nothing is to be shown.

    Raises WorkError naming every link that leads nowhere.
    """
    links = Links(project.root, _pages(project, catalog, milestones))
    plan, names = path.read_plan(project, catalog), reference.offered(project)
    made = {f"_static/{name}": (TEMPLATES / name).read_bytes() for name in ("site.css", "site.js")}
    made["_static/tokens.css"] = (PAGES / "tokens.css").read_bytes()
    made["conf.py"] = (TEMPLATES / "conf.py").read_bytes()
    made["_static/mathjax/tex-svg.js"] = mathjax()
    made |= _of_the_readme(project, links)
    made["path.md"] = _path(project, catalog, milestones, plan, links)
    for module in catalog:
        text, pictures = module_page.page(project, catalog, module, links, outputs[module.name])
        made[f"modules/{module.name}.md"] = text
        made |= pictures
        made[f"reference/{module.short}.md"] = reference.page(project, module, reference.counterparts(names))
    for milestone in milestones:
        text, pictures = milestone_page.page(project, milestone, links, reports[milestone.name])
        made[f"milestones/{milestone.name}.md"] = text
        made |= pictures
    for origin, name in links.pages.items():
        if f"{name}.md" not in made:
            made[f"{name}.md"] = links.moved((project.root / origin).read_text(encoding="utf-8"), origin, name)
    for facade, own in names.items():
        if own:
            made[f"reference/{facade}.md"] = reference.facade_page(project, catalog, facade, own)
    made["reference/index.md"] = reference.overview(catalog, names)
    if links.broken:
        raise WorkError("\n".join(links.broken), "fix the links", code="links")
    return made


def _pages(project, catalog, milestones):
    """{path in the repository: page} of every text that becomes a page."""
    pages = {"README.md": "index", "modules/README.md": "path", "benchmarks/README.md": "measured"}
    pages |= {f"modules/{one.name}/README.md": f"modules/{one.name}" for one in catalog}
    pages |= {f"milestones/{one.name}/README.md": f"milestones/{one.name}" for one in milestones}
    for file in sorted((project.root / "docs").glob("*.md"), key=_place_in(project.root / "README.md")):
        if file.name not in ANSWERS:
            room = "maintainers" if file.name in MAINTAINERS else "instructors"
            pages[f"docs/{file.name}"] = f"{room}/{file.stem}"
    return {origin: page for origin, page in pages.items() if (project.root / origin).is_file()}


def _place_in(readme):
    """Sorts texts by where `readme` links to them, from its first section with pages of its own; others come last."""
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    begin = max(text.find(f"\n## {next(iter(SECTIONS))}\n"), 0)

    def place(file):
        found = text.find(f"({file.parent.name}/{file.name})", begin)
        return found < 0, found, file.name

    return place


def mathjax():
    """MathJax as one file, from the package that brings it."""
    from importlib import metadata

    file = metadata.distribution(MATHJAX).locate_file(f"{MATHJAX}/static/mathjax/tex-svg.js")
    return Path(file).read_bytes()


def _of_the_readme(project, links):
    """The first page, and those of instructors and maintainers, whose texts are sections of the main README."""
    file = project.root / "README.md"
    if not file.is_file():
        raise ProjectError("README.md is missing: the first page is made of it", "git restore README.md")
    text = file.read_text(encoding="utf-8")
    beginning, *sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    parts = {"index": [beginning], "instructors/index": [], "maintainers/index": []}
    for section in sections:
        heading = section.partition("\n")[0].removeprefix("## ").strip()
        parts[SECTIONS.get(heading, "index")].append(section)
    made = {
        f"{name}.md": links.moved(_titled("".join(texts)), "README.md", name) for name, texts in parts.items() if texts
    }
    tops = ["path", "reference/index", "instructors/index", "maintainers/index", "measured"]
    exist = {"path", "reference/index", *links.pages.values(), *(name for name, texts in parts.items() if texts)}
    made["index.md"] = _with_toctree(made["index.md"], [one for one in tops if one in exist], hidden=True)
    for room in ("instructors", "maintainers"):
        if f"{room}/index.md" in made:
            own = [relative(page, f"{room}/index") for page in links.pages.values() if page.startswith(f"{room}/")]
            made[f"{room}/index.md"] = _with_toctree(made[f"{room}/index.md"], own)
    return made


def _titled(text):
    """A text that begins with a section: its first heading becomes the page's title."""
    return text.removeprefix("#") if text.startswith("## ") else text


def _with_toctree(text, pages, hidden=False):
    """`text` and, behind it, the pages that come next; hidden: in the navigation only."""
    options = ":maxdepth: 1\n" + ":hidden:\n" * hidden
    return f"{text.rstrip()}\n\n" + fenced("{toctree}", f"{options}\n" + "\n".join(pages)) + "\n"


def _path(project, catalog, milestones, plan, links):
    """The path's own text, behind its first paragraphs the list that is a picture, at its end the terms."""
    file = project.modules / "README.md"
    text = (
        links.moved(file.read_text(encoding="utf-8"), "modules/README.md", "path") if file.is_file() else "# The path\n"
    )
    text = re.sub(r"^\| module \|.*?\n(?=\n)", "", text, count=1, flags=re.MULTILINE | re.DOTALL)
    steps = path.in_order(catalog, milestones)
    pages = [f"{'modules' if one in catalog.modules else 'milestones'}/{one.name}" for one in steps]
    beginning, mark, rest = text.partition("\n## ")
    parts = [beginning.strip(), path.picture(project, catalog, milestones, plan), (mark + rest).strip()]
    if plan.terms:
        parts.append(f"## In a term\n\n{path.terms(plan, catalog, milestones)}")
    return _with_toctree("\n\n".join(parts), pages, hidden=True)
