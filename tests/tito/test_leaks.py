"""A statement of a solution or of a hidden test is found wherever it is handed out, and nothing else is reported."""

import json

import pytest

from tito.errors import ProjectError, WorkError
from tito.project import Project
from tito.services import leaks, notebooks, strip

SOLUTION = "twofold_of_the_number = number + number"
ERROR = 'raise TypeError(f"double needs a number, not the text {number!r}")'
HIDDEN = 'assert double(withheld_number) == 2 * withheld_number, "a number that was withheld"'
LOOP = "for withheld_number in (0, -1, 2.5):"
HINT = "A text can be added to itself as well, so look at the type of the number before you add."
RUBRIC = "Twice a sum is the sum of the doubles (1 point), and so on (1 point)."


@pytest.fixture
def secrets(project, catalog):
    return leaks.secrets(project, catalog)


@pytest.fixture
def handed_out(tmp_path):
    folder = tmp_path / "handed out"
    folder.mkdir()
    return folder


def found(folder, secrets):
    return [(leak.path, leak.line) for leak in leaks.scan(folder, secrets)]


def write_cells(path, *cells):
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}), encoding="utf-8")


def test_what_is_secret(secrets):
    wanted = {leaks.normalised(text) for text in (SOLUTION, ERROR, HIDDEN, LOOP, RUBRIC, HINT)}
    assert wanted <= secrets.origins.keys()
    origin = secrets.origins[leaks.normalised(SOLUTION)]
    path, line = origin.split(" ")[0].split(":")
    assert path == "modules/01_alpha/alpha_dev.py"
    assert int(line) > 20


def test_short_statements_and_provided_code_are_no_secret(project, catalog, alpha, secrets):
    assert leaks.normalised("return number + number") not in secrets.origins
    assert leaks.normalised("if isinstance(number, str):") in secrets.origins, "25 characters are enough"
    text = alpha.percent.read_text(encoding="utf-8")
    alpha.percent.write_text(f"{text}\n# %%\nif True:\n    {SOLUTION.replace(' ', '  ')}\n", encoding="utf-8")
    assert leaks.normalised(SOLUTION) not in leaks.secrets(project, catalog).origins


def test_comments_inside_regions_are_secret(project, catalog, alpha, handed_out):
    text = alpha.percent.read_text(encoding="utf-8")
    comment = "# adding is cheaper than multiplying here"
    commented = text.replace(f"    {SOLUTION}", f"    {comment}\n    {SOLUTION}")
    alpha.percent.write_text(commented, encoding="utf-8")
    (handed_out / "notes.md").write_text(f"\n{comment}\n", encoding="utf-8")
    assert found(handed_out, leaks.secrets(project, catalog)) == [("notes.md", 2)]


def test_a_stripped_course_leaks_nothing(project, catalog, secrets, handed_out):
    for module in catalog:
        node = notebooks.load(project, module.percent).node
        notebooks.write(strip.strip(node), handed_out / module.notebook.name)
    assert found(handed_out, secrets) == []


def test_an_unstripped_course_leaks_everything(project, catalog, secrets, handed_out):
    for module in catalog:
        notebooks.write(notebooks.load(project, module.percent).node, handed_out / module.notebook.name)
    assert {leak.statement for leak in leaks.scan(handed_out, secrets)} == secrets.origins.keys()


def test_hints_left_in_the_metadata_of_a_stripped_notebook_are_found(project, alpha, secrets, handed_out):
    source = notebooks.load(project, alpha.percent)
    node = strip.strip(source.node)
    number, cell = next((n, cell) for n, cell in enumerate(node.cells, 1) if notebooks.grade_id(cell) == "double")
    cell.metadata["tinytorch"]["hints"] = notebooks.hints(source.node.cells[number - 1])
    notebooks.write(node, handed_out / "alpha_dev.ipynb")
    assert {leak.path for leak in leaks.scan(handed_out, secrets)} == {f"alpha_dev.ipynb, cell {number}"}
    assert len(leaks.scan(handed_out, secrets)) == 2


@pytest.mark.parametrize(
    "text",
    [
        SOLUTION,
        "twofold_of_the_number = (\n    number\n    + number\n)",
        "twofold_of_the_number = \\\n    number + \\\n    number",
        "twofold_of_the_number=number+number",
        "# twofold_of_the_number = (\n#     number + number\n# )",
        "Write `twofold_of_the_number = number + number` into the cell.",
        "raise TypeError(\n    f'double needs a number, not the text {number!r}',\n)",
        "for withheld_number in (\n    0,\n    -1,\n    2.5,\n):",
        HIDDEN.replace(", ", ",\n    "),
        RUBRIC.replace(" ", "\n"),
        HINT,
    ],
)
def test_a_leak_is_found_however_it_is_formatted(secrets, handed_out, text):
    (handed_out / "file.py").write_text(f"x = 1\n\n{text}\n", encoding="utf-8")
    (leak,) = leaks.scan(handed_out, secrets)
    assert leak.path == "file.py"
    assert leak.line in (3, 4)
    assert leak.origin.startswith("modules/01_alpha/alpha_dev.py:")


