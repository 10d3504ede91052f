"""Every closed set of modules works: `tinytorch` imports with only these exported, and everything of theirs runs.

A set is closed when it holds all prerequisites of its members. There are many; tried are each module's own, the two
ways on from 08 as far as they are there, and all.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tito.catalog import read_catalog
from tito.project import read_project
from tito.services import testing, views

ROOT = Path(__file__).resolve().parents[2]
PROJECT = read_project(ROOT)
CATALOG = read_catalog(PROJECT)
NAMES = [module.name for module in CATALOG]
BASICS = {"07_training", "08_dataloader"}
WAYS = {
    "vision": BASICS | {"09_spatial", "21_residual"},
    "language": BASICS | {"10_tokenization", "11_embeddings", "12_attention", "13_transformers"},
    "all": set(NAMES),
}
SETS = {**{name: {name} for name in NAMES}, **WAYS}


def closed(wanted):
    """The modules of these names that are there, and all that they need."""
    modules = [CATALOG[name] for name in NAMES if name in wanted]
    needed = {*modules, *(other for module in modules for other in CATALOG.prerequisites(module))}
    return [module for module in CATALOG if module in needed]


def python(folder, code):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        env=views.child_environment(folder, is_view=True),
        cwd=folder,
        check=False,
    )


@pytest.mark.parametrize("name", ["nothing", *SETS])
def test_the_package_imports_and_lists_its_names(name):
    code = """
import sys, tinytorch
from tinytorch import nn
import tinytorch.nn.functional, tinytorch.nn.init
assert dir(tinytorch) and dir(nn)
assert not [name for name in sys.modules if name.startswith("tinytorch.core.")], "imported before it is asked for"
"""
    with views.view(PROJECT, closed(SETS.get(name, ()))) as folder:
        done = python(folder, code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_each_module_runs_on_what_it_needs_alone(name):
    with views.view(PROJECT, closed({name})) as folder:
        result = testing.run_tests(PROJECT, CATALOG, [CATALOG[name]], folder=folder)
    assert result.ok, result.output


@pytest.mark.parametrize("name", WAYS)
def test_each_way_runs(name):
    modules = closed(WAYS[name])
    with views.view(PROJECT, modules) as folder:
        result = testing.run_tests(PROJECT, CATALOG, modules, folder=folder)
    assert result.ok, result.output


def test_the_tests_of_a_module_meet_the_view_and_not_the_package_in_place():
    module = CATALOG["01_tensor"]
    with views.view(PROJECT, [], extra={module.core_file: "raise ImportError('the file of the view')\n"}) as folder:
        result = testing.run_tests(PROJECT, CATALOG, [module], folder=folder)
    assert not result.ok
    assert "the file of the view" in result.output


def test_a_name_that_is_not_built_yet_names_its_module_and_the_command():
    with views.view(PROJECT, closed({"01_tensor"})) as folder:
        done = python(folder, "import tinytorch; tinytorch.no_grad")
    assert done.returncode != 0
    assert "tinytorch.no_grad is in tinytorch.core.autograd, which is not built yet" in done.stderr
    assert "tito module start autograd" in done.stderr


@pytest.mark.parametrize("built", ["01_tensor", "02_activations"])
def test_an_activation_is_a_module_once_module_03_is_there(built):
    """Until then it is what module 02 exports, and a layer or function that is not there names its module."""
    code = """
from tinytorch import Tensor, nn
try:
    nn.ReLU
except ImportError as error:
    assert "tito module start activations" in str(error)
    raise SystemExit("no activations")
assert nn.functional.relu(Tensor([-1.0, 2.0])).tolist() == nn.ReLU()(Tensor([-1.0, 2.0])).tolist() == [0.0, 2.0]
assert not hasattr(nn.ReLU(), "parameters")
try:
    nn.functional.linear(Tensor([1.0]), Tensor([[1.0]]))
except ImportError as error:
    assert "tinytorch.nn.functional.linear is in tinytorch.core.layers" in str(error)
    raise SystemExit("no layers")
"""
    with views.view(PROJECT, closed({built})) as folder:
        done = python(folder, code)
    assert done.stderr.strip() == {"01_tensor": "no activations", "02_activations": "no layers"}[built]


def test_backward_before_module_05_says_when_it_arrives():
    with views.view(PROJECT, closed({"01_tensor"})) as folder:
        done = python(folder, "import tinytorch as t; (t.ones(1, requires_grad=True) * 2).backward()")
    assert "backward() arrives with module 05" in done.stderr
    assert "tito module start 05_autograd" in done.stderr


@pytest.mark.parametrize(
    ("text", "error"), [("import nothing_here\n", "No module named 'nothing_here'"), ("def broken(:\n", "SyntaxError")]
)
def test_a_broken_module_fails_with_its_own_error(text, error):
    """Absence is tolerated; a file that is there and broken is not mistaken for one that is not built."""
    with views.view(PROJECT, closed({"01_tensor"}), extra={"autograd.py": text}) as folder:
        asked = python(folder, "import tinytorch; tinytorch.no_grad")
        called = python(folder, "import tinytorch as t; (t.ones(1, requires_grad=True) * 2).backward()")
    for done in (asked, called):
        assert error in done.stderr
        assert "not built yet" not in done.stderr
        assert "arrives with" not in done.stderr
