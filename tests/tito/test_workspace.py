"""`tito init`: what a workspace holds, what it must never hold, and when none is made."""

import hashlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE_FILES = {"README.md", "module.toml"}
JUNK = (
    "tests/test_x.py", "tinytorch/core/alpha.py", "tinytorch/__pycache__/x.pyc", "modules/01_alpha/notes.py",
    "modules/01_alpha/alpha_dev.ipynb", "benchmarks/b.py", "docs/engine.md", ".git/config", ".tito/progress.json",
)  # fmt: skip
WANTED = ("LICENSE", "modules/README.md", "milestones/01_xor/run.py")


@pytest.fixture
def dest(tmp_path):
    return (tmp_path / "new" / "workspace").resolve()


def files(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_a_workspace_holds_exactly_what_a_student_needs(tito, mini_course, dest):
    for file in JUNK + WANTED:
        (mini_course / file).parent.mkdir(parents=True, exist_ok=True)
        (mini_course / file).write_text("something\n", encoding="utf-8")
    outcome = tito("init", dest, "--json")
    assert outcome.exit_code == 0, outcome.stdout
    expected = {*WANTED, "README.md", ".gitignore", "pyproject.toml"}
    expected |= {"tinytorch/notebook.py", "tinytorch/core/__init__.py"}
    expected |= {path.relative_to(mini_course).as_posix() for path in (mini_course / "tinytorch").glob("_*.py")}
    expected |= {".tito/stubs/manifest.json", ".tito/hints.json"}
    for name in ("01_alpha", "02_beta", "03_gamma"):
        short = name.split("_")[1]
        parts = {*MODULE_FILES, f"test_{short}.py", f"{short}_dev.ipynb"}
        expected |= {f"modules/{name}/{part}" for part in parts} | {f".tito/stubs/{name}.ipynb"}
    found = {file for file in files(dest) if not file.startswith("tito/")}
    assert found == expected
    own = {file for file in files(dest) if file.startswith("tito/")}
    assert own == {file for file in files(mini_course) if file.startswith("tito/") and "__pycache__" not in file}
    assert outcome.document["data"]["folder"] == str(dest)
    assert outcome.document["data"]["next"][-1] == "tito module start 01"
    assert list(dest.parent.iterdir()) == [dest], "nothing is left beside it"


def test_notebooks_are_stubs_that_the_manifest_knows(untouched):
    manifest = json.loads((untouched / ".tito/stubs/manifest.json").read_text(encoding="utf-8"))
    assert (manifest["schema"], manifest["course_version"]) == (1, "1.2.3")
    assert list(manifest["notebooks"]) == ["01_alpha", "02_beta", "03_gamma"]
    for name, entry in manifest["notebooks"].items():
        stub = (untouched / ".tito/stubs" / f"{name}.ipynb").read_bytes()
        assert entry["sha256"] == hashlib.sha256(stub).hexdigest()
        assert (untouched / "modules" / name / f"{name.split('_')[1]}_dev.ipynb").read_bytes() == stub
        assert b"write this cell" in stub and b"BEGIN SOLUTION" not in stub


def test_no_answer_is_anywhere(untouched):
    for file in untouched.rglob("*"):
        if file.is_file():
            text = file.read_bytes()
            assert b"twofold_of_the_number" not in text, file
            assert b"a number that was withheld" not in text, file


def test_the_workspace_is_a_project_of_its_own(untouched, workspace):
    settings = tomllib.loads((untouched / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["tito"]["role"] == "workspace"
    status = workspace.tito("module", "status", "--json", cwd=workspace.root / "modules" / "02_beta")
    assert status.document["data"]["next"] == "01_alpha"
    assert workspace.tito("init", workspace.root.parent / "another", "--json").document["error"]["code"] == "no-course"


def test_the_real_pyproject_becomes_a_workspaces(tito, mini_course, dest):
    real = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    (mini_course / "pyproject.toml").write_text(real, encoding="utf-8")
    assert tito("init", dest).exit_code == 0
    settings = tomllib.loads((dest / "pyproject.toml").read_text(encoding="utf-8"))
    expected = tomllib.loads(real)
    expected["tool"]["tito"]["role"] = "workspace"
    expected["tool"]["pytest"]["ini_options"]["testpaths"] = ["modules"]
    assert settings == expected


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="not a clone")
def test_git_in_a_workspace_keeps_the_work_and_what_protects_it(workspace):
    subprocess.run(["git", "init", "-q"], cwd=workspace.root, check=True)
    (workspace.root / ".tito" / "views" / "x").mkdir(parents=True)
    (workspace.root / ".tito" / "views" / "x" / "y.py").write_text("", encoding="utf-8")
    (workspace.root / ".tito" / "progress.json").write_text("{}", encoding="utf-8")
    listed = ["git", "ls-files", "--others", "--exclude-standard"]
    seen = subprocess.run(listed, cwd=workspace.root, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"modules/01_alpha/alpha_dev.ipynb", ".tito/stubs/manifest.json", ".tito/progress.json"} <= set(seen)
    assert not [file for file in seen if file.startswith(".tito/views") or file.endswith(".pyc")]


def test_the_readme_names_commands_that_exist(tito, untouched):
    text = (untouched / "README.md").read_text(encoding="utf-8")
    commands = {line.strip().split("  ")[0] for line in text.splitlines() if line.startswith("    tito ")}
    assert len(commands) >= 5
    for command in commands:
        words = [word for word in command.split()[1:] if word != "01"]
        assert tito(*words, "--help").exit_code == 0, command


def test_an_empty_folder_is_filled_where_it_is(tito, dest):
    dest.mkdir(parents=True)
    before = dest.stat().st_ino
    assert tito("init", dest).exit_code == 0
    assert dest.stat().st_ino == before, "a shell that is in the folder stays in it"
    assert (dest / "pyproject.toml").is_file()
    assert list(dest.parent.iterdir()) == [dest]


def test_init_works_from_anywhere(tito, mini_course, dest, tmp_path):
    """Outside any project the course is the one that tito belongs to."""
    assert tito("init", dest, cwd=tmp_path).exit_code == 0
    assert (dest / "modules" / "03_gamma").is_dir()


def refused(outcome, exit_code, fragment):
    assert outcome.exit_code == exit_code
    assert outcome.document["data"] is None
    error = outcome.document["error"]
    assert fragment in error["message"]
    assert error["hint"]
    return error


def test_a_folder_that_is_in_use_is_refused(tito, mini_course, workspace, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    refused(tito("init", tmp_path / "full", "--json"), 2, "is not empty")
    refused(tito("init", tmp_path / "file", "--json"), 2, "is a file")
    refused(tito("init", mini_course / "modules" / "mine", "--json"), 2, f"lies inside the course {mini_course}")
    refused(tito("init", workspace.root / "a" / "b", "--json"), 2, f"lies inside the workspace {workspace.root}")
    refused(tito("init", tmp_path / "file" / "inside", "--json"), 2, "cannot be written to")
    assert files(tmp_path / "full") == ["mine.txt"]
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"
    assert not (workspace.root / "a").exists() and not (mini_course / "modules" / "mine").exists()


def test_a_leak_is_refused_with_its_file_and_line(tito, mini_course, dest):
    readme = mini_course / "modules" / "02_beta" / "README.md"
    readme.write_text("# Beta\n\n    twofold_of_the_number = number + number\n", encoding="utf-8")
    error = refused(tito("init", dest, "--json"), 3, "modules/02_beta/README.md:3")
    assert error["code"] == "leak"
    assert "modules/01_alpha/alpha_dev.py" in error["message"], "it says where the answer comes from"
    assert not dest.parent.exists()


def test_a_course_that_is_not_in_order_makes_no_workspace(tito, mini_course, dest):
    source = mini_course / "modules" / "03_gamma" / "gamma_dev.py"
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace("    ### END SOLUTION\n", "", 1), encoding="utf-8")
    outcome = tito("init", dest, "--json")
    assert outcome.exit_code == 1
    assert "modules/03_gamma/gamma_dev.py:" in outcome.document["error"]["message"]
    source.write_text(text, encoding="utf-8")
    (mini_course / "modules" / "03_gamma" / "test_gamma.py").unlink()
    refused(tito("init", dest, "--json"), 3, "modules/03_gamma/test_gamma.py is missing")
    assert not dest.parent.exists()


def test_a_clone_that_another_tito_runs_in_is_refused(tito, mini_course, make_course, tmp_path):
    other = make_course(tmp_path / "other")
    error = refused(tito("init", tmp_path / "new", "--json", cwd=other / "modules"), 3, str(mini_course))
    assert error["code"] == "wrong-environment"


def test_the_clones_environment_is_refused_in_the_workspace(workspace):
    """Where the clone's tito and tinytorch are installed, neither tito nor a notebook works on the workspace."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    tito = subprocess.run(
        [sys.executable, "-m", "tito", "module", "test", "01"], cwd=workspace.root / "modules", env=environment,
        capture_output=True, text=True,
    )  # fmt: skip
    assert tito.returncode == 3
    assert f"next: cd {workspace.root} && " in tito.stderr
    program = "from tinytorch.notebook import check_home; check_home()"
    cell = subprocess.run(
        [sys.executable, "-c", program], cwd=workspace.root / "modules", env=environment, capture_output=True, text=True
    )
    assert cell.returncode != 0
    assert str(workspace.root) in cell.stderr
