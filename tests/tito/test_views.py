"""A view holds the exports it is asked for and no others, and a child process that runs against it imports those."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tito.errors import ProjectError
from tito.services import views

PACKAGE = Path(__file__).resolve().parents[2] / "tinytorch"


@pytest.fixture
def built(project, catalog):
    """The tiny course with something in every core file, and a file that belongs to no module."""
    for module in catalog:
        (project.core / module.core_file).write_text(f"NAME = {module.name!r}\n", encoding="utf-8")
    (project.core / "stranger.py").write_text("", encoding="utf-8")
    return project


def core_files(folder):
    return sorted(path.name for path in (folder / "tinytorch" / "core").iterdir())


def test_a_view_holds_the_modules_asked_for_and_leaves_nothing_behind(built, catalog):
    with views.view(built, catalog.prerequisites(catalog.find("beta"))) as folder:
        assert core_files(folder) == ["__init__.py", "alpha.py"]
        assert (folder / "tinytorch" / "notebook.py").is_file()
        assert folder.is_relative_to(built.state)
    assert not folder.exists()
    assert core_files(built.root) == ["__init__.py", "alpha.py", "beta.py", "gamma.py", "stranger.py"]


def test_the_kernels_of_the_module_under_test_are_left_out_and_say_so(built, catalog):
    kernels = built.package / "kernels"
    for name in ("beta", "gamma"):
        (kernels / name).mkdir(parents=True)
        (kernels / name / "__init__.py").write_text("def forward(): pass\n", encoding="utf-8")
    (kernels / "__init__.py").write_text(
        (PACKAGE / "kernels" / "__init__.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    with views.view(built, catalog, without_kernels_of=catalog.find("beta")) as folder:
        environment = views.child_environment(folder, is_view=True)
        run = [
            sys.executable,
            "-c",
            "from tinytorch.kernels.gamma import forward\nfrom tinytorch.kernels.beta import forward",
        ]
        child = subprocess.run(run, env=environment, cwd=folder, capture_output=True, text=True)
    assert "Withheld: tinytorch.kernels has no 'forward' here" in child.stderr
    assert "an answer of 02_beta" in child.stderr
    assert (kernels / "beta" / "__init__.py").is_file()


def test_extra_files_take_the_place_of_built_ones(built, catalog):
    with views.view(built, catalog, {"beta.py": "NAME = 'staged'\n"}) as folder:
        assert (folder / "tinytorch" / "core" / "beta.py").read_text(encoding="utf-8") == "NAME = 'staged'\n"
    assert "02_beta" in (built.core / "beta.py").read_text(encoding="utf-8")


def test_a_view_is_removed_after_an_error(built, catalog):
    with pytest.raises(ZeroDivisionError), views.view(built, catalog) as folder:
        raise ZeroDivisionError
    assert not folder.exists()


def test_a_package_without_init_is_an_error_that_names_it(built, catalog):
    (built.package / "__init__.py").unlink()
    with pytest.raises(ProjectError, match=r"tinytorch/__init__\.py is missing"), views.view(built, catalog):
        pass


def test_a_child_imports_from_the_view_only(built, catalog, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(built.root))
    program = (
        "import tinytorch; print(tinytorch.__file__)\n"
        "from importlib.util import find_spec; print(find_spec('tinytorch.core.beta'))"
    )
    with views.view(built, catalog.prerequisites(catalog.find("beta"))) as folder:
        views.check_child(folder)
        child = subprocess.run(
            [sys.executable, "-c", program],
            env=views.child_environment(folder, is_view=True),
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        package, beta = child.stdout.splitlines()
        assert package == str(folder / "tinytorch" / "__init__.py")
        assert beta == "None"


def test_the_environment_names_the_view_only_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYTORCH_VIEW", "another")
    monkeypatch.setenv("HARMLESS", "kept")
    in_view = views.child_environment(tmp_path, is_view=True)
    outside = views.child_environment(tmp_path, is_view=False)
    assert in_view["TINYTORCH_VIEW"] == in_view["PYTHONPATH"] == outside["PYTHONPATH"] == str(tmp_path)
    assert "TINYTORCH_VIEW" not in outside
    assert in_view["PYTHONUTF8"] == in_view["PYTHONDONTWRITEBYTECODE"] == "1"
    assert in_view["HARMLESS"] == "kept"


def test_check_child_refuses_another_package(built, tmp_path):
    """What an editable installation elsewhere would do: the package's path leads out of the folder."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "tinytorch").mkdir(parents=True)
    (elsewhere / "tinytorch" / "__init__.py").write_text(f"__path__ = [{str(built.package)!r}]\n", encoding="utf-8")
    with pytest.raises(ProjectError, match="imports tinytorch from") as caught:
        views.check_child(elsewhere)
    assert str(built.package) in caught.value.message
    assert caught.value.code == "wrong-environment"


def test_check_child_reports_a_package_that_does_not_import(built):
    (built.package / "__init__.py").write_text("raise ValueError('broken on purpose')\n", encoding="utf-8")
    with pytest.raises(ProjectError, match="ValueError: broken on purpose"):
        views.check_child(built.root)


def test_the_view_of_a_killed_process_is_swept_after_a_day(built, catalog):
    parent = built.state / "views"
    old, recent = parent / "view-old", parent / "view-recent"
    for folder in (old, recent):
        (folder / "tinytorch").mkdir(parents=True)
    yesterday = time.time() - views.LEFT_OVER_SECONDS - 60
    os.utime(old, (yesterday, yesterday))
    with views.view(built, catalog):
        assert not old.exists()
        assert recent.is_dir()
