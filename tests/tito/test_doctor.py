"""`tito doctor` finds what is wrong, names the command that mends it, and answers wherever it is asked."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.kernel


def examine(run, *, cwd=None):
    """(exit code, {check: Check data}) of tito doctor --json."""
    outcome = run("doctor", "--json", cwd=cwd)
    checks = {check["name"]: check for check in outcome.document["data"]["checks"]}
    assert outcome.document["ok"] == (outcome.exit_code == 0) == all(check["ok"] for check in checks.values())
    return outcome, checks


def wrong(checks):
    return [name for name, check in checks.items() if not check["ok"]]


def test_a_sound_workspace(workspace):
    outcome, checks = examine(workspace.tito, cwd=workspace.root / "modules")
    assert outcome.exit_code == 0, outcome.stdout
    assert list(checks) == [
        "Python", "project", "tito", "write access", "modules", "tinytorch", "kernel", "untouched notebooks",
    ]  # fmt: skip
    assert checks["project"]["detail"] == f"workspace 1.2.3 in {workspace.root}"
    assert not any(check["fix"] for check in checks.values())
    text = workspace.tito("doctor").stdout
    assert f"ok  project              workspace 1.2.3 in {workspace.root}\n" in text


def test_packages_are_held_against_their_lower_bounds(tito, mini_course):
    pyproject = mini_course / "pyproject.toml"
    dependencies = 'dependencies = ["numpy>=2.0", "pytest>=8.2", "jupytext>=999", "no-such-package>=1.0"]\n'
    text = pyproject.read_text(encoding="utf-8")
    pyproject.write_text(text.replace("[tool.tito]", f"{dependencies}\n[tool.tito]"), encoding="utf-8")
    outcome, checks = examine(tito)
    assert outcome.exit_code == 3
    assert wrong(checks) == ["jupytext", "no-such-package"]
    assert checks["numpy"]["ok"] and checks["pytest"]["ok"]
    assert checks["jupytext"]["fix"] == 'pip install "jupytext>=999"'
    assert checks["no-such-package"]["detail"] == "not installed (needs >=1.0)"
    assert outcome.document["error"]["hint"] == 'pip install "jupytext>=999"'


def test_requirements_are_read_as_pip_reads_them(tito, mini_course):
    """Markers, extras, ranges and pre-releases; what is for another system is none of this one's."""
    pyproject = mini_course / "pyproject.toml"
    dependencies = """dependencies = [
        "numpy", "typer[all]>=0.1", "rich>=1,<2", "pytest != 0.0.*", "jupytext>=1.0a1",
        "nothing; sys_platform == 'another'", "no-such-package>=1; python_version >= '3.0'",
    ]"""
    text = pyproject.read_text(encoding="utf-8")
    pyproject.write_text(text.replace("[tool.tito]", f"{dependencies}\n[tool.tito]"), encoding="utf-8")
    _, checks = examine(tito)
    assert wrong(checks) == ["rich", "no-such-package"]
    assert "<2" in checks["rich"]["fix"] and "nothing" not in checks
    assert {"numpy", "typer", "pytest", "jupytext"} <= set(checks)


def test_a_requirement_that_is_none_is_named(tito, mini_course):
    pyproject = mini_course / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    pyproject.write_text(text.replace("[tool.tito]", 'dependencies = ["numpy >>> 2"]\n[tool.tito]'), encoding="utf-8")
    _, checks = examine(tito)
    assert wrong(checks) == ["pyproject.toml"] and "numpy >>> 2" in checks["pyproject.toml"]["detail"]


def test_a_python_that_is_too_old(tito, mini_course):
    pyproject = mini_course / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    pyproject.write_text(text.replace("[tool.tito]", 'requires-python = ">=3.99"\n\n[tool.tito]'), encoding="utf-8")
    _, checks = examine(tito)
    assert wrong(checks) == ["Python"]
    assert "3.99" in checks["Python"]["fix"]


def test_outside_a_project_it_says_so(tito, tmp_path):
    outcome, checks = examine(tito, cwd=tmp_path)
    assert outcome.exit_code == 3
    assert wrong(checks) == ["project"]
    assert "tito init DEST" in checks["project"]["fix"]


