"""`tito grade regrade`: what was published, scored again beside the old scores."""

from typing import Annotated

import typer

from tito.commands.context import Name, open_project
from tito.commands.grade.autograde import (
    CHANGED,
    NAMED,
    CellSeconds,
    Jobs,
    NoSandbox,
    Scheduler,
    refused_workers,
    warn_of_refused,
    where_it_runs,
)
from tito.commands.grade.worker_check import OpenScheduler
from tito.console import console

To = Annotated[
    str,
    typer.Option(metavar="VERSION", help="The version to go over to (see tito grade history; default: the course's)."),
]
Apply = Annotated[bool, typer.Option("--apply", help="Write it: until then no score changes.")]
AlsoLower = Annotated[bool, typer.Option("--also-lower", help="Also where published points become fewer.")]
Force = Annotated[bool, typer.Option("--force", help="Score again what an earlier regrade scored and did not write.")]


def register(root):
    root.command()(regrade)


def regrade(
    module: Name,
    to: To = "",
    apply: Apply = False,
    also_lower: AlsoLower = False,
    force: Force = False,
    jobs: Jobs = None,
    no_sandbox: NoSandbox = False,
    cell_seconds: CellSeconds = 30,
    scheduler: Scheduler = None,
    open_scheduler: OpenScheduler = False,
):
    """Score again what was published, and show what differs and why. Nobody loses points unless you say so."""
    from tito.services.grading.regrading import regrade as service

    project, catalog = open_project()
    found = catalog.find(module)
    options = service.RegradeOptions(
        to=to,
        apply=apply,
        also_lower=also_lower,
        force=force,
        jobs=jobs,
        no_sandbox=no_sandbox,
        cell_seconds=cell_seconds,
    )
    title = f"scoring {found.name} again"
    with where_it_runs(scheduler, jobs, no_sandbox, open_scheduler) as executor, console.progress(title) as advance:
        tell = (lambda done, total: advance(done, total, title)) if advance else None
        done = service.regrade(project, catalog, found, options, on_done=tell, executor=executor)
    refused = refused_workers(executor)
    console.show({**_data(done), "refused_workers": refused}, lambda: _print(done, refused))


def _data(done):
    return {
        "module": done.module,
        "before": done.before,
        "after": done.after,
        "changed": list(done.changed),
        "students": done.students,
        "published": done.published,
        "scored_now": done.ran,
        "isolation": done.isolation or None,
        "applied": done.applied,
        "differences": [
            {
                "student": one.student,
                "question": one.question,
                "old": one.old,
                "new": one.new,
                "max_points": one.max_points,
                "counts": one.counts,
                "published_points_stay": one.stays,
                "why": {
                    "tests": list(one.tests),
                    "reference": list(one.reference),
                    "outcomes": list(one.outcomes),
                    "before": done.before,
                    "after": done.after,
                },
            }
            for one in done.differences
        ],
        "a_persons_points_stay": done.by_person,
        "without_a_score": list(done.skipped),
        "gradebook_before": done.kept,
    }


def _print(done, refused):
    warn_of_refused(refused)
    if done.isolation == "none":
        console.warn("not isolated: the submissions ran with your rights")
    way = f"{done.before} again" if done.before == done.after else f"{done.before} to {done.after}"
    console.line(f"{done.module}: {way}" + (f"; changed: {_some(done.changed, CHANGED)}" if done.changed else ""))
    if done.differences:
        rows = [
            (one.student, one.question, *(f"{points:g}" for points in (one.old, one.new, one.counts)), _why(one))
            for one in done.differences
        ]
        console.table(["student", "question", ">old", ">new", ">counts", "why"], rows)
    students = len({one.student for one in done.differences})
    console.line(f"{students} of {done.students} submissions differ; {done.ran} were scored now")
    if stays := [one for one in done.differences if one.stays]:
        console.line(f"{len(stays)} keep points that were published; to take them: --also-lower")
    if done.by_person:
        console.line(f"a person's points stay: {_some(sorted(done.by_person), NAMED)}")
    if done.skipped:
        console.line(f"not scored as handed in now, and left out: {_some(done.skipped, NAMED)}")
    if done.applied:
        kept = f"; the gradebook of before: {done.kept}" if done.kept else ""
        console.line(f"written: {done.module} is graded with {done.after}{kept}")
        console.line(f"next: tito grade feedback {done.module}")
    else:
        console.line(f"nothing was changed; to write it: tito grade regrade {done.module} --to {done.after} --apply")


def _why(one):
    tests = [f"changed: {', '.join(one.tests)}"] if one.tests else []
    others = [f"{_some(one.reference, CHANGED)} changed"] if one.reference else []
    return "; ".join([*tests, *others, *one.outcomes])


def _some(names, most):
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
