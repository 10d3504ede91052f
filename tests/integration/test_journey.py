"""A person's whole way, without a terminal: a fresh clone, fresh environments, the README's commands, every module.

One test after another in one workspace; each takes up where the one before it left off. Takes some minutes.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from answers import right_answers
from jupyterlab_page import Student, chromium_for_jupyterlab

from tito.catalog import read_catalog, read_milestones
from tito.project import read_project
from tito.services import leaks, strip

ROOT = Path(__file__).resolve().parents[2]
COURSE = read_project(ROOT)
CATALOG = read_catalog(COURSE)
MILESTONES = read_milestones(COURSE)
NAMES = [module.name for module in CATALOG]
ALL_DONE = f"{len(NAMES)} of {len(NAMES)} modules complete"
MARKER = "solved by the stand-in student"

pytestmark = [pytest.mark.journey, pytest.mark.kernel, pytest.mark.xdist_group("journey")]


def person(command, folder, expect=0):
    """Run a command line as somebody who just opened a shell in `folder`: no environment active, no terminal.

    expect: the exit code, or those that are fine.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environment["PATH"] = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if ".venv" not in p)
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", command],
        cwd=folder,
        env={**environment, "MPLBACKEND": "agg"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    fine = expect if isinstance(expect, tuple) else (expect,)
    assert done.returncode in fine, f"{command}\nexit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


class Journey:
    """Where the person is: the clone, the workspace, and what they have written so far."""

    def __init__(self, folder):
        self.clone = folder / "tinytorch"
        self.workspace = folder / "my-tinytorch"

    def tito(self, command, expect=0):
        return person(f". .venv/bin/activate && tito {command}", self.workspace, expect)

    def tito_json(self, command, expect=0):
        return json.loads(self.tito(f"{command} --json", expect))

    def notebook(self, name):
        return self.workspace / "modules" / name / CATALOG[name].notebook.name

    def exported(self, name):
        return self.workspace / "tinytorch" / "core" / CATALOG[name].core_file

    def write(self, name, answers):
        """Put answers into the cells of a notebook, as an editor saves it."""
        path = self.notebook(name)
        node = nbformat.read(path, as_version=4)
        for cell in node.cells:
            grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
            if grade_id in answers:
                directive = "#| export\n" if cell.source.startswith("#| export") else ""
                cell.source = directive + answers[grade_id]
        nbformat.write(node, path)

    def damaged(self, name, change):
        """A context in which the notebook is changed; afterwards it is as it was."""
        return Damage(self.notebook(name), change)


class Damage:
    def __init__(self, path, change):
        self.path, self.change = path, change

    def __enter__(self):
        self.before = self.path.read_bytes()
        node = nbformat.reads(self.before.decode("utf-8"), as_version=4)
        self.change(node)
        nbformat.write(node, self.path)

    def __exit__(self, *error):
        self.path.write_bytes(self.before)


def cell_of(node, grade_id):
    return next(cell for cell in node.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def student_answers(name):
    answers = {grade_id: versions[0][1] for grade_id, versions in right_answers(name).items()}
    first = next(iter(answers))
    answers[first] += f"\n\n# {MARKER}"
    return answers


@pytest.fixture(scope="module")
def journey(tmp_path_factory):
    return Journey(tmp_path_factory.mktemp("journey"))


def readme_block(name):
    command = [sys.executable, ROOT / ".ci" / "readme_block.py", name]
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout


def test_01_the_readme_leads_from_a_clone_to_a_workspace(journey):
    person(f"git clone --quiet {ROOT} {journey.clone}", journey.clone.parent)
    said = person(readme_block("student"), journey.clone)
    assert f"0 of {len(NAMES)} modules complete" in said
    assert "next: tito module start 01_tensor" in said
    assert sorted(p.name for p in (journey.workspace / "tinytorch" / "core").glob("*.py")) == ["__init__.py"]
    assert (journey.workspace / "tinytorch" / "data" / "shakespeare.txt.gz").is_file()
    assert not list(journey.workspace.rglob("*_dev.py"))
    assert not (journey.workspace / "tests").exists()


def test_02_the_workspace_holds_no_answer(journey, tmp_path):
    secrets = leaks.secrets(COURSE, CATALOG)
    assert len(secrets.origins) > 100, "there must be something to look for"
    folder = tmp_path / "workspace"
    shutil.copytree(journey.workspace, folder, ignore=shutil.ignore_patterns(".venv"))
    assert leaks.scan(folder, secrets) == []

    planted = "return  grad @ np.swapaxes(b, -1,\n -2), np.swapaxes(a, -1, -2) @ grad"
    (folder / "modules" / "notes.md").write_text(planted, encoding="utf-8")
    assert leaks.scan(folder, secrets), "the scan does not find what is there"


def test_03_the_workspace_equals_what_the_stripping_service_gives(journey):
    from tito.services import notebooks

    for module in CATALOG:
        stripped = strip.strip(notebooks.load_handed_out(COURSE, module).node)
        handed_out = nbformat.read(journey.notebook(module.name), as_version=4)
        assert [cell.source for cell in handed_out.cells] == [cell.source for cell in stripped.cells]


def test_04_an_untouched_stub_fails_with_zero_points(journey):
    result = journey.tito_json("module test 01", expect=1)
    assert result["ok"] is False
    assert result["data"]["points"] == 0
    assert result["data"]["max_points"] > 0
    assert result["data"]["withheld"] > 0
    assert {cell["status"] for cell in result["data"]["cells"]} <= {"todo", "blocked"}
    journey.tito("module complete 01", expect=1)
    assert not journey.exported("01_tensor").exists()


def test_04_the_first_answer_is_written_in_jupyterlab_and_tested(journey, tmp_path_factory):
    """The first five minutes: JupyterLab open on module 01, its first answer typed and saved, tito module test 01."""
    home = tmp_path_factory.mktemp("home")
    python = journey.workspace / ".venv" / "bin" / "python"
    with chromium_for_jupyterlab(tmp_path_factory.mktemp("chromium")) as browser:
        student = Student(journey.workspace, browser, home, python)
        try:
            student.open()
            assert "Error" not in student.answer_first()
        finally:
            student.close()
    result = journey.tito_json("module test 01", expect=1)
    passed = {cell["grade_id"] for cell in result["data"]["cells"] if cell["status"] == "passed"}
    assert passed == {"test-broadcast_shape", "test-broadcast_shape-errors"}
    checks = journey.tito_json("doctor")["data"]["checks"]
    assert len(checks) > 20 and all(check["ok"] for check in checks)
    journey.tito("module reset 01")


def test_05_a_module_whose_prerequisites_are_missing_is_refused(journey):
    said = journey.tito("module start 05 --no-open", expect=1)
    assert "01_tensor" in said
    assert "tito module" in said


@pytest.mark.parametrize("name", NAMES)
def test_06_the_student_completes_a_module(journey, name):
    journey.tito(f"module start {name} --no-open")
    journey.write(name, student_answers(name))
    result = journey.tito_json(f"module complete {name}")
    assert result["ok"] is True
    assert result["data"]["points"] == result["data"]["max_points"] > 0
    assert MARKER in journey.exported(name).read_text(encoding="utf-8")


def test_07_status_shows_all_of_it_and_the_package_is_the_students(journey):
    assert ALL_DONE in journey.tito("module status")
    code = "import tinytorch.core.autograd as m, tinytorch.core.tensor as t; print(m.__file__); print(t.__file__)"
    files = person(f'. .venv/bin/activate && cd / && python -c "{code}"', journey.workspace).split()
    for file, name in zip(files, ["05_autograd", "01_tensor"], strict=True):
        assert Path(file).resolve() == journey.exported(name).resolve()
        assert MARKER in Path(file).read_text(encoding="utf-8")


def test_08_the_students_own_package_trains_a_network(journey):
    code = """
import numpy as np, tinytorch
from tinytorch import nn
from sklearn.datasets import load_digits
data = load_digits()
x, y = (data.data / 16).astype(np.float32), data.target
tinytorch.manual_seed(0)
model, loss_of = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)), nn.CrossEntropyLoss()
for _ in range(15):
    for i in range(0, 1437, 32):
        loss_of(model(tinytorch.Tensor(x[i:i+32])), y[i:i+32]).backward()
        for p in model.parameters():
            p.data -= 0.2 * p.grad
            p.grad = None
with tinytorch.no_grad():
    print((model(tinytorch.Tensor(x[1437:])).argmax(axis=1).numpy() == y[1437:]).mean())
"""
    (journey.workspace / "train.py").write_text(code, encoding="utf-8")
    accuracy = float(person(". .venv/bin/activate && python train.py", journey.workspace))
    assert accuracy > 0.85, "the last 360 digits are by other hands than the first 1,437"


@pytest.mark.parametrize("milestone", list(MILESTONES), ids=lambda milestone: milestone.name)
def test_08_the_students_own_package_reaches_a_milestone(journey, milestone):
    """Those that take seconds are run whole. What the others reach, .ci/milestones.py asks of the same answers in the
    course; here it is two epochs, whose report says what they came to.
    """
    quick = milestone.short in ("perceptron", "xor")
    options = f"--data {milestone.datasets[-1]}" + ("" if quick else " --epochs 2")
    result = journey.tito_json(f"milestone run {milestone.number} {options}", 0 if quick else (0, 1, 4))
    assert result["data"]["reached"] or not quick
    assert (journey.workspace / result["data"]["report"]).is_file()


def test_08_a_milestones_program_runs_by_hand_from_any_folder(journey):
    program = next(iter(MILESTONES)).program.relative_to(ROOT)
    said = person(f'. .venv/bin/activate && cd / && python "$OLDPWD/{program}"', journey.workspace)
    assert f"report: {journey.workspace.resolve()}" in said


def test_09_the_clones_environment_is_refused_in_the_workspace(journey):
    said = person(f". {journey.clone}/.venv/bin/activate && tito module status", journey.workspace, expect=3)
    assert ".venv/bin/activate" in said, "it has one, which is only not active"
    said = person(f". {journey.clone}/.venv/bin/activate && tito module test 01 --json", journey.workspace, expect=3)
    assert json.loads(said)["error"]["code"] == "wrong-environment"

    cells = nbformat.read(journey.notebook("01_tensor"), as_version=4).cells
    first = next(cell.source for cell in cells if cell.cell_type == "code")
    (journey.notebook("01_tensor").parent / "first_cell.py").write_text(first, encoding="utf-8")
    command = f"cd modules/01_tensor && {journey.clone}/.venv/bin/python first_cell.py"
    assert "this notebook belongs to" in person(command, journey.workspace, expect=1)


def test_10_a_bug_fails_exactly_its_cell_and_leaves_the_package(journey):
    exported = journey.exported("01_tensor").read_bytes()

    def column_major(node):
        cell = cell_of(node, "row_major_strides")
        cell.source += "\n\n_right = row_major_strides\nrow_major_strides = lambda shape: _right(shape)[::-1]\n"

    with journey.damaged("01_tensor", column_major):
        result = journey.tito_json("module complete 01", expect=1)
        failed = [cell["grade_id"] for cell in result["data"]["cells"] if cell["status"] != "passed"]
        assert failed == ["test-row_major_strides"]
        assert "01_tensor" in journey.tito("module status")
    assert journey.exported("01_tensor").read_bytes() == exported
    assert ALL_DONE in journey.tito("module status")


def test_11_a_deleted_rule_fails_although_the_module_was_completed(journey):
    def without_tanh(node):
        cell = cell_of(node, "activation_gradients")
        cell.source = re.sub(r"@tanh\.gradient\ndef (\w+)\(.*?(?=\n@)", "", cell.source, flags=re.DOTALL)
        assert "@tanh" not in cell.source

    with journey.damaged("05_autograd", without_tanh):
        result = journey.tito_json("module test 05", expect=1)
    failed = [cell["grade_id"] for cell in result["data"]["cells"] if cell["status"] != "passed"]
    assert failed == ["test-activation_gradients"]


FAULTS = {
    "a syntax error": ("def result_dtype(*operands, floating=False:\n    pass\n", "SyntaxError"),
    "an endless loop": ("def result_dtype(*operands, floating=False):\n    while True:\n        pass\n", "time"),
    "os._exit(0)": ("import os\nos._exit(0)\n", "kernel died"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_12_a_fault_gets_its_message_and_exit_code_1(journey, fault):
    code, words = FAULTS[fault]

    def plant(node):
        cell_of(node, "result_dtype").source = code

    with journey.damaged("01_tensor", plant):
        said = journey.tito("module test 01 --cell-seconds 3 --total-seconds 60", expect=1)
    assert words in said
    assert "Traceback" not in said


def test_13_deleted_tests_are_restored_and_an_empty_notebook_is_a_failure(journey):
    def without_tests(node):
        node.cells = [cell for cell in node.cells if not cell.metadata.get("nbgrader", {}).get("grade")]
        cell_of(node, "row_major_strides").source = "def row_major_strides(shape):\n    return shape\n"

    def nothing(node):
        node.cells = []

    with journey.damaged("01_tensor", without_tests):
        result = journey.tito_json("module test 01", expect=1)
        failed = [cell["grade_id"] for cell in result["data"]["cells"] if cell["status"] != "passed"]
        assert failed == ["test-row_major_strides"], "the original test ran, and failed"
        assert any("locked cells were deleted" in text for text in result["data"]["warnings"])
    with journey.damaged("01_tensor", nothing):
        result = journey.tito_json("module test 01", expect=1)
        assert result["data"]["points"] == 0


def test_14_reset_keeps_the_students_work(journey):
    path = journey.notebook("01_tensor")
    before = path.read_bytes()
    said = journey.tito("module reset 01")
    backup = re.search(r"(\.tito/backups/\S+)", said)[1]
    assert (journey.workspace / backup).read_bytes() == before
    assert path.read_bytes() == (journey.workspace / ".tito" / "stubs" / "01_tensor.ipynb").read_bytes()
    shutil.copy(journey.workspace / backup, path)
    assert ALL_DONE in journey.tito("module status")


def test_15_broken_json_is_said_to_be_broken(journey):
    path = journey.notebook("01_tensor")
    before = path.read_bytes()
    path.write_bytes(before[: len(before) // 2])
    said = journey.tito("module test 01", expect=1)
    assert "tensor_dev.ipynb" in said
    assert "Traceback" not in said
    assert ALL_DONE not in journey.tito("module status")
    path.write_bytes(before)


CLASS = """Student,ID,SIS User ID,SIS Login ID,Section,09_spatial (77)
    Points Possible,,,,,{points}
"Author, Ada",101,s1,ada,A,
"Empty, Emil",102,s2,emil,A,
"Ünsal, Zoë",103,s3,zoe,A,
"Missing, Mia",104,s4,mia,A,
"""


def test_16_an_instructor_grades_it_with_the_commands_of_the_readme(journey):
    commands = [line.split("#")[0].strip() for line in readme_block("instructor").splitlines()]
    # formgrade serves until Ctrl-C; the hostile submissions have a test of their own
    week = [command for command in commands if command not in ("tito grade selftest", "tito grade formgrade")]
    assert len(week) == len(commands) - 2 >= 8
    stub = journey.workspace / ".tito" / "stubs" / "09_spatial.ipynb"
    node = nbformat.read(journey.notebook("09_spatial"), as_version=4)
    assert MARKER in "".join(cell.source for cell in node.cells)
    (journey.clone / "class.csv").write_text(CLASS.format(points=100), encoding="utf-8")
    with zipfile.ZipFile(journey.clone / "submissions.zip", "w") as archive:
        archive.write(journey.notebook("09_spatial"), "authorada_101_9001_spatial_dev-1.ipynb")
        archive.write(stub, "emptyemil_102_9002_spatial_dev.ipynb")
        archive.writestr("unsalzoe_103_9003_spatial_dev.ipynb", "{ this is no notebook")
    for command in week:
        person(f". .venv/bin/activate && {command}", journey.clone)

    again = json.loads(person(". .venv/bin/activate && tito grade autograde 09 --json", journey.clone))
    rows = {row["student"]: row for row in again["data"]["students"]}
    by_status = {row["status"]: row for row in rows.values()}
    assert sorted(by_status) == ["graded", "missing", "unreadable"]
    assert not any(row["graded_now"] for row in rows.values()), "nothing changed, so nothing runs again"
    scores = sorted((row["points"], row["max_points"]) for row in rows.values() if row["status"] == "graded")
    assert scores[0] == (0, scores[1][1]), "an untouched stub earns nothing"
    assert scores[1][0] == scores[1][1] > 0, "a correct answer, written differently, earns all that can be autograded"
    with (journey.clone / "09.csv").open(encoding="utf-8-sig", newline="") as file:
        canvas = {row["ID"]: row for row in csv.DictReader(file)}
    assert float(canvas["101"]["09_spatial (77)"]) == scores[1][0]
    assert canvas["104"]["09_spatial (77)"] == "", "missing is not zero"
    with zipfile.ZipFile(journey.clone / "assignments" / "feedback" / "09_spatial.zip") as archive:
        assert len(archive.namelist()) == 3


def test_17_the_course_changes_in_the_middle_of_the_term(journey):
    """In the class of before: a test passes now whatever is answered, and another one never."""
    source, settings = journey.clone / "modules" / "09_spatial" / "spatial_dev.py", journey.clone / "pyproject.toml"
    calls = list(re.finditer(r"^test_unit_\w+\(\)$", text := source.read_text(encoding="utf-8"), re.MULTILINE))
    easier, harder = calls[0], calls[-1]
    text = text[: harder.start()] + "raise AssertionError('stricter now')" + text[harder.end() :]
    text = text[: easier.start()] + "pass" + text[easier.end() :]
    source.write_text(text, encoding="utf-8", newline="\n")
    term = '[tool.tito.grading]\nslip-days = 3\nlate-penalty = 10\n\n[project]\nversion = "1.1.0"\n'
    project = re.sub(r'^version = ".+"$', "", settings.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
    settings.write_text(project.replace("[project]\n", term), encoding="utf-8", newline="\n")

    said = [person(f". .venv/bin/activate && {line}", journey.clone) for line in readme_block("term").splitlines()]
    history, table, written, _, _ = said
    assert "released" in history and "export canvas" in history and COURSE.version in history
    assert f"{COURSE.version} to 1.1.0" in table and "nothing was changed" in table and "emil " in table
    assert "graded with 1.1.0" in written and "keep points that were published" in written
    again = json.loads(person(". .venv/bin/activate && tito grade autograde 09 --json", journey.clone))
    assert not any(row["graded_now"] for row in again["data"]["students"])
    points = {row["student"]: row["points"] for row in again["data"]["students"] if row["status"] == "graded"}
    most = next(row["max_points"] for row in again["data"]["students"] if row["status"] == "graded")
    (ada,) = [name for name, count in points.items() if count == most]
    (emil,) = [name for name, count in points.items() if 0 < count < most]
    with (journey.clone / "term.csv").open(encoding="utf-8-sig", newline="") as file:
        sums = {row["student"]: row for row in csv.DictReader(file)}
    assert float(sums[ada]["total_percent"]) > float(sums[emil]["total_percent"]) > 0
    page = journey.clone / "assignments" / "feedback" / emil / "09_spatial" / "spatial_dev.html"
    assert "The sum so far" in page.read_text(encoding="utf-8")
