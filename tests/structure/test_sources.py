"""What the sources of the modules have in common besides the conventions, which are `tito check sources`."""

import re
import warnings

from tito.services import notebooks, strip


def test_a_module_folder_holds_its_four_files_and_no_other(project, catalog):
    for module in catalog:
        wanted = {"README.md", "module.toml", module.percent.name, module.tests.name}
        found = {path.name for path in module.folder.iterdir() if path.is_file()}
        assert found - {module.notebook.name, module.artifact} == wanted, module.name  # what notebooks leave there


def test_from_module_10_on_three_questions_open_a_module_and_a_fault_is_to_be_found(project, catalog):
    """Answers of both are folded; the fault stands in code that runs, earns nothing, and is not skipped by tests."""
    folded = "<details><summary>Answer</summary>"
    for module in (module for module in catalog if module.number >= 10):
        cells = notebooks.load(project, module.percent).node.cells
        texts = ["" if cell.cell_type == "code" else cell.source for cell in cells]
        first = next(index for index, cell in enumerate(cells) if notebooks.is_solution(cell))
        assert sum(text.count(folded) for text in texts[:first]) == 3, module.name
        places = [index for index, text in enumerate(texts) if re.search("^##+ Find the fault$", text, re.MULTILINE)]
        assert len(places) == 1 and places[0] > first, module.name
        faulty = cells[places[0] + 1]
        assert faulty.cell_type == "code" and "nbgrader" not in faulty.metadata, module.name
        assert not notebooks.is_measure(faulty) and not notebooks.is_exported(faulty), module.name
        assert folded in texts[places[0] + 2], module.name


def test_what_complete_asks_of_the_export_leaves_a_stretch_out(project, catalog):
    """A stretch that is wrong stands in nobody's way, so no test of test_name.py may be about one."""
    for module in catalog:
        cells = notebooks.load(project, module.percent).node.cells
        stretch = {notebooks.grade_id(cell) for cell in cells if notebooks.is_stretch(cell)}
        assert not stretch & set(re.findall(r"\w+", module.tests.read_text(encoding="utf-8"))), module.name


def test_no_source_warns_when_it_is_compiled(catalog):
    """An invalid escape in markdown or in a docstring warns today and is an error in a later Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for module in catalog:
            compile(module.percent.read_text(encoding="utf-8"), str(module.percent), "exec")


def test_an_answer_is_what_the_stylesheet_of_jupyterlab_takes_for_one(project, catalog):
    """tito/jupyter/custom/custom.css: an editable code cell after the first two, with a locked one right below it."""
    for module in catalog:
        cells = strip.strip(notebooks.load(project, module.percent).node).cells
        locked = [cell.cell_type == "code" and cell.metadata.get("editable") is False for cell in cells]
        code = [index for index, cell in enumerate(cells) if cell.cell_type == "code"]
        above = [index for index in code[2:] if not locked[index] and locked[index + 1 : index + 2] == [True]]
        assert above == [index for index in code if notebooks.is_solution(cells[index])], module.name
