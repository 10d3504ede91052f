"""`tito doctor` finds what is wrong, names the command that fixes it, and answers wherever it is asked."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tito import first_aid
from tito.errors import TitoError
from tito.services import doctor

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
        "Python", "environment", "pip", "venv", "encoding", "folder", "names", "project", "tito", "write access",
        "modules", "tinytorch", "installed", "kernel", "kernelspecs", "untouched notebooks",
    ]  # fmt: skip
    assert checks["project"]["detail"] == f"workspace 1.2.3 in {workspace.root}"
    assert not any(check["fix"] for check in checks.values())
    text = workspace.tito("doctor").stdout
    assert f"ok  project              workspace 1.2.3 in {workspace.root}\n" in text


def test_packages_that_are_in_order_take_one_row(tito, mini_course):
    pyproject = mini_course / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    wanted = 'dependencies = ["numpy>=2.0", "pytest>=8.2", "jupytext>=999"]\n\n[tool.tito]'
    pyproject.write_text(text.replace("[tool.tito]", wanted), encoding="utf-8")
    said = tito("doctor").stdout
    assert "ok     packages      2 are as pyproject.toml wants them\n" in said and "numpy" not in said
    assert '    fix: pip install "jupytext>=999"\n' in said


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


def test_from_the_wrong_environment_it_names_the_command_that_fixes_it(tito, workspace):
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
    assert "wrong  untouched notebooks" in text.stdout
    assert "\n    fix: copy .tito/stubs from a new workspace" in text.stdout


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


@pytest.mark.parametrize(
    ("folder", "also", "fix"),
    [
        ("tinytorch", ["tinytorch", "kernel"], "tito update SOURCE   (the folder or zip of the course"),
        ("modules", ["modules", "kernel", "kernelspecs", "untouched notebooks"], "copy modules from a new workspace"),
    ],
)
def test_a_folder_that_is_missing_is_a_row_with_the_command_that_brings_it_back(workspace, folder, also, fix):
    shutil.rmtree(workspace.root / folder)
    outcome, checks = examine(workspace.tito)
    assert (outcome.exit_code, wrong(checks)) == (3, ["write access", *also])
    assert checks["write access"]["detail"] == f"{workspace.root / folder} is missing"
    assert all(checks[name]["fix"].startswith(fix) for name in ("write access", *also)), checks


def test_a_folder_that_is_missing_in_a_clone_is_taken_from_git(project):
    shutil.rmtree(project.package)
    with pytest.raises(TitoError, match="tinytorch is missing") as missing:
        doctor._writable(project)
    assert missing.value.hint == "git restore tinytorch"


def test_an_update_brings_back_the_package(workspace, mini_course):
    shutil.rmtree(workspace.root / "tinytorch")
    assert workspace.tito("update", mini_course).exit_code == 0
    assert (workspace.root / "tinytorch" / "__init__.py").is_file()


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


# What surrounds tito. Each is made as it is on a person's machine, and where a command fixes it here, it is typed.


def surrounded(root, *, python=(sys.executable,), cwd=None, **environment):
    """{check: Check data} of tito doctor with more, or with fewer (None), variables."""
    variables = {**os.environ, "PYTHONPATH": str(root), "PYTHONUTF8": "1", **environment}
    child = subprocess.run(
        [*python, "-m", "tito", "doctor", "--json"], cwd=cwd or root, capture_output=True, encoding="utf-8",
        env={name: value for name, value in variables.items() if value is not None}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert child.stdout, child.stderr
    return {check["name"]: check for check in json.loads(child.stdout)["data"]["checks"]}


def typed(command, folder, **environment):
    """Type `command` into a shell in `folder`."""
    subprocess.run(["bash", "-euc", command], cwd=folder, env={**os.environ, **environment}, check=True)


def beside(folder, code):
    """A folder for PYTHONPATH in which Python finds `code` when it starts."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code, encoding="utf-8")
    return str(folder)


def path_of(*folders):
    return os.pathsep.join(map(str, folders))


on_posix = pytest.mark.skipif(os.name == "nt", reason="types into bash")


