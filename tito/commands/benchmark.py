"""`tito benchmark`: the capstone's divisions, measured by tito itself."""

from pathlib import Path
from typing import Annotated

import typer

from tito.commands.context import open_project
from tito.console import console
from tito.errors import ProjectError, UsageError, WorkError

Division = Annotated[
    str | None, typer.Argument(metavar="[DIVISION]", help="small, fast, tokens or open; else what the file names.")
]
File = Annotated[
    Path | None, typer.Option("--file", metavar="PATH", help="A submission.npz (default: that beside the notebook).")
]
Folder = Annotated[
    Path | None, typer.Argument(metavar="[FOLDER]", help="With results (default: those of the class, or your own).")
]
Page = Annotated[Path | None, typer.Option("--html", metavar="PATH", help="Also write the board as a page.")]
HINTS = {"below the floor": "train it longer, or shrink it less; then write the file anew"}

app = typer.Typer(help="The capstone's olympics: measure a submission, rank what was measured.")


def register(root):
    root.add_typer(app, name="benchmark")


@app.command()
def run(division: Division = None, file: File = None):
    """Build the model of a submission in a fresh process, and measure it with inputs that nobody has seen."""
    from tito.services import adopted
    from tito.services.grading.olympics import alone, results
    from tito.services.grading.olympics.rules import read_rules

    project, catalog = open_project()
    with console.progress("measuring"):
        result, kept = alone.run(project, catalog, division, file)
    found, path = result.measured, project.relative(kept)
    entered = read_rules(project).DIVISIONS[found.division]
    is_adopted = adopted.is_adopted(project.core / alone.measured_module(catalog).core_file)
    data = {**results.as_data(result), "floor": entered.floor, "kept": path, "adopted": is_adopted}
    console.show(data, lambda: _print_result(result, entered, path, is_adopted))
    if found.status != "ranked":
        message = f"{found.division}: {found.status}: {found.detail}"
        kind = ProjectError if found.status == "not measured" else WorkError
        raise kind(message, HINTS.get(found.status, ""), code=found.status.replace(" ", "-"), data=data)


def _print_result(result, division, path, is_adopted):
    found, timing = result.measured, result.measured.timing
    rows = [("size of the file", f"{found.bytes:,} bytes")]
    if found.quality is not None:
        rows.append((division.quality, _quality(found, division)))
    if timing is not None:
        unit = "a token" if division.name == "tokens" else f"{division.batch} images"
        rows.append((f"time of {unit}", _time(timing.own, timing.raw)))
        if division.name == "tokens":
            rows.append(("tokens a second", f"{1 / timing.own:,.0f}"))
        rows.append(("the reference's", _time(timing.reference_own, timing.reference_raw)))
        compared = timing.compared
        interval = f"{compared.ratio:.3g} of its time [{compared.low:.3g}, {compared.high:.3g}]"
        rows.append(("beside the reference", f"{interval} in {compared.pairs} pairs: {compared.verdict}"))
    console.line(f"{division.name}: {division.title}{': ' + found.title if found.title else ''}")
    console.table(["measured", ""], rows)
    console.line("not official: not isolated, measured on your machine, with inputs of a new seed")
    if is_adopted:
        console.line("build: the course's own, adopted")
    console.line(f"kept in {path}; next: tito benchmark board")


def _quality(found, division):
    from tito.services.grading.olympics.board import shown_quality

    what = "images" if division.quality == "accuracy" else "tokens"
    floor = f"{100 * division.floor:g} %" if division.quality == "accuracy" else f"{division.floor:g} nats"
    bound = "at least" if division.quality == "accuracy" else "at most"
    return f"{shown_quality(found, division)} of {found.scored:,} {what} (to be ranked: {bound} {floor})"


def _time(own, raw):
    return f"{1000 * own:.3g} ms ({1000 * raw:.3g} ms with the pipe, whose share is {1000 * (raw - own):.3g} ms)"


@app.command("board")
def show_board(folder: Folder = None, html: Page = None):
    """Rank what tito measured, division by division. It is never points."""
    from tito.services.grading.olympics import board as service
    from tito.services.grading.olympics import results

    if html is not None and not html.absolute().parent.is_dir():
        raise UsageError(f"{html.parent} is no folder, so no page can be written there", "make it, or name another one")
    project, catalog = open_project()
    board = service.read_board(project, catalog, folder)
    if html is not None:
        service.write_page(board, html)
    data = {
        "folder": project.relative(board.folder),
        "divisions": [
            {
                "division": ranking.division.name,
                "official": ranking.official,
                "places": [{"place": one.place, **results.as_data(one.result)} for one in ranking.places],
            }
            for ranking in board.rankings
        ],
        "without_division": [{"who": who, "detail": detail} for who, detail in board.without_division],
        "refused": [{"file": name, "reason": reason} for name, reason in board.refused],
        "page": project.relative(html) if html is not None else None,
    }
    console.show(data, lambda: _print_board(board, html))


def _print_board(board, html):
    from tito.services.grading.olympics.board import table

    for ranking in board.rankings:
        division = ranking.division
        console.line(f"{division.name}: {division.title}{'' if ranking.official else ' (not official)'}")
        if ranking.ranked:
            console.table(*table(ranking))
        if ranking.ranked and division.ranks_by_time:
            console.line("ranked by the ratio; where intervals overlap, the order is not decided")
        for who, why in ranking.unranked:
            console.line(f"not ranked: {who}: {why}")
        console.line()
    if not board.rankings:
        console.line("nothing that was measured is in this folder")
    for who, detail in board.without_division:
        console.warn(f"{who or 'a submission'}: {detail}")
    for name, reason in board.refused:
        console.warn(f"{name} does not count: it {reason}")
    console.line("a place is no grade: points come from the notebook's tests alone")
    if html is not None:
        console.line(f"as a page: {html}")
