"""Trained models are trained once and then loaded, until something that made them changes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinytorch import Tensor, _models, manual_seed, nn, optim
from tinytorch.notebook import keep_trained, trained

ROOT = Path(__file__).resolve().parents[2]
X = Tensor(np.linspace(-1, 1, 12).reshape(6, 2))
calls = []


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of its own, and the core files of this one as a copy that may be edited."""
    (tmp_path / "pyproject.toml").write_text("[tool.tito]\nrole = 'workspace'\n", encoding="utf-8")
    core = tmp_path / "core"
    core.mkdir()
    for path in (ROOT / "tinytorch" / "core").glob("*.py"):
        (core / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(_models, "CORE", core)
    (tmp_path / "modules").mkdir()
    monkeypatch.chdir(tmp_path / "modules")
    calls.clear()
    return tmp_path


def make():
    manual_seed(1)
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))


def train(model):
    calls.append("train")
    manual_seed(3)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        ((model(X) - 1) ** 2).mean().backward()
        optimizer.step()


def train_otherwise(model):
    calls.append("otherwise")


def kept(project):
    return sorted((project / ".tito" / "models").glob("*"))


def state(model):
    return {key: array.tolist() for key, array in model.state_dict().items()}


def test_a_model_is_trained_once_and_then_loaded(project, capsys):
    first = trained("line", make, train)
    assert "line: training …\nline: trained in 0 s, kept in" in capsys.readouterr().out
    second = trained("line", make, train)
    assert calls == ["train"]
    assert capsys.readouterr().out == ""
    assert state(first) == state(second)
    assert state(first) != state(make())
    assert not first.training and not second.training
    assert first[0].weight.grad is None, "what comes back is the same, trained or loaded"
    (path,) = kept(project)
    with np.load(path, allow_pickle=False) as file:
        assert np.array_equal(file["state.0.weight"], second[0].weight.data)


def test_two_names_are_two_models(project):
    trained("line", make, train)
    trained("other", make, train)
    assert calls == ["train", "train"] and len(kept(project)) == 2


def test_another_training_or_another_model_is_another_entry(project):
    trained("line", make, train)
    trained("line", make, train_otherwise)
    trained("line", lambda: nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)), train)
    trained("line", make, train)
    assert calls == ["train", "otherwise", "train"]


@pytest.mark.parametrize(
    ("file", "count"),
    [("layers.py", 2), ("tensor.py", 2), ("activations.py", 2), ("optimizers.py", 2), ("autograd.py", 2)]
    + [("spatial.py", 1), ("dataloader.py", 1)],
)
def test_a_changed_core_file_that_is_used_trains_again(project, file, count):
    trained("line", make, train)
    with (_models.CORE / file).open("a", encoding="utf-8") as text:
        text.write("\n# something else\n")
    trained("line", make, train)
    assert len(calls) == count


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no archive", "half", "pickle", "shape", "folder"])
def test_a_broken_file_is_trained_again_and_replaced(project, damage):
    good = state(trained("line", make, train))
    (path,) = kept(project)
    data = path.read_bytes()
    if damage == "half":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "pickle":
        np.savez(path, **{"state.0.weight": np.array([{}], dtype=object)})
    elif damage == "shape":
        np.savez(path, **{"state.0.weight": np.zeros((9, 9))})
    elif damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(damage)
    assert state(trained("line", make, train)) == good
    assert calls == ["train", "train"]
    if damage != "folder":
        trained("line", make, train)
        assert calls == ["train", "train"], "the new file is good"
    assert [one.name for one in kept(project)] == [path.name], "no temporary file is left"


def test_outside_of_a_project_it_trains_every_time_and_keeps_nothing(tmp_path, monkeypatch, capsys):
    calls.clear()
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        trained("line", make, train)
    assert calls == ["train", "train"]
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out.count("not kept") == 2
    assert keep_trained("line", make()) is None


def test_a_training_without_a_source_is_not_kept(project):
    names = {"calls": calls}
    exec("def train(model):\n    calls.append('train')\n", names)
    for _ in range(2):
        trained("line", make, names["train"])
    assert calls == ["train", "train"] and kept(project) == []


def test_what_a_program_keeps_serves_a_notebook(project):
    model = make()
    path = keep_trained("line", model)
    assert path.parent == project / ".tito" / "models"
    assert state(trained("line", make, train)) == state(model)
    assert calls == []
    trained("line", lambda: nn.Sequential(nn.Linear(2, 4)), train)
    assert calls == ["train"], "a model of other shapes is another model"
    with (_models.CORE / "layers.py").open("a", encoding="utf-8") as text:
        text.write("\n# something else\n")
    trained("line", make, train)
    assert calls == ["train", "train"]


def test_a_failed_training_keeps_nothing(project):
    def fails(model):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        trained("line", make, fails)
    assert kept(project) == []


def test_a_name_is_no_path(project):
    with pytest.raises(ValueError, match=r"'\.\./line'"):
        trained("../line", make, train)


def test_a_view_of_the_package_and_the_package_itself_share_the_store(tmp_path):
    """In JupyterLab a notebook imports the whole package, under tito the files of its prerequisites only."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from tinytorch import nn, _models\n"
        "print(_models._place('.', 'line', nn.Linear(2, 3), 'loss.backward(); optim.SGD'))\n"
    )
    view = tmp_path / "tinytorch"
    (view / "core").mkdir(parents=True)
    for path in (ROOT / "tinytorch").rglob("*.py"):
        if path.name not in ("spatial.py", "training.py", "dataloader.py"):
            target = view / path.relative_to(ROOT / "tinytorch")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    said = {
        subprocess.run(
            [sys.executable, "-c", program, str(folder)],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": ""},
        ).stdout
        for folder in (ROOT, tmp_path)
    }
    assert len(said) == 1 and ".npz" in said.pop()
