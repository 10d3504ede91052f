"""`tito milestone`: historical results, reproduced with the package as it is."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tito.commands.context import open_project
from tito.console import console
from tito.errors import TitoError, Undecided, WorkError

Name = Annotated[str, typer.Argument(metavar="N", help="1, 01, perceptron, 1957 or 01_1957_perceptron")]
Data = Annotated[
    str | None,
    typer.Option("--data", "--part", metavar="NAME", help="The dataset or part: see below for each milestone."),
]
Epochs = Annotated[
    int | None, typer.Option("--epochs", "--steps", min=1, help="How long to train: see below for what is usual.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of all random numbers.")]
Report = Annotated[Path | None, typer.Option("--report", metavar="FOLDER", help="Where the report goes.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start anew, even where a run was interrupted.")]

app = typer.Typer(help="Historical results with your own package: list, run, status.")


def register(root):
    root.add_typer(app, name="milestone")


def _open():
    from tito.catalog import read_milestones

    project, catalog = open_project()
    return project, catalog, read_milestones(project)


@app.command("list")
def list_milestones():
    """Show which milestones are unlocked, and what the others need."""
    from tito.services import milestones as service

    project, catalog, milestones = _open()
    found, warnings = service.standings(project, catalog, milestones)
    data = {
        "milestones": [
            {
                "name": milestone.name,
                "title": milestone.title,
                "year": milestone.year,
                "summary": milestone.summary,
                "paper": milestone.paper,
                "state": standing.state,
                "needs": milestone.needs,
                "missing": standing.missing,
                "datasets": milestone.results,
                "absent": standing.absent,
                "next": standing.next,
            }
            for milestone, standing in zip(milestones, found, strict=True)
        ],
        "warnings": warnings,
    }
    console.show(data, lambda: _print_list(milestones, found, warnings))


def _print_list(milestones, found, warnings):
    from tito.services.words import modules

    for warning in warnings:
        console.warn(warning)
    rows = []
    for milestone, standing in zip(milestones, found, strict=True):
        lines = [milestone.summary]
        if standing.state == "done":
            lines += [f"reached on {entry.data}: {entry.report}" for entry in standing.best if entry.reached]
        if standing.state == "locked":
            lines.append(f"needs {modules(standing.missing)}; start with: {standing.next}")
        if standing.absent and standing.state != "done":
            lines += ["without a download:", *(f"--data {one.data}: {_first_claim(one)}" for one in milestone.bundled)]
        if standing.absent:
            lines += [f"for {name}: tito data fetch {name}" for name in standing.absent]
        rows.append((standing.state, standing.milestone, "\n".join(lines)))
    console.table(["state", "milestone", "about"], rows)
    following = [one.next for state in ("ready", "locked") for one in found if one.state == state]
    console.line(f"next: {following[0]}" if following else "all milestones are reached")


def _first_claim(result):
    more = len(result.asserts) - 1
    return result.asserts[0] + (f", and {more} more" if more else "")


@app.command()
def status():
    """Show the best run of every milestone, the last one, and where their reports are."""
    from tito.services import milestones as service

    project, catalog, milestones = _open()
    found, warnings = service.standings(project, catalog, milestones)
    data = {"milestones": found, "warnings": warnings}
    units = {milestone.name: milestone.unit for milestone in milestones}
    console.show(data, lambda: _print_status(found, warnings, units))


def _print_status(found, warnings, units):
    for warning in warnings:
        console.warn(warning)
    rows = []
    for standing in found:
        runs = [("best", entry) for entry in standing.best] + ([("last", standing.last)] if standing.last else [])
        for which, entry in runs:
            verdict = "reached" if entry.reached else "not decided" if entry.undecided else "not reached"
            setting = f"{entry.data}, seed {entry.seed}, {entry.epochs} {units[standing.milestone]}"
            measured = f"{verdict}: {entry.metric} {_shown(entry.metric, entry.value)}"
            rows.append((standing.milestone, which, setting, f"{measured}\n{entry.report}"))
        if not runs:
            rows.append((standing.milestone, "none", "", f"next: {standing.next}"))
    console.table(["milestone", "run", "on", "result"], rows)
    done = sum(standing.state == "done" for standing in found)
    console.line(f"{done} of {len(found)} milestones reached")


def _shown(metric, value):
    if value is None:
        return "not measured"
    return f"{100 * value:.2f} %" if "accuracy" in metric else f"{value:,.6g}"


class WithDatasets(typer.core.TyperCommand):
    """A command whose help ends with the datasets of each milestone and its usual number of epochs on each."""

    def format_epilog(self, context, formatter):
        try:
            _, _, milestones = _open()
        except TitoError:  # outside of a project there are none
            return
        with formatter.section("Values of --data, the default first, and the epochs unless --epochs says others"):
            formatter.write_dl([(one.name, _choices(one)) for one in milestones])


def _choices(milestone):
    results = sorted(milestone.results, key=lambda one: one.data != milestone.default)
    usual = ", ".join(f"{one.data} ({one.epochs} {milestone.unit})" for one in results)
    first, *others = milestone.datasets
    if milestone.has_parts or milestone.default:
        return usual
    return f"{usual}; {others[-1]} where {first} is not fetched" if others else usual


@app.command(cls=WithDatasets)
def run(
    milestone: Name,
    data: Data = None,
    epochs: Epochs = None,
    seed: Seed = 0,
    fresh: Fresh = False,
    report: Report = None,
):
    """Train, write the report, and compare with the historical result. Interrupted, it goes on where it stopped.

    Ends with 1 where it is not reached, and with 4 where a ratio of times was measured that does not decide.
    """
    from tito.services import milestones as service

    project, catalog, milestones = _open()
    found = milestones.find(milestone)
    with console.progress(found.name) as advance:
        outcome = service.run(
            project,
            catalog,
            found,
            dataset=data,
            epochs=epochs,
            seed=seed,
            fresh=fresh,
            report=report,
            tell=lambda event: _follow(event, advance),
        )
    console.show(outcome, lambda: _print_outcome(outcome))
    if not outcome.reached:
        verdict = "not decided" if outcome.undecided else "not reached"
        missed = [one for one in outcome.asserts if one["outcome"] == verdict]
        figures = "; ".join(f"{one['metric']} {_shown(one['metric'], one['value'])}, {one['words']}" for one in missed)
        if outcome.undecided:
            raise Undecided(f"{verdict}: {figures}", "close other programs, and run it again")
        raise WorkError(f"{verdict}: {figures}", f"look into {outcome.report}", code="not-reached")


def _follow(event, advance):
    """Show an event: on the bar, where there is one, else as lines."""
    if event["event"] in ("progress", "epoch") and advance:
        advance(event["done"], event["total"], event["text"] if event["event"] == "progress" else None)
    if event["event"] in ("start", "say", "epoch", "output"):
        console.line(event["text"])
    if event["event"] == "error" and console.verbose:
        print(event["traceback"], end="", file=sys.stderr)  # of the program, whose lines the student may change


def _print_outcome(outcome):
    for one in outcome.asserts:
        console.line(one["verdict"])
    console.line(f"report: {outcome.report}")