def test_another_environment_that_is_active_is_named_with_the_way_to_ones_own(workspace, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    check = surrounded(workspace.root, VIRTUAL_ENV=str(other))["environment"]
    assert not check["ok"] and check["detail"].startswith(f"{other} is active, but this is the Python of {sys.prefix}")
    assert check["fix"] == first_aid.new_environment(workspace.root)
    (workspace.root / ".venv").mkdir()
    (workspace.root / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\n", encoding="utf-8")
    check = surrounded(workspace.root, VIRTUAL_ENV=str(other))["environment"]
    assert check["fix"] == f"cd {workspace.root} && . .venv/bin/activate", "it is there already"


@on_posix
def test_an_environment_that_was_moved_is_made_again(workspace, tmp_path):
    made, moved = tmp_path / "made", tmp_path / "moved"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    site = Path(shutil.__file__).parent / "site-packages"
    packages = path_of(workspace.root, *(path for path in sys.path if path.endswith("site-packages")), site)
    python = (moved / "bin" / "python",)
    made.rename(moved)
    check = surrounded(workspace.root, python=python, PYTHONPATH=packages, VIRTUAL_ENV=None)["environment"]
    assert not check["ok"] and f"{moved} was made as {made} and moved or copied" in check["detail"]
    assert check["fix"] == first_aid.new_environment(workspace.root, clear=True)
    assert " -m venv --clear .venv && " in check["fix"]


@pytest.mark.parametrize("prompt", [None, "term1", "my course", 'the "new" one'])
@pytest.mark.parametrize("name", [".venv", "my venv"])
def test_an_environment_is_known_by_its_folder_whatever_its_prompt(tmp_path, monkeypatch, name, prompt):
    made, moved = tmp_path / name, tmp_path / "moved"
    venv.create(made, prompt=prompt)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setattr(sys, "prefix", str(made))
    assert first_aid.environment(tmp_path).ok
    made.rename(moved)
    monkeypatch.setattr(sys, "prefix", str(moved))
    assert f"{moved} was made as {made} and moved" in first_aid.environment(tmp_path).detail


@pytest.mark.parametrize(
    ("version", "ok", "fix"),
    [("21.2.4", False, "python -m pip install --upgrade pip"), ("21.3", True, ""), ("100.0.dev1", True, "")],
)
def test_a_pip_that_is_too_old_to_install_the_course(workspace, tmp_path, version, ok, fix):
    site = tmp_path / "site"
    (site / "pip").mkdir(parents=True)
    (site / "pip" / "__init__.py").touch()
    information = site / f"pip-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pip\nVersion: {version}\n", encoding="utf-8")
    check = surrounded(workspace.root, PYTHONPATH=path_of(workspace.root, site))["pip"]
    assert (check["ok"], check["fix"]) == (ok, fix) and version in check["detail"]


def test_an_environment_without_pip(workspace, tmp_path):
    hidden = beside(tmp_path / "site", "import sys\nsys.modules['pip'] = None\n")
    check = surrounded(workspace.root, PYTHONPATH=path_of(workspace.root, hidden))["pip"]
    assert (check["ok"], check["fix"]) == (False, "python -m ensurepip --upgrade")


def test_a_python_that_makes_no_environments_as_debians(workspace, mini_course, tmp_path):
    hidden = beside(tmp_path / "site", "import sys\nsys.modules['ensurepip'] = None\n")
    for root in (workspace.root, mini_course):
        check = surrounded(root, PYTHONPATH=path_of(root, hidden))["venv"]
        assert not check["ok"]
        if sys.platform == "linux":
            assert check["fix"] == f"sudo apt install python3.{sys.version_info.minor}-venv"


C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@on_posix
@pytest.mark.parametrize(
    ("variables", "said", "fix", "fixed"),
    [
        ({"PYTHONIOENCODING": "cp1252"}, "PYTHONIOENCODING is cp1252", "unset PYTHONIOENCODING", {}),
        ({"PYTHONIOENCODING": "latin-1:replace"}, "is latin-1", "unset PYTHONIOENCODING", {}),
        ({"PYTHONIOENCODING": "utf8"}, "UTF-8", "", {}),
        (C_LOCALE, "programs take text files for that", "export PYTHONUTF8=1", {**C_LOCALE, "PYTHONUTF8": "1"}),
    ],
)
def test_an_encoding_that_cannot_hold_a_notebook(workspace, variables, said, fix, fixed):
    check = surrounded(workspace.root, **variables)["encoding"]
    assert (check["ok"], check["fix"]) == (not fix, fix) and said in check["detail"]
    assert surrounded(workspace.root, **fixed)["encoding"]["ok"], "the command fixes it"


@pytest.mark.parametrize(
    ("folder", "program"),
    [
        ("OneDrive", "OneDrive"), ("OneDrive - University of Somewhere", "OneDrive"), ("Dropbox", "Dropbox"),
        ("Dropbox (Personal)", "Dropbox"), ("Google Drive", "Google Drive"), ("My Drive", "Google Drive"),
        ("Library/CloudStorage/GoogleDrive-a@b.org", "Google Drive"),
        ("Library/CloudStorage/pCloud", "a cloud's folder"), ("Nextcloud", "Nextcloud"),
        ("Library/Mobile Documents/com~apple~CloudDocs", "iCloud"), ("iCloudDrive", "iCloud"),
        ("My Courses", ""), ("dropbox-papers", ""), ("drive", ""),
    ],
)  # fmt: skip
def test_a_synchronised_folder_is_known_by_its_name(tmp_path, folder, program):
    assert first_aid.synchronised(tmp_path / folder / "term 1" / "my-tinytorch") == program


def test_a_synchronised_folder_is_known_by_what_lies_in_it_or_by_windows(tmp_path, monkeypatch):
    root = tmp_path / "shared" / "my-tinytorch"
    root.mkdir(parents=True)
    for mark, program in first_aid.MARKS.items():
        path = tmp_path / "shared" / mark
        path.touch()
        assert first_aid.synchronised(root) == program
        path.unlink()
    (tmp_path / ".dropbox").mkdir()
    assert first_aid.synchronised(root) == "", "a person's settings of Dropbox, in their own folder"
    monkeypatch.setenv("OneDriveCommercial", str(tmp_path / "shared"))
    assert first_aid.synchronised(root) == "OneDrive"


@on_posix
def test_a_workspace_in_a_synchronised_folder_is_moved_by_the_command(workspace, tmp_path):
    home = tmp_path / "home of ada"
    root = home / "OneDrive - Uni" / "my tinytorch"
    shutil.copytree(workspace.root, root)
    check = surrounded(root, HOME=str(home))["folder"]
    assert not check["ok"] and "is synchronised by OneDrive" in check["detail"]
    move, _, environment = check["fix"].partition(" && python3 ")
    assert environment == "-m venv --clear .venv && . .venv/bin/activate && pip install -e ."
    typed(f"{move} && pwd", tmp_path, HOME=str(home))
    assert surrounded(home / "my tinytorch", HOME=str(home))["folder"]["ok"]


@on_posix
def test_a_file_that_hides_a_library_is_renamed_by_the_command(workspace):
    path = workspace.root / "modules" / "01_alpha" / "random.py"
    path.write_text("number = 4\n", encoding="utf-8")
    check = surrounded(workspace.root)["names"]
    assert not check["ok"] and str(path) in check["detail"]
    typed(check["fix"], workspace.root)
    assert surrounded(workspace.root)["names"]["ok"] and path.with_name("my_random.py").is_file()


def kernelspec(folder, name, program):
    path = folder / "kernels" / name / "kernel.json"
    path.parent.mkdir(parents=True)
    argv = [program, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    path.write_text(json.dumps({"argv": argv, "display_name": name, "language": "python"}), encoding="utf-8")


@on_posix
def test_a_kernel_of_another_environment_is_removed_by_the_command(workspace, tmp_path):
    kernelspec(tmp_path / "jupyter", "python3", "/opt/anaconda3/bin/python")
    found = {"JUPYTER_PATH": str(tmp_path / "jupyter")}
    check = surrounded(workspace.root, **found)["kernelspecs"]
    assert (
        not check["ok"]
        and "new notebooks get the kernel python3, which is the Python /opt/anaconda3" in check["detail"]
    )
    assert check["fix"] == "jupyter kernelspec remove -y python3"
    typed(check["fix"].replace("jupyter", f"{sys.executable} -m jupyter"), tmp_path, **found)
    assert surrounded(workspace.root, **found)["kernelspecs"]["ok"]


@on_posix
@pytest.mark.parametrize("text", ['{"argv": ["python", ', "[]", '{"argv": 3}', "\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_a_damaged_kernel_is_named_and_removed_by_the_command(project, tmp_path, monkeypatch, text):
    path = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="latin-1")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    with pytest.raises(TitoError, match=f"{re.escape(str(path))} is damaged: ") as damaged:
        doctor._kernelspecs(project)
    assert damaged.value.hint == "jupyter kernelspec remove -y python3"
    if text.startswith("{"):
        typed(damaged.value.hint.replace("jupyter", f"{sys.executable} -m jupyter"), tmp_path)
        assert doctor._kernelspecs(project)


def test_a_notebook_that_asks_for_the_kernel_of_another_environment(workspace, tmp_path):
    kernelspec(tmp_path / "jupyter", "term1", "/home/ada/term1/.venv/bin/python")
    kernelspec(tmp_path / "jupyter", "own", str(Path(sys.prefix, "bin", "python")))
    kernelspec(tmp_path / "jupyter", "bare", "python")
    for name, ok in [("term1", False), ("own", True), ("bare", True), ("not installed", True)]:
        notebook = workspace.read("02_beta")
        notebook["metadata"]["kernelspec"] = {"name": name, "display_name": name, "language": "python"}
        workspace.write("02_beta", notebook)
        check = surrounded(workspace.root, JUPYTER_PATH=str(tmp_path / "jupyter"))["kernelspecs"]
        assert check["ok"] == ok, check
        if not ok:
            assert check["detail"].startswith("modules/02_beta/beta_dev.ipynb asks for the kernel term1")
            assert check["fix"] == "python -m ipykernel install --sys-prefix --name term1"


def test_an_environment_in_which_another_project_is_installed(workspace, mini_course):
    """tito runs from the folder that one is in, but what another folder imports is the other project's."""
    check = surrounded(workspace.root, PYTHONPATH=str(mini_course))["installed"]
    assert not check["ok"] and f"imports {mini_course}" in check["detail"]
    assert check["fix"] == f"cd {workspace.root} && pip install -e ."


def test_where_nothing_is_installed_python_alone_is_asked(workspace):
    checks = surrounded(workspace.root, python=(sys.executable, "-S"))
    assert list(checks) == ["installation", "environment", "pip", "venv", "encoding", "folder", "names"]
    assert checks["installation"]["fix"] == first_aid.new_environment(workspace.root)
    command = [sys.executable, "-S", "-m", "tito", "module", "status"]
    said = subprocess.run(command, cwd=workspace.root, capture_output=True, encoding="utf-8")
    assert said.returncode == 3
    assert said.stderr.startswith("error: the course is not installed for ") and "\n  next: cd " in said.stderr


def test_an_old_python_understands_what_it_is_told(workspace):
    for name in ("__init__.py", "__main__.py", "first_aid.py", "recover.py"):
        ast.parse((workspace.root / "tito" / name).read_text(encoding="utf-8"), feature_version=(3, 7))
    old = next(filter(None, map(shutil.which, ("python3.7", "python3.8", "python3.9", "python3.10"))), None)
    if old is None or subprocess.run([old, "--version"], capture_output=True).returncode:
        pytest.skip("no old Python here")
    said = subprocess.run([old, "-m", "tito", "doctor"], cwd=workspace.root, capture_output=True, encoding="utf-8")
    assert said.returncode == 3 and "and this course needs 3.11 or newer" in said.stderr


def test_commands_are_those_of_windows_there(monkeypatch, tmp_path):
    monkeypatch.setattr(first_aid, "WINDOWS", True)
    monkeypatch.setattr(first_aid, "_long_paths", lambda: False)
    made = first_aid.new_environment(r"C:\Users\Ada L\tt")
    assert made.splitlines() == [
        r'cd "C:\Users\Ada L\tt"', "py -m venv .venv", r".venv\Scripts\activate", "pip install -e .",
    ]  # fmt: skip
    assert first_aid.quoted(r"C:\Users\ada\tt") == r"C:\Users\ada\tt"
    check = first_aid.folder(tmp_path / ("x" * 120))
    assert not check.ok and "259 characters" in check.detail and "\nmove " in check.fix and "&&" not in check.fix
