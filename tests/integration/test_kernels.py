"""The table of engines, and use_kernels, which switches a model."""

import subprocess
import sys

import pytest

from tinytorch import kernels, nn
from tinytorch.core import spatial
from tinytorch.kernels import Engine, Engines, use_kernels


def table(instead="loops"):
    engines = Engines("pool_avg", "spatial", instead=instead)
    engines.register("loops", max, min)
    return engines


def test_the_provided_engine_is_found_under_the_operations_name():
    assert table()["fast"] == Engine(kernels.spatial.pool_avg, kernels.spatial.pool_avg_gradient)
    assert table()["loops"] == Engine(max, min)
    assert table().names == ("loops", "fast")


def test_an_unknown_name_is_refused_and_the_known_ones_are_said():
    with pytest.raises(ValueError, match="one of 'loops', 'fast', not 'product'"):
        table()["product"]
    with pytest.raises(ValueError, match="'fast' is the provided engine of pool_avg"):
        table().register("fast", max, min)


def test_ones_own_kernels_are_named_with_their_module_until_they_are_registered(monkeypatch):
    model = nn.Conv2d(1, 1, 3)
    monkeypatch.setattr(kernels, "rewrites", {})
    monkeypatch.setitem(sys.modules, "tinytorch.core.acceleration", None)  # as if it were not built
    with pytest.raises(ValueError, match="18_acceleration"):
        use_kernels(model, "yours")
    with pytest.raises(ValueError, match="18_acceleration"):
        spatial.convolve_engines["yours"]
    spatial.convolve_engines.register("yours", *spatial.convolve_engines["product"])
    try:
        assert use_kernels(model, "yours").kernels == "yours"
    finally:
        del spatial.convolve_engines.registered["yours"]


def test_ones_own_kernels_are_found_when_they_are_asked_for():
    code = "from tinytorch import nn; from tinytorch.kernels import use_kernels; "
    code += "model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU(), nn.MaxPool2d(2)); "
    code += "print(use_kernels(model, 'yours')[0].kernels)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert run.stdout == "yours\n"


def test_a_model_is_switched_where_its_layers_know_the_name():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.MaxPool2d(2), nn.ReLU()), nn.AvgPool2d(2))
    model[2].engines = table()
    assert use_kernels(model, "product") is model
    assert [model[0].kernels, model[1][0].kernels, model[2].kernels] == ["product", "product", "fast"]


def test_a_model_without_such_layers_is_told_so():
    with pytest.raises(ValueError, match="no layer of this model"):
        use_kernels(nn.Sequential(nn.Linear(2, 2)), "loops")


def test_where_the_provided_kernels_are_withheld_the_students_run(monkeypatch):
    gone = kernels.withheld("09_spatial")
    monkeypatch.setattr(
        kernels.importlib,
        "import_module",
        lambda name: type("Stub", (), {"__getattr__": lambda self, name: gone(name)})(),
    )
    assert spatial.convolve_engines["fast"] == spatial.convolve_engines["product"]
    with pytest.raises(kernels.Withheld, match="'convolve'.*an answer of 09_spatial.*left out"):
        gone("convolve")
