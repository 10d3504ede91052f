"""`tito test`: the tests of what the modules export."""

from contextlib import nullcontext
from typing import Annotated

import typer

from tito.commands.context import Names, find_modules, open_project
from tito.console import console
from tito.errors import UsageError, WorkError

HOURS = 3600


def register(app):
    app.command()(test)


def test(
    modules: Names = None,
    module: Annotated[list[str] | None, typer.Option("--module", metavar="M", help="The same as naming it.")] = None,
    named: Annotated[str, typer.Option("-k", metavar="TEXT", help="Only the tests with this in their names.")] = "",
    notebook: Annotated[
        bool, typer.Option("--notebook", help="Test what the notebook of one module would export, as it is saved.")
    ] = False,
    all_: Annotated[bool, typer.Option("--all", help="Of every built module, and of the course.")] = False,
    jobs: Annotated[
        int, typer.Option(metavar="N", min=1, help="Test files at a time; more than one needs pytest-xdist.")
    ] = 1,
):
    """Run the tests of modules against the package as it is now."""
    from tito.services import export, testing

    project, catalog = open_project()
    names = [*(modules or []), *(module or [])]
    if bool(names) == all_:
        raise UsageError("name the modules to test, or all of them", "tito test --all")
    chosen = testing.ALL if all_ else find_modules(catalog, names)
    if notebook and (all_ or len(chosen) != 1):
        first = next(iter(catalog if all_ else chosen)).name
        raise UsageError("--notebook is for one module at a time", f"tito test {first} --notebook")
    with export.stage(project, catalog, chosen) if notebook else nullcontext() as stage:
        run = testing.run_tests(
            project,
            catalog,
            chosen,
            stage.folder if stage else None,
            named=named,
            seconds=HOURS,
            jobs=jobs,
            on_line=None if console.json else console.line,
        )
    data = {
        "modules": [one.name for one in (catalog if all_ else chosen)],
        "passed": run.passed,
        "failed": run.failed,
        "skipped": run.skipped,
        "failures": run.failures,
        "output": run.output,
    }
    console.show(data, lambda: None)
    if not run.ok:
        message = f"{run.failed} of {run.passed + run.failed} tests failed" if run.failed else run.problem
        hint = _hint(project, catalog, [] if all_ else chosen, named, run)
        raise WorkError(message, hint, code="tests-failed")


def _hint(project, catalog, chosen, named, run):
    """What to type after a run that is not in order. chosen: the modules that were named, none for all."""
    from tito.services import testing

    if run.failures:
        first = run.failures[0]
        file = first.test.partition("::")[0]
        module = next((one for one in catalog if one.tests == project.root / file), None)
        if module is None:
            only = f" -k {first.name}" if first.name.isidentifier() else ""  # else the file was not even read
            return f"fix what it tests, then: python -m pytest {file}{only}"
        return f"fix {project.relative(module.source(project))}, then: tito module complete {module.name}"
    files = [project.relative(one.tests) for one in chosen]
    if run.problem != testing.NO_TEST:
        return " ".join(["python -m pytest -v", *files, "  (its last lines say where it stops)"])
    if named:
        return " ".join(["python -m pytest --collect-only -q", *files, "  (lists the names of the tests)"])
    return " ".join(["python -m pytest -rs", *files, "  (says why each was skipped)"])
