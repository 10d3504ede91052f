"""`tito benchmark run`: one's own submission, with one's own package, in a process of its own. Not official."""

from datetime import datetime

from tito.errors import ProjectError, UsageError, WorkError
from tito.services.grading.olympics import hidden, results
from tito.services.grading.olympics.measure import HandedIn, division_named, measure, no_division
from tito.services.grading.olympics.rules import find_division, read_rules
from tito.services.grading.sandbox.find import Sandbox
from tito.services.grading.sandbox.plain import Plain


def measured_module(catalog):
    """The module whose file is measured. Raises ProjectError where the course has none."""
    found = [module for module in catalog if module.artifact]
    if not found:
        raise ProjectError("no module of this course hands in a file to be measured", code="no-artifact")
    return found[-1]


def run(project, catalog, division=None, path=None):
    """(KeptResult, where it is kept) of measuring the file at `path`, the one beside the notebook unless given.

    division: its name, what the file says unless given. Raises UsageError for an unknown division or a file that is
    not there, WorkError where none was written yet, ProjectError where the package has no export of the module.
    """
    rules, module = read_rules(project), measured_module(catalog)
    if division is not None:
        find_division(rules, division)
    data = _read(project, rules, module, path)
    if not (project.core / module.core_file).is_file():
        label = project.relative(project.core / module.core_file)
        command = "tito export" if project.is_course else "tito module complete"
        raise ProjectError(f"{label} does not exist: the model is built by its build", f"{command} {module.number:02}")
    found = find_division(rules, division or _division_in(project, rules, module, data, path))
    track = hidden.open_track(project, rules, found, hidden.own_settings(project))
    handed = HandedIn(data, project.root, module.short)
    measured = measure(rules, found, handed, track, Sandbox("none", "", Plain()))
    result = results.new_result("", measured)
    stamp = datetime.now().isoformat(timespec="microseconds").replace(":", "-")
    kept = results_folder(project) / f"{found.name}-{stamp}.json"
    results.write(kept, result, seal_key(project))
    return result, kept


def results_folder(project):
    return project.state / "benchmark"


def seal_key(project):
    return results.seal_key(project.state / "benchmark.key")


def _read(project, rules, module, path):
    """At most one byte more than a submission may have."""
    own = path or module.folder / module.artifact
    try:
        with own.open("rb") as file:
            return file.read(rules.MOST_FILE_BYTES + 1)
    except OSError as error:
        reason = f"{project.relative(own)} cannot be read: {error.strerror}"
        if path is not None:
            raise UsageError(reason, "name a submission.npz: --file PATH") from error
        hint = f"tito module test {module.number:02} --all: its last part writes the file"
        raise WorkError(reason, hint, code="no-submission") from error


def _division_in(project, rules, module, data, path):
    label = project.relative(path or module.folder / module.artifact)
    try:
        submission = rules.parse_submission(data, label)
    except ValueError as error:
        raise WorkError(str(error), "write it anew: the notebook's last part does", code="bad-submission") from error
    found = division_named(rules, submission)
    if not found:
        raise UsageError(f"{label} {no_division(rules, submission)}", "name one: tito benchmark run DIVISION")
    return found