@pytest.mark.parametrize("name", ["a.py", "b.md", "c.toml", "no_suffix", ".hidden/deep/d.txt", "broken.ipynb"])
def test_every_text_file_is_scanned(secrets, handed_out, name):
    path = handed_out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"é\n{SOLUTION}\n", encoding="utf-8")
    assert found(handed_out, secrets) == [(name, 2)]


def test_text_in_another_encoding_is_scanned(secrets, handed_out):
    (handed_out / "latin.txt").write_bytes(f"é {SOLUTION}".encode("latin-1"))
    assert found(handed_out, secrets) == [("latin.txt", 1)]


def test_binary_files_are_skipped(secrets, handed_out):
    (handed_out / "data.bin").write_bytes(b"\0" + SOLUTION.encode())
    assert found(handed_out, secrets) == []


def test_sources_outputs_and_metadata_of_notebooks_are_scanned(secrets, handed_out):
    lines = ["x = 1\n", "raise TypeError(\n", "f'double needs a number, ", "not the text {number!r}')"]
    write_cells(
        handed_out / "a.ipynb",
        {"cell_type": "markdown", "source": "nothing"},
        {"cell_type": "code", "source": lines, "outputs": []},
        {"cell_type": "code", "source": "", "outputs": [{"data": {"text/plain": [SOLUTION[:20], SOLUTION[20:]]}}]},
        {"cell_type": "code", "source": "", "metadata": {"hint": {"text": HIDDEN}}},
    )
    assert found(handed_out, secrets) == [("a.ipynb, cell 2", 2), ("a.ipynb, cell 3", 1), ("a.ipynb, cell 4", 1)]


def test_strings_of_other_json_files_are_decoded(secrets, handed_out):
    (handed_out / "manifest.json").write_text(json.dumps({"a": [{"b": ERROR}]}), encoding="utf-8")
    assert found(handed_out, secrets) == [("manifest.json", 1)]


def test_the_compound_statement_leaks_by_its_header_alone(secrets, handed_out):
    (handed_out / "a.py").write_text(f"{LOOP}\n    print(withheld_number)\n", encoding="utf-8")
    assert [leak.statement for leak in leaks.scan(handed_out, secrets)] == [leaks.normalised(LOOP)]


def test_a_decorator_belongs_to_its_function(project, catalog, alpha):
    text = alpha.percent.read_text(encoding="utf-8")
    inner = "@functools.lru_cache(maxsize=None)\n    def helper_of_the_answer(number):\n        return 1"
    alpha.percent.write_text(text.replace(SOLUTION, inner), encoding="utf-8")
    header = leaks.normalised(inner[: inner.index("return")])
    assert header in leaks.secrets(project, catalog).origins


def test_a_statement_with_a_comment_inside_is_found_with_it_and_without(project, catalog, alpha, handed_out):
    text = alpha.percent.read_text(encoding="utf-8")
    inner = "twofold_of_the_number = (\n        number  # once\n        + number\n    )"
    alpha.percent.write_text(text.replace(SOLUTION, inner), encoding="utf-8")
    secrets = leaks.secrets(project, catalog)
    (handed_out / "with.py").write_text(f"    {inner}\n", encoding="utf-8")
    (handed_out / "without.py").write_text(SOLUTION, encoding="utf-8")
    assert found(handed_out, secrets) == [("with.py", 1), ("without.py", 1)]


def test_a_workspace_has_no_secrets_to_look_for(project, catalog):
    with pytest.raises(ProjectError, match="no solutions"):
        leaks.secrets(Project(project.root, "workspace", "1"), catalog)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [("    ### END SOLUTION\n", "", "without an END SOLUTION"), (SOLUTION, "twofold = = number", "syntax error")],
)
def test_a_source_that_cannot_be_scanned_is_refused_with_its_place(project, catalog, alpha, old, new, reason):
    text = alpha.percent.read_text(encoding="utf-8")
    alpha.percent.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(WorkError, match=reason) as caught:
        leaks.secrets(project, catalog)
    assert caught.value.message.startswith("modules/01_alpha/alpha_dev.py:")