def test_from_the_wrong_environment_it_names_the_command_that_mends_it(tito, workspace):
    outcome, checks = examine(tito, cwd=workspace.root / "modules")
    assert outcome.exit_code == 3
    assert wrong(checks) == ["tito"]
    assert checks["tito"]["fix"].startswith(f"cd {workspace.root} && ")


def test_a_pyproject_that_does_not_parse(tito, mini_course):
    (mini_course / "pyproject.toml").write_text("[tool.tito]\nrole = course\n", encoding="utf-8")
    outcome, checks = examine(tito)
    assert outcome.exit_code == 3
    assert wrong(checks) == ["project"]


def test_altered_stubs(workspace):
    (workspace.root / ".tito" / "stubs" / "02_beta.ipynb").write_text("{}", encoding="utf-8")
    outcome, checks = examine(workspace.tito)
    assert outcome.exit_code == 3
    assert wrong(checks) == ["untouched notebooks"]
    assert ".tito/stubs/02_beta.ipynb" in checks["untouched notebooks"]["detail"]
    text = workspace.tito("doctor")
    assert "missing  untouched notebooks" in text.stdout
    assert "\n    mend it: copy .tito/stubs from a new workspace" in text.stdout


def test_a_package_that_does_not_import(workspace):
    (workspace.root / "tinytorch" / "__init__.py").write_text("import nothing_of_that_name\n", encoding="utf-8")
    outcome, checks = examine(workspace.tito)
    assert outcome.exit_code == 3
    assert wrong(checks) == ["tinytorch", "kernel"]
    assert "nothing_of_that_name" in checks["tinytorch"]["detail"]


def test_a_kernel_that_does_not_start(workspace):
    launcher = workspace.root / "modules" / "ipykernel_launcher.py"
    launcher.write_text("raise SystemExit('no kernel today')\n", encoding="utf-8")
    outcome, checks = examine(workspace.tito)
    assert outcome.exit_code == 3
    assert wrong(checks) == ["kernel"]
    assert checks["kernel"]["detail"] == "the Jupyter kernel does not start: no kernel today"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything is writable for root")
def test_a_folder_that_cannot_be_written_to(workspace):
    subprocess.run(["chmod", "u-w", workspace.root / "modules"], check=True)
    _, checks = examine(workspace.tito)
    subprocess.run(["chmod", "u+w", workspace.root / "modules"], check=True)
    assert wrong(checks) == ["write access"]


READ_ONLY = """
import errno, os, sys
root = os.path.realpath(sys.argv[1])

def refuse(event, arguments):
    path = arguments[0] if arguments and isinstance(arguments[0], (str, bytes, os.PathLike)) else ""
    path = os.fsdecode(path)
    if not os.path.isabs(path):  # relative to a folder that is open
        return
    writes = event == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if (writes or event in ("os.mkdir", "os.remove", "os.rename")) and os.path.realpath(path).startswith(root):
        raise OSError(errno.EROFS, "Read-only file system", path)

sys.addaudithook(refuse)
from tito.app import main
sys.exit(main(sys.argv[2:]))
"""


def test_a_read_only_project_is_examined_without_writing_into_it(workspace):
    child = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(workspace.root), "doctor", "--json"],
        cwd=workspace.root, env={**os.environ, "PYTHONPATH": str(workspace.root), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, encoding="utf-8", stdin=subprocess.DEVNULL,
    )  # fmt: skip
    document = json.loads(child.stdout)
    checks = {check["name"]: check for check in document["data"]["checks"]}
    assert wrong(checks) == ["write access"], child.stderr
    assert "is on a file system that is read-only" in checks["write access"]["detail"]
    assert document["error"]["hint"] == "copy the folder to where you can write, and work there"


def test_the_doctor_never_sends_one_to_the_doctor(workspace):
    (workspace.root / "tinytorch" / "__init__.py").write_text("1 / 0\n", encoding="utf-8")
    outcome, checks = examine(workspace.tito)
    assert wrong(checks) == ["tinytorch", "kernel"]
    assert "ZeroDivisionError" in checks["tinytorch"]["detail"]
    assert "tito doctor" not in outcome.stdout
    assert checks["tinytorch"]["fix"].startswith('python -c "import tinytorch"')
