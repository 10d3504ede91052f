"""Scores the notebook of a learner who is alone as a class would be scored: with the course's withheld tests."""

from tito.errors import ProjectError, WorkError
from tito.services import clone


def verify(project, module, folder, *, on_cell=None):
    """The SubmissionResult of the notebook of `module`, by the clone of the course at `folder`.

    on_cell(done, total): called before each cell. The notebook runs in the sandbox that this machine has; what was
    withheld says that it did not pass, and nothing else. Raises UsageError for a folder that is no such clone.
    """
    from tito.services.grading.scoring.executors import Inline
    from tito.services.grading.scoring.scorer import Task

    course, catalog = clone.open_course(project, folder)
    try:
        notebook = module.notebook.read_bytes()
    except FileNotFoundError:
        message = f"{project.relative(module.notebook)} is not there"
        raise WorkError(message, f"tito module start {module.name}", code="unreadable") from None
    run = Inline()
    with run.kit(course, catalog, catalog.find(module.name), sandbox=run.sandbox(course)) as kit:
        tell = (lambda _, done, total: on_cell(done, total)) if on_cell else None
        scored = next(run.run(kit, [Task("yours", notebook)], on_cell=tell))
    if scored.result.status == "ungraded":
        raise ProjectError(f"{module.name} could not be scored: {scored.result.detail}", "tito doctor", code="ungraded")
    return scored.result
