"""`tito check`: the course as it is passes, and every validator finds the damage that it is for."""

import json
import re
import shutil
from pathlib import Path

import pytest
from said import typed

import tito.project
from tito.catalog import read_catalog, read_milestones
from tito.errors import ProjectError, UsageError
from tito.project import Project, read_project
from tito.services.check import gates, package, systems
from tito.services.check.gates import Checked

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("01_tensor", "02_activations", "03_layers", "04_losses", "05_autograd")
README = """# A course

Look at [the path](modules/README.md#milestones), then:

    tito module start 01
"""


def checked(root, work):
    project = read_project(root)
    return Checked(project, read_catalog(project), read_milestones(project), work)


def run(name, root, work):
    (validator,) = gates.chosen([name])
    return validator.run(checked(root, work))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """The first modules of the course, with the rest that a course is made of."""
    root = tmp_path_factory.mktemp("course") / "course"
    root.mkdir()
    for name in ("tinytorch", "tito"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (root / "tinytorch" / "core").glob("*.py"):
        if path.stem not in {"__init__", *(name.partition("_")[2] for name in MODULES)}:
            path.unlink()
    for name in MODULES:
        shutil.copytree(ROOT / "modules" / name, root / "modules" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("01_1957_perceptron", "02_1969_xor"):
        shutil.copytree(ROOT / "milestones" / name, root / "milestones" / name)
    path = (ROOT / "modules" / "README.md").read_text(encoding="utf-8")
    numbers = "|".join(name[:2] for name in MODULES)
    kept = [line for line in path.splitlines() if not re.match(rf"\| \[(?!(?:{numbers})_[a-z])", line)]
    (root / "modules" / "README.md").write_text("\n".join(kept) + "\n", encoding="utf-8")
    (root / "README.md").write_text(README, encoding="utf-8")
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, root / name)
    return root


@pytest.fixture
def course(pristine, tmp_path):
    shutil.copytree(pristine, tmp_path / "course")
    return tmp_path / "course"


OBJECTIVE = '\n[[objectives]]\nid = "x"\ntext = "y"\n'
DAMAGES = [
    ("times", "modules/05_autograd/module.toml", r"^hours = 10$", "hours = 11", "the parts sum to 10 hours"),
    ("times", "modules/README.md", r"(?<=\| 01–03 \| )4(?= \|)", "5", "04_losses: 5 hours, module.toml says 4"),
    ("times", "modules/03_layers/README.md", "About five hours", "About six hours", "03_layers: 6 hours"),
    ("times", "modules/03_layers/README.md", "About five hours", "It takes long", "03_layers: no hours"),
    ("times", "modules/05_autograd/autograd_dev.py", r"(?<=Part 2 of 4 · about )2", "3", "its headings give the parts"),
    ("difficulty", "modules/01_tensor/module.toml", "^difficulty = 2$", "difficulty = 3", "2 of 5, module.toml says 3"),
    ("difficulty", "modules/README.md", r"4(?= of 5)|3(?= of 5)", "1", "04_losses: 1 of 5"),
    ("checkpoints", "modules/05_autograd/autograd_dev.py", r"^## Part 3 of 4 · .*$", "## More", "3 headings of parts"),
    ("checkpoints", "modules/05_autograd/autograd_dev.py", "Part 3 of 4", "Part 2 of 4", "calls itself Part 2 of 4"),
    ("objectives", "modules/02_activations/module.toml", r"\Z", OBJECTIVE, "no graded cell meets"),
    ("objectives", "modules/03_layers/layers_dev.py", r'"minutes": \d+(, )?', "", "lacks minutes"),
    ("sources", "modules/02_activations/activations_dev.py", r'(?<="grade_id": )"relu"', '"rectify"', "rectify"),
    ("exports", "tinytorch/core/losses.py", r"\Z", "# one more line\n", "losses"),
    ("patterns", "modules/04_losses/losses_dev.py", r"def test_module\b", "def test_all", "there is no test_module()"),
    ("patterns", "modules/04_losses/losses_dev.py", r"^(def test_unit_.+:)$", r"\1\n    assert 1", "without a message"),
    ("links", "README.md", "modules/README.md#milestones", "modules/PATH.md", "there is no such file"),
    ("links", "README.md", "#milestones", "#the-mountains", "there is no such heading"),
    ("links", "README.md", "tito module start", "tito module begin", "there is no command module begin"),
    ("links", "README.md", "tito module start 01", "tito module start 01 --fast", "there is no option --fast"),
    ("answers", "modules/02_activations/README.md", r"\Z", None, "activations"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "what"), DAMAGES, ids=[f"{one[0]}-{n}" for n, one in enumerate(DAMAGES)]
)
def test_each_validator_finds_the_damage_that_it_is_for(course, tmp_path, monkeypatch, name, file, old, new, what):
    path = course / file
    before = path.read_text(encoding="utf-8")
    after = re.sub(old, answer_of(course) if new is None else new, before, count=1, flags=re.MULTILINE)
    assert after != before, "nothing was damaged"
    path.write_text(after, encoding="utf-8")
    monkeypatch.setattr(package, "_built", lambda checked: wheel_without_core(tmp_path))
    found = run(name, course, tmp_path / "work")
    assert any(what in one.what for one in found), found
    assert all(one.file and one.fix for one in found)


def answer_of(course):
    """A line of an answer of module 02, as text would give it away."""
    source = (course / "modules" / "02_activations" / "activations_dev.py").read_text(encoding="utf-8")
    region = re.search(r"### BEGIN SOLUTION\n(.+?)### END SOLUTION", source, re.DOTALL)[1]
    return "\n" + region


def wheel_without_core(folder):
    import zipfile

    made = folder / "dist"
    made.mkdir(exist_ok=True)
    with zipfile.ZipFile(made / "x.whl", "w") as archive:
        archive.writestr("tinytorch/core/__init__.py", "")
    return made


def test_an_answer_in_the_wheel_is_found(course, tmp_path, monkeypatch):
    import zipfile

    made = wheel_without_core(tmp_path)
    with zipfile.ZipFile(made / "x.whl", "a") as archive:
        archive.write(course / "tinytorch" / "core" / "layers.py", "tinytorch/core/layers.py")
    monkeypatch.setattr(package, "_built", lambda checked: made)
    found = run("answers", course, tmp_path / "work")
    assert found and {one.file for one in found} == {"wheel: tinytorch/core/layers.py"}


@pytest.mark.parametrize("name", ["times", "difficulty", "checkpoints", "objectives", "patterns", "links"])
def test_the_course_as_it_is_passes(tmp_path, name):
    assert run(name, ROOT, tmp_path) == []


@pytest.mark.parametrize("name", ["sources", "exports", "answers"])
def test_a_part_of_the_course_as_it_is_passes(pristine, tmp_path, monkeypatch, name):
    """Of the whole course, tests/structure and the README's test say it."""
    monkeypatch.setattr(package, "_built", lambda checked: wheel_without_core(tmp_path))
    assert run(name, pristine, tmp_path / "work") == []


def test_a_weak_test_is_found(course, tmp_path, monkeypatch):
    """The audit of a module whose mutants survive; that of the whole course is CI's."""
    from tito.services.grading.proof import audit

    project = read_project(course)
    catalog = read_catalog(project)
    seen = []

    class Weak:
        passed, rate, unexplained = False, 0.5, (1, 2)

    monkeypatch.setattr(audit, "audit", lambda project, catalog, module, jobs: seen.append(module.name) or Weak)
    found = run("strength", course, tmp_path)
    assert seen == [module.name for module in catalog]
    assert found[0].what == "50.0% of the mutants lose points; 2 survivors are not explained"


def test_a_bound_that_is_missed_is_a_finding(tmp_path, monkeypatch):
    rows = {"kept": {"conv": {"ratio": 1.7, "at_most": 1.6}, "pool": {"ratio": 0.9, "at_most": 1.0}}}
    monkeypatch.setattr(systems, "_rows", lambda checked, path, name: rows)
    monkeypatch.setattr(systems, "RUNS", (("spatial.py", ("conv",)),))
    monkeypatch.setattr(systems.importlib.util, "find_spec", lambda name: True)
    (found,) = run("speed", ROOT, tmp_path)
    assert found.what == "conv, malloc kept: 1.70 of PyTorch's time; at most 1.6"


def test_a_wheel_of_a_tree_that_is_not_committed_is_refused(course, tmp_path):
    import subprocess

    subprocess.run(["git", "init", "-q"], cwd=course, check=True)
    (found,) = run("builds", course, tmp_path)
    assert "not committed" in found.what


def test_metadata_that_lack_something_are_named(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.writestr("x.dist-info/METADATA", "Name: x\nVersion: 1\nSummary: y\nRequires-Python: >=3\n\nlong\n")
    said = [one.what for one in package._metadata(tmp_path / "x.whl")]
    assert said == [
        "the wheel's metadata have no License-Expression",
        "the wheel's metadata have no Description-Content-Type",
    ]


def test_a_site_that_does_not_build_and_one_that_breaks_in_a_browser_are_found(tmp_path, monkeypatch):
    from tito.errors import WorkError
    from tito.services.check import documentation
    from tito.services.site import build

    def broken(*_, **__):
        raise WorkError("docs/lms.md:3: a link to nowhere.md", "fix it", code="links")

    monkeypatch.setattr(build, "build", broken)
    (found,) = run("site", ROOT, tmp_path)
    assert "nowhere.md" in found.what
    monkeypatch.setattr(build, "build", lambda *_, **__: None)
    said = (["FAILED test_site_browser.py::test_search - no Conv2d"], False)
    monkeypatch.setattr(documentation, "failed_tests", lambda checked, path: said)
    (found,) = run("site", ROOT, tmp_path)
    assert "no Conv2d" in found.what
    monkeypatch.setattr(documentation, "failed_tests", lambda checked, path: ([], True))
    with pytest.raises(gates.NotHere, match="no Chromium"):
        run("site", ROOT, tmp_path)
    monkeypatch.setattr(documentation, "failed_tests", lambda checked, path: ([], False))
    assert run("site", ROOT, tmp_path) == []


def test_what_pytest_says_is_read_as_failures_and_skips(tmp_path):
    looked_at = checked(ROOT, tmp_path)
    path = tmp_path / "test_some.py"
    path.write_text("import pytest\n\ndef test_a():\n    pass\n", encoding="utf-8")
    assert gates.failed_tests(looked_at, path) == ([], False)
    path.write_text("import pytest\n\ndef test_a():\n    pytest.skip('no')\n", encoding="utf-8")
    assert gates.failed_tests(looked_at, path) == ([], True)
    path.write_text("def test_a():\n    pass\n\ndef test_b():\n    assert 1 == 2\n", encoding="utf-8")
    (failed,), skipped = gates.failed_tests(looked_at, path)
    assert "test_b" in failed and not skipped
    path.write_text("def test_a(:\n", encoding="utf-8")
    assert gates.failed_tests(looked_at, path)[0], "a file that cannot be read is no success"


def test_places_of_the_rules_are_files_and_lines(course, tmp_path):
    path = course / "modules" / "02_activations" / "activations_dev.py"
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace("#| export\n", "#| export\n#| export\n", 1), encoding="utf-8")
    found = run("sources", course, tmp_path)
    assert found
    for one in found:
        assert one.file == "modules/02_activations/activations_dev.py"
        assert one.line and "cell" in one.what


# The command.


def test_the_command_lists_findings_and_ends_with_1(course, monkeypatch):
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    done = typed(course, "check", "difficulty", "--json")
    assert done.exit_code == 0 and done.data[0]["status"] == "passed"
    path = course / "modules" / "01_tensor" / "module.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("difficulty = 2", "difficulty = 3"), encoding="utf-8")
    done = typed(course, "check", "difficulty", "times", "--json")
    assert done.exit_code == 1 and done.error["code"] == "findings" and "tito check difficulty" in done.error["hint"]
    data = json.loads(done.stdout)["data"]
    assert [(one["validator"], one["status"]) for one in data] == [("times", "passed"), ("difficulty", "failed")]
    (finding,) = data[1]["findings"]
    assert finding["file"] == "modules/README.md" and finding["line"] and finding["fix"]
    shown = typed(course, "check", "educational")
    assert shown.exit_code == 1 and "modules/README.md:" in shown.stdout
    listed = typed(course, "check", "--list")
    assert listed.exit_code == 0
    for one in gates.VALIDATORS:
        assert one.about in listed.stdout


def test_a_validator_that_cannot_run_is_no_success(course, monkeypatch):
    monkeypatch.setattr(tito.project, "require_own_tito", lambda project: None)
    monkeypatch.setattr(systems.importlib.util, "find_spec", lambda name: None)
    done = typed(course, "check", "systems", "--json")
    assert done.exit_code == 1 and done.error["code"] == "not-run"
    assert "PyTorch is not installed" in json.loads(done.stdout)["data"][0]["not_run"]


def test_a_name_that_is_none_and_a_workspace_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no gate and no validator 'speeed'"):
        gates.chosen(["speeed"])
    with pytest.raises(ProjectError, match="workspace"):
        list(gates.check(Project(tmp_path, "workspace", "1"), work=tmp_path))


def test_every_gate_of_the_list_has_a_file_and_every_validator_a_function():
    assert gates.GATES == ("educational", "implementation", "testing", "package", "documentation", "systems")
    assert len({one.name for one in gates.VALIDATORS}) == len(gates.VALIDATORS)
    for one in gates.VALIDATORS:
        home = __import__(f"tito.services.check.{one.gate}", fromlist=["x"])
        assert callable(getattr(home, one.name.replace("-", "_")))
