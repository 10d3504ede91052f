"""Runs a module's notebook, as it is on disk, and says what each graded cell earned."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tito.errors import WorkError
from tito.services import dependence, executed, kernel, notebooks, rules, shown, views
from tito.services.pristine import exported, in_words, read_pristine, restore
from tito.services.verdicts import Judge

MEASURE_SECONDS = 300


@dataclass(frozen=True)
class JudgedCell:
    """One graded cell. status: passed, failed, todo, crashed, timeout or blocked; trace: what ran when it failed.

    A cell that is worth nothing, the test of a stretch, has to pass for nobody.
    """

    grade_id: str
    points: float
    max_points: float
    status: str
    message: str
    seconds: float
    where: str
    trace: tuple = ()

    @property
    def stands_in_the_way(self):
        return self.max_points > 0 and self.status != "passed"


@dataclass(frozen=True)
class Report:
    """What a module's notebook earned.

    saved: when the file that ran was saved. withheld: points of tests that stay with the instructor; written: points
    of answers in words; empty: the grade_ids of those that say nothing yet. stopped: where cells without points
    stopped; measured: (cell, what it printed) of those that measure, and page: the notebook as it ran, None where they
    did not run.
    """

    module: str
    source: str
    saved: datetime
    cells: tuple
    withheld: float
    written: float
    warnings: tuple
    stopped: tuple
    seconds: float
    empty: tuple = ()
    measured: tuple = ()
    page: Path | None = None

    @property
    def points(self):
        return sum(cell.points for cell in self.cells)

    @property
    def max_points(self):
        return sum(cell.max_points for cell in self.cells)

    @property
    def passed(self):
        """Whether every test that is worth points passed and, where all cells had to run, every other cell ran."""
        stopped = self.page is not None and self.stopped
        return bool(self.cells) and not any(cell.stands_in_the_way for cell in self.cells) and not stopped


def run(
    project,
    catalog,
    module,
    *,
    on_cell=None,
    cell_seconds=20,
    total_seconds=600,
    measure=False,
    measure_seconds=MEASURE_SECONDS,
):
    """Run the notebook of `module` in a fresh kernel against the exports of what it needs.

    measure: also run the cells that only measure, each for at most measure_seconds, which the notebook gets besides;
    then every cell has to run, and the notebook as it ran becomes a page; of the course's own, what the cells show is
    kept for the site. on_cell(done, total, title): called before each cell. Raises WorkError where the file cannot be
    read or has no test to run, ProjectError where no kernel starts or it imports another package.
    """
    start = datetime.now()
    path = module.source(project)
    source = notebooks.load(project, path)
    rules.require_futures_in_place(source, module)
    saved = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    pristine, warning = read_pristine(project, module)
    placed, changes = restore(source, pristine)
    running = [one for one in placed if _runs(one.cell, measure)]
    graded = [number for number, one in enumerate(running) if notebooks.is_test(one.cell)]
    if not graded:
        hint = "restore the file" if project.is_course else f"tito module reset {module.name}   (keeps a backup)"
        raise WorkError(f"{source.label} has no graded cell to run", hint, code="no-tests")
    counted = exported(source, placed, pristine) if pristine else source
    left_behind = [f"{one.where}: {one.message}" for one in rules.names_left_behind(counted, module)]
    measuring = [number for number, one in enumerate(running) if notebooks.is_measure(one.cell)]
    outputs = {} if measure else None
    key = shown.key(project, catalog, module) if measure and project.is_course else None
    with views.view(project, catalog.prerequisites(module), without_kernels_of=None if measure else module) as folder:
        reset = "" if project.is_course else f"tito module reset {module.name}"
        judge = Judge(running, [], source, pristine, dependence.read_modules(folder), reset=reset)

        def seconds(number, outcomes):
            return measure_seconds if number in measuring else judge.seconds(number, outcomes, cell_seconds)

        def say(number):
            name = notebooks.grade_id(running[number].cell) or ("a measurement" if number in measuring else "")
            on_cell(number, len(running), f"{module.name}  {name}")

        judge.outcomes = outcomes = kernel.run_cells(
            [one.cell.source for one in running],
            folder=folder,
            cwd=module.folder,
            limits=kernel.TimeLimits(cell_seconds, total_seconds + len(measuring) * measure_seconds, seconds),
            on_cell=on_cell and say,
            outputs=outputs,
        )
    page, missing = executed.write_page(project, module, placed, running, outputs) if measure else (None, "")
    taken = (datetime.now() - start).total_seconds()
    if key and all(outcome.status == "ok" for outcome in outcomes):
        cells = {running[number].index: found for number, found in outputs.items()}
        shown.keep(project, module, key, shown.Outputs(cells, round(taken, 1)))
    return Report(
        module=module.name,
        source=source.label,
        saved=saved,
        cells=tuple(_cell(running[number].cell, judge.verdict(number), outcomes[number]) for number in graded),
        withheld=_points(one.cell for one in placed if notebooks.is_withheld(one.cell)),
        written=_points(cell for cell in (pristine or source.node).cells if notebooks.is_written(cell)),
        warnings=(*filter(None, [warning, missing]), *in_words(changes), *left_behind),
        stopped=tuple(judge.stopped(set(graded))),
        seconds=taken,
        empty=notebooks.empty_answers(counted.node, pristine),
        measured=tuple((judge.places.cell(number), _said(outputs, number, outcomes[number])) for number in measuring),
        page=page,
    )


def _runs(cell, measure):
    if cell.cell_type != "code" or notebooks.is_withheld(cell):
        return False
    return measure or not notebooks.is_measure(cell)


def _cell(cell, verdict, outcome):
    points = notebooks.points(cell)
    return JudgedCell(
        grade_id=notebooks.grade_id(cell) or cell.id,
        points=points if verdict.status == "passed" else 0,
        max_points=points,
        status=verdict.status,
        message=verdict.message,
        seconds=round(outcome.seconds, 3),
        where=verdict.where,
        trace=verdict.trace,
    )


def _said(outputs, number, outcome):
    """What a cell that measures printed, and why it stopped."""
    text = executed.text(outputs.get(number, ()))
    stopped = "" if outcome.status == "ok" else f"stopped: {outcome.message or outcome.status}"
    return "\n".join(filter(None, [text, stopped]))


def _points(cells):
    return sum(notebooks.points(cell) for cell in cells)
