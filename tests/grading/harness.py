"""What the proofs run: a module's notebook with the answers of `answers.py`, all of it in one process that forks.

What kernels add to this is tested with real kernels elsewhere. Answers that keep every point that a student sees are
also exported and given to `test_name.py`, as `tito module complete` does.
"""

from tito.services import notebooks
from tito.services.grading.proof import audit, complete, forks

STUB = "its own stub"


def run_versions(project, catalog, module, wrong, right):
    """Run the notebook as it is, as a stub, with other right answers, and with each wrong answer in its place.

    wrong: {grade_id: [(flaw, code)]}; right: [{grade_id: code}], a notebook each. Returns {"reference" | "stub":
    {"tests": {grade_id: None or the error}, "errors": the same of cells that are no tests and fail},
    "right": [the same of each, and "refusal"], "wrong": [{"grade_id", "flaw", "broken": the answer's own error,
    "tests": {grade_id: None or the error}, "refusal"}], "answers": [grade_id]}. A refusal is that of `complete`; None
    where it takes the answers, and where they lose points that their author sees.
    """
    cells = forks.read_cells(notebooks.load(project, module.percent))
    answers = [(number, cell) for number, cell in enumerate(cells) if cell["role"] == "answer"]
    stubs = {cell["grade_id"]: cell["stub"] for _, cell in answers}
    tried = [
        (number, cell["grade_id"], flaw, code)
        for number, cell in answers
        for flaw, code in [(STUB, cell["stub"]), *wrong.get(cell["grade_id"], [])]
    ]
    versions = [forks.Version(number, code, to_end=flaw != STUB) for number, _, flaw, code in tried]
    runs = {"stub": stubs, **{f"right {number}": answers for number, answers in enumerate(right, 1)}}
    whole, single = forks.run(project, catalog, module, cells, runs=runs, versions=versions)
    results = [
        {"grade_id": grade_id, "flaw": flaw, "broken": broken(finding, number), **by_role(cells, finding, grade_id)}
        for (number, grade_id, flaw, _), finding in zip(tried, single, strict=True)
    ]
    found = {name: by_role(cells, finding) for name, finding in whole.items()}
    rights = [found.pop(f"right {number}") for number in range(1, len(right) + 1)]

    places = {cell["grade_id"]: number for number, cell in answers}
    exports = [
        (notebook, {places[grade_id]: code for grade_id, code in codes.items()})
        for notebook, codes in zip(rights, right, strict=True)
    ]
    exports += [
        (result, {number: code})
        for result, (number, _, _, code), finding in zip(results, tried, single, strict=True)
        if audit.keeps_visible_points(cells, number, finding)
    ]
    texts = [complete.exported(module, cells, codes) for _, codes in exports]
    for one in rights + results:
        one["refusal"] = None
    for (one, _), refusal in zip(exports, complete.refusals(project, catalog, module, texts), strict=True):
        one["refusal"] = refusal
    return {**found, "right": rights, "wrong": results, "answers": [cell["grade_id"] for _, cell in answers]}


def broken(finding, number):
    """Why the answer did not even run, or None."""
    return finding.errors.get(number) if finding.ended else "the process died, or ran into its time limit"


def by_role(cells, finding, question=None):
    """The errors of the tests (of one question, where it is given), and those of other cells that failed."""
    tests, errors = {}, {}
    for number, error in finding.errors.items():
        cell = cells[number]
        if cell["role"] == "test" and question in (None, cell["question"]):
            tests[cell["grade_id"]] = error
        elif cell["role"] != "test" and error is not None:
            errors[str(cell["grade_id"])] = error
    return {"tests": tests, "errors": errors}
