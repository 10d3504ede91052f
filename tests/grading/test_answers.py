"""The files of answers: edits find their place or say so, and no answer is there twice."""

import ast

import pytest
from answers import ROOT, EditError, edited, is_edit, plain, reference_answers, right_answers, sections, wrong_answers

from tito.catalog import read_catalog
from tito.project import read_project
from tito.services import notebooks
from tito.services.grading.proof import audit, forks
from tito.services.grading.proof.mutants import A_CELL, mutants, sample

REFERENCE = """\
def total(values):
    result = 0
    for value in values:
        if value:
            result += value

    return result"""


def test_an_edit_replaces_drops_and_adds_lines():
    assert edited(REFERENCE, "- result = 0\n+ result = 1").split("\n")[1] == "    result = 1"
    assert "result += value" not in edited(REFERENCE, "- if value:\n-     result += value\n+ pass")
    assert edited(REFERENCE, "  result = 0\n+ result += 1").split("\n")[1:3] == ["    result = 0", "    result += 1"]


def test_an_edit_keeps_to_how_deep_the_reference_is_indented():
    dedented = edited(REFERENCE, "-         result += value\n- return result\n+         return value\n+ return 0")
    assert dedented.endswith("        if value:\n            return value\n    return 0")
    assert edited(REFERENCE, "- if value:\n+ if value > 0:\n      result += value").count("value > 0") == 1


def test_several_edits_of_one_answer_each_find_their_place_in_the_reference():
    code = edited(REFERENCE, "- return result\n+ return -result\n\n- result = 0\n+ result = len(values)")
    assert "    result = len(values)\n" in code and code.endswith("    return -result")


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ("- result = 2\n+ result = 1", "in 0 places"),
        ("-     result = 0\n- for value in values:\n+ pass", "in 0 places"),
        ("- result\n+ 0", "in 0 places"),
        ("+ result = 1", "changes no line"),
        ("  result = 0", "changes no line"),
        ("- result = 0\n\n- result = 0\n+ pass", "changes one line of the reference twice"),
    ],
)
def test_an_edit_without_its_place_is_an_error(edit, reason):
    with pytest.raises(EditError, match=reason):
        edited(REFERENCE, edit)


def test_an_edit_that_applies_in_two_places_is_an_error():
    with pytest.raises(EditError, match="in 2 places"):
        edited("if a:\n    x = 1\nelse:\n    x = 1", "- x = 1\n+ x = 2")


def test_an_edit_that_lost_its_place_is_named(tmp_path, monkeypatch):
    import answers

    monkeypatch.setattr(answers, "ROOT", tmp_path)
    monkeypatch.setattr(answers, "reference_answers", lambda name: {"total": REFERENCE})
    path = tmp_path / "made_up.py"
    path.write_text("# %% total: starts at one\n- result = 2\n+ result = 1\n", encoding="utf-8")
    with pytest.raises(EditError, match="made_up.py: total, starts at one: applies in 0 places"):
        answers._read(path, "made_up")


def test_a_whole_answer_is_no_edit():
    found = sections("# %% a: one\n- x\n+ y\n\n# %% a: two\ndef f():\n  return 1\n\n# %% b\n# a remark\nx = 1\n")
    assert [(name, what) for name, what, _ in found] == [("a", "one"), ("a", "two"), ("b", None)]
    assert [is_edit(body) for _, _, body in found] == [True, False, False]


def test_markers_and_directives_are_no_part_of_an_answer():
    assert plain("#| export\ndef f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION") == (
        "def f():\n    return 1"
    )


# No answer is there twice.

PROJECT = read_project(ROOT)
CATALOG = read_catalog(PROJECT)
every_module = pytest.mark.parametrize("name", [module.name for module in CATALOG])


def program(code):
    """What two answers have in common that do the same in the same way: comments, layout and docstrings aside."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


@every_module
def test_no_wrong_answer_is_a_mutant_that_the_audit_makes_anyway(name):
    explained, made = audit.read_explanations(PROJECT, CATALOG[name]), {}
    for cell in forks.read_cells(notebooks.load(PROJECT, CATALOG[name].percent)):
        if cell["role"] == "answer":
            run = sample(mutants(cell["source"], cell["grade_id"]), A_CELL, always=explained)
            made[cell["grade_id"]] = {program(mutant.code): mutant for mutant in run}
    twice = [
        f"{grade_id}: {flaw}: is the mutant {mutant.before} -> {mutant.after}"
        for grade_id, versions in wrong_answers(name).items()
        for flaw, code in versions
        if (mutant := made[grade_id].get(program(code)))
    ]
    assert twice == [], "remove these"


@every_module
@pytest.mark.parametrize("read", [wrong_answers, right_answers])
def test_each_answer_is_another_program_than_the_reference_and_the_others(read, name):
    for grade_id, reference in reference_answers(name).items():
        seen = {program(reference): "the reference"}
        for what, code in read(name).get(grade_id, []):
            assert (same := seen.get(program(code))) is None, f"{grade_id}: {what}: is the same program as {same}"
            seen[program(code)] = what or "the first"
