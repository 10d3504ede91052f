"""The milestones reach what they assert, on what needs no download, in seconds."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tinytorch import Tensor, no_grad
from tinytorch.datasets import load_cifar10
from tinytorch.residual import ResNet
from tito.catalog import read_milestones
from tito.project import read_project
from tito.services import shown

ROOT = Path(__file__).resolve().parents[2]
PROJECT = read_project(ROOT)
MILESTONES = read_milestones(PROJECT)
SKIPPED = shutil.ignore_patterns("__pycache__")


def copy_of_the_package(folder):
    """A root of its own with the package and the milestones, so that reports go there."""
    for name in ("tinytorch", "milestones", "tito"):
        shutil.copytree(ROOT / name, folder / name, ignore=SKIPPED)
    return folder


def run_program(root, name, *options, data=None):
    """Run the program of a milestone by hand. Returns (the process, what it measured or None)."""
    milestone = MILESTONES.find(name)
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONUTF8": "1"}
    if data is not None:
        environment["TINYTORCH_DATA"] = str(data)
    done = subprocess.run(
        [sys.executable, root / "milestones" / milestone.name / milestone.program.name, *options],
        cwd=root,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    reports = list((root / ".tito" / "milestones" / milestone.name).glob("*/metrics.json"))
    return done, json.loads(reports[0].read_text(encoding="utf-8")) if len(reports) == 1 else None


@pytest.fixture
def root(tmp_path):
    return copy_of_the_package(tmp_path / "root")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_perceptron_finds_a_line(root, seed):
    done, metrics = run_program(root, "perceptron", "--seed", str(seed))
    assert done.returncode == 0, done.stdout + done.stderr
    results = metrics["results"]
    assert metrics["reached"]
    assert results["test accuracy"] >= 0.95
    assert results["test accuracy by gradient descent"] >= 0.95
    assert 0 < results["mistakes"] <= results["Novikoff's upper bound of the mistakes"]
    assert metrics["setting"]["epochs"] < 100, "those it took"
    assert f"made {results['mistakes']:.0f} mistakes in all" in metrics["about"][0]


def test_the_perceptron_needs_no_more_than_its_modules(root):
    needed = {name[3:] for name in MILESTONES.find("perceptron").needs}
    for file in (root / "tinytorch" / "core").glob("[!_]*.py"):
        if file.stem not in needed:
            file.unlink()
    done, metrics = run_program(root, "perceptron")
    assert done.returncode == 0, done.stdout + done.stderr
    assert metrics["results"]["test accuracy"] >= 0.95
    assert "test accuracy by gradient descent" not in metrics["results"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_layers_do_what_one_cannot(root, seed):
    done, metrics = run_program(root, "xor", "--seed", str(seed))
    assert done.returncode == 0, done.stdout + done.stderr
    assert metrics["results"]["accuracy of two layers"] == 1
    assert metrics["results"]["accuracy of the best line tried"] == 0.75
    assert metrics["results"]["accuracy of one layer, trained"] <= 0.75
    assert any("is a matter of rounding" in note for note in metrics["notes"])
    ((_, *rows),) = [table["rows"] for table in metrics["tables"]]
    lines = dict(rows)
    assert lines[4] == 0 < lines[3]


def test_a_milestone_on_a_package_that_learns_nothing_says_so(root):
    """The comparison is with what was measured: a subtraction of nothing is no gradient descent."""
    program = root / "milestones" / "02_1969_xor" / "xor.py"
    text = program.read_text(encoding="utf-8")
    assert "rate * parameter.grad" in text
    program.write_text(text.replace("rate * parameter.grad", "0 * parameter.grad"), encoding="utf-8")
    done, metrics = run_program(root, "xor")
    assert done.returncode == 1
    assert "not reached: accuracy of two layers" in done.stdout
    assert not metrics["reached"]


@pytest.mark.parametrize("milestone", list(MILESTONES), ids=lambda milestone: milestone.name)
def test_a_milestone_that_lacks_a_module_names_it_and_the_command(root, milestone):
    last = milestone.needs[-1]
    (root / "tinytorch" / "core" / f"{last[3:]}.py").unlink()
    done, _ = run_program(root, milestone.name)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert last[3:] in done.stderr
    assert "next: tito module start" in done.stderr


@pytest.mark.parametrize("milestone", list(MILESTONES), ids=lambda milestone: milestone.name)
def test_a_program_answers_help_although_nothing_is_built(root, milestone):
    for file in (root / "tinytorch" / "core").glob("[!_]*.py"):
        file.unlink()
    done, _ = run_program(root, milestone.name, "--help")
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    for result in milestone.results:
        assert f"{result.epochs} on {result.data}" in words


@pytest.mark.parametrize("milestone", list(MILESTONES), ids=lambda milestone: milestone.name)
def test_a_milestone_runs_the_package_of_its_own_root_only(root, milestone):
    done = subprocess.run(
        [sys.executable, root / "milestones" / milestone.name / milestone.program.name],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 3
    assert "imports tinytorch from" in done.stderr


@pytest.mark.parametrize("milestone", list(MILESTONES), ids=lambda milestone: milestone.name)
def test_the_readme_has_the_command_and_the_figures(milestone):
    text = (milestone.folder / "README.md").read_text(encoding="utf-8")
    assert f"tito milestone run {milestone.number:02}" in text
    for seed in range(3):
        assert f"| {seed} |" in text or f"seed {seed}" in text, "figures by seed"


def test_a_network_on_the_kernels_of_module_18_reads_the_digits_as_well(root, monkeypatch):
    monkeypatch.setenv("TINYTORCH_KERNELS", "yours")
    (root / "pyproject.toml").write_text("[tool.tito]\nrole = 'workspace'\n", encoding="utf-8")
    done, metrics = run_program(root, "04", data=root / "data")
    assert done.returncode == 0, done.stdout + done.stderr
    assert metrics["results"]["test accuracy"] >= 0.98
    assert metrics["setting"]["kernels"] == "yours"
    assert "the fused kernels of your module 18" in metrics["about"][0]
    (table,) = [one for one in metrics["tables"] if one["name"] == "The kernels"] if "tables" in metrics else [None]
    assert table is None or "yours, which ran" in str(table)


@pytest.fixture
def report():
    """report(name): (folder, metrics) of a milestone's whole run on the course's package as it is, in `.tito`: one that
    .ci/milestones.py, the site or a person made; where there is none, one that is made now.
    """

    def find(name):
        milestone = MILESTONES.find(name)
        if shown.report(PROJECT, milestone) is None:
            program = [sys.executable, str(milestone.program), "--data", shown.dataset(milestone), "--fresh"]
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
            done = subprocess.run(program, env=environment, capture_output=True, encoding="utf-8", check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        return shown.report(PROJECT, milestone)

    return find


@pytest.mark.parametrize(("name", "least"), [("03", 0.95), ("04", 0.98), ("07", 0.97)])
def test_digits_are_read(report, name, least):
    folder, metrics = report(name)
    assert metrics["data"] == "digits" and metrics["reached"]
    assert metrics["results"]["test accuracy"] >= least
    (matrix,) = [figure["caption"] for figure in metrics["figures"] if "taken for" in figure["name"]]
    right = round(360 * metrics["results"]["test accuracy"])
    assert f"{right} of 360 images are read right" in matrix, "two ways to count"
    assert "1,437 training images" in metrics["about"][0] and "360 test images" in metrics["about"][0]
    for figure in metrics["figures"]:
        pictures = [(folder / figure[key]).read_bytes() for key in ("file", "dark")]
        assert all(picture.startswith(b"\x89PNG") for picture in pictures)
        assert pictures[0] != pictures[1]


@pytest.mark.parametrize("name", ["03", "04", "07"])
def test_without_its_dataset_a_milestone_runs_on_the_digits_meanwhile(root, name):
    """They are fetched from scikit-learn. One epoch is enough for that."""
    (root / "pyproject.toml").write_text("[tool.tito]\nrole = 'workspace'\n", encoding="utf-8")
    done, metrics = run_program(root, name, "--epochs", "1", data=root / "data")
    assert metrics, done.stdout + done.stderr
    assert f"tito data fetch {MILESTONES.find(name).datasets[0]}" in done.stdout
    assert metrics["data"] == "digits"
    assert "validation" not in done.stdout
    assert [path.name.startswith("digits_") for path in (root / ".tito" / "models").iterdir()] == [True]
    assert (done.returncode == 0) == metrics["reached"]


def test_a_report_says_what_it_came_from(root):
    """What the program loaded, and its facts: the site shows it until one of these changes."""
    _, metrics = run_program(root, "perceptron")
    assert {"tinytorch/core/tensor.py", "tinytorch/core/layers.py", "milestones/report.py"} <= metrics["sources"].keys()
    assert "milestones/01_1957_perceptron/milestone.toml" in metrics["sources"]
    assert not any("spatial" in path for path in metrics["sources"])


@pytest.mark.skipif(os.name != "posix", reason="sends a real SIGINT")
def test_the_learning_rate_goes_on_where_it_was(root):
    """LeNet's rate changes at every step; a run interrupted within an epoch ends as one that was not."""
    options = ("--data", "digits", "--epochs", "3")
    _, expected = run_program(root, "lenet", *options, data=root / "data")
    milestone = MILESTONES.find("lenet")
    process = subprocess.Popen(
        [sys.executable, root / "milestones" / milestone.name / milestone.program.name, *options, "--fresh"],
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONUTF8": "1", "TINYTORCH_DATA": str(root / "data")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    for line in process.stdout:
        if line.startswith("epoch 1/3"):
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    done, found = run_program(root, "lenet", *options, data=root / "data")
    assert "going on after epoch 1, step " in done.stdout
    assert "step 0" not in done.stdout
    assert found, "a worse run would leave two reports"
    assert found["history"] == expected["history"]
    assert found["results"] == expected["results"]


LOSSES = [f"held-out loss of {kind}" for kind in ("copying", "reversing", "both mixed")]
FEW = ("--part", "copying", "--steps", "6")
KNOCKED_OUT = {  # what is changed in the package, and the claims that have to fall
    "no mask": (
        "transformers", "need_weights=False, is_causal=True)", "need_weights=False)", ["leak from the future"],
    ),
    "no positions": ("transformers", "self.positions(self.tokens(ids))", "self.tokens(ids)", ["position gap"]),
    "uniform attention": ("attention", "return mapped", "return [mapped[0] * 0, *mapped[1:]]", ["focus"]),
    "zeros for logits": (
        "transformers",
        "return linear(self.norm(self.blocks(x)), self.tokens.weight)",
        "return linear(self.norm(self.blocks(x)), self.tokens.weight) * 0",
        [*LOSSES, "reach of the past", "position gap"],
    ),
    "a trainer that does nothing": (
        "training",
        "    optimizer.step()\n    return value.item()",
        "    return value.item()",
        LOSSES,
    ),
    "a loss that is 0": (
        "transformers",
        "targets.reshape(-1))\n\n\ndef overfit_batch",
        "targets.reshape(-1)) * 0\n\n\ndef overfit_batch",
        LOSSES,
    ),
}  # fmt: skip


def knock_out(root, file, old, new):
    path = root / "tinytorch" / "core" / f"{file}.py"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file}.py has {text.count(old)} times: {old}"
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    """What a few steps of the transformers measure with the package as it is."""
    _, metrics = run_program(copy_of_the_package(tmp_path_factory.mktemp("intact") / "root"), "transformer", *FEW)
    assert metrics["results"]["leak from the future"] == 0
    return metrics


@pytest.mark.parametrize("what", KNOCKED_OUT)
def test_the_transformers_fall_without_what_makes_them(root, intact, what):
    """Each claim fails by what was knocked out: with the package as it is, the same run measures something else."""
    *change, claims = KNOCKED_OUT[what]
    knock_out(root, *change)
    done, metrics = run_program(root, "transformer", *FEW)
    assert done.returncode == 1, done.stdout + done.stderr
    reached = {claim["metric"]: claim["reached"] for claim in metrics["asserts"]}
    for claim in claims:
        worse, usual = metrics["results"][claim], intact["results"][claim]
        assert not reached.get(claim), f"{claim} {worse} without {what}"
        if "loss" in claim or "leak" in claim:
            assert worse > usual + 1e-3, f"{claim} {worse} without {what}, {usual} with it"
        else:
            assert worse < usual, f"{claim} {worse} without {what}, {usual} with it"
    if "held-out" in claims[0]:
        assert not any(reached[name] for name in reached if "accuracy" in name), "and no sequence is exact"


def test_a_transformer_on_the_provided_kernels_learns_the_same_and_says_so(root, intact, monkeypatch):
    monkeypatch.setenv("TINYTORCH_KERNELS", "fast")
    done, metrics = run_program(root, "transformer", *FEW)
    assert metrics["setting"]["kernels"] == "provided, in place of your own operations of modules 11 to 13", done.stderr
    assert intact["setting"]["kernels"] == "your own operations of modules 11 to 13"
    assert metrics["results"] == pytest.approx(intact["results"], rel=1e-3, abs=1e-4)
    monkeypatch.setenv("TINYTORCH_KERNELS", "product")
    done, _ = run_program(root, "transformer", *FEW)
    assert done.returncode != 0
    assert "'plain', 'fast', not 'product'" in done.stdout + done.stderr


def test_the_loss_of_shakespeare_is_computed_from_the_logits(root):
    """All logits 0: ln 65, whatever the student's own loss says."""
    knock_out(root, *KNOCKED_OUT["zeros for logits"][:3])
    knock_out(root, *KNOCKED_OUT["a loss that is 0"][:3])
    done, metrics = run_program(root, "transformer", "--part", "characters", "--steps", "1")
    assert done.returncode == 1, done.stderr
    assert metrics["results"]["held-out loss"] == pytest.approx(4.174387, abs=1e-5)
    assert metrics["results"]["held-out loss of the counted bigram"] == pytest.approx(2.4875, abs=1e-3)
    assert metrics["results"]["held-out bits per byte"] == pytest.approx(6.022368, abs=1e-5)


@pytest.mark.skipif(os.name != "posix", reason="sends a real SIGINT")
def test_a_transformer_goes_on_after_the_step_where_it_was_interrupted(root, intact):
    milestone = MILESTONES.find("transformer")
    process = subprocess.Popen(
        [sys.executable, root / "milestones" / milestone.name / milestone.program.name, *FEW, "--events"],
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "progress" and event["done"] >= 3:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    done, found = run_program(root, "transformer", *FEW)
    assert "going on after step" in done.stdout and "going on after step 0 " not in done.stdout
    assert found["results"] == intact["results"]


DEPTHS = ("--part", "small")
BLOCK = "return relu(branch + self.shortcut(x))"
WITHOUT = {  # what is changed, the epochs, and the claim that has to fall; branches start at 0, without skips they stay
    "no skips": ("residual", BLOCK, "return relu(branch)", 3, "gain by skips"),
    "blocks that do nothing": ("residual", BLOCK, "return relu(self.shortcut(x))", 1, "share of the blocks"),
    "a trainer that does nothing": (*KNOCKED_OUT["a trainer that does nothing"][:3], 1, "share of the blocks"),
}


def learn_from_one_seed(root):
    """Three seeds are for photographs; whether a claim falls, or a training goes on where it was, needs no three."""
    program = root / "milestones" / MILESTONES.find("resnet").name / "resnet.py"
    text = program.read_text(encoding="utf-8")
    assert text.count("SEEDS = 3 ") == 1
    program.write_text(text.replace("SEEDS = 3 ", "SEEDS = 1 "), encoding="utf-8")


def test_44_layers_learn_with_skips_and_hardly_without(root):
    """On 750 photographs of 16 × 16 pixels, from three seeds."""
    done, metrics = run_program(root, "resnet", *DEPTHS, data=ROOT / "tests" / "data")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not fused" not in done.stderr
    assert "750 photographs of 16 × 16 pixels" in metrics["about"][0]
    ((_, *rows),) = [table["rows"] for table in metrics["tables"]]
    losses = {name.removesuffix(" layers"): found for name, *found in rows}
    gaps = {
        kind: [b - a for a, b in zip(losses[f"{kind}, 20"], losses[f"{kind}, 44"], strict=True)]
        for kind in ("plain", "with skips")
    }
    assert metrics["results"]["plain gap"] == pytest.approx(min(gaps["plain"]), abs=2e-3)
    assert metrics["results"]["residual gap"] == pytest.approx(max(gaps["with skips"]), abs=2e-3)
    assert all(len(steps) == 90 for steps in metrics["history"].values())


@pytest.mark.parametrize("what", WITHOUT)
def test_depth_does_not_pay_without_what_makes_it_train(root, what):
    *change, epochs, claim = WITHOUT[what]
    knock_out(root, *change)
    learn_from_one_seed(root)
    done, metrics = run_program(root, "resnet", *DEPTHS, "--epochs", str(epochs), data=ROOT / "tests" / "data")
    assert done.returncode == 1, done.stdout + done.stderr
    assert metrics is not None, done.stdout + done.stderr
    assert ("ResidualBlock blocks.0" in done.stderr) == (change[0] == "residual"), "the student's own forward ran"
    assert not {one["metric"]: one["reached"] for one in metrics["asserts"]}[claim]
    found = metrics["results"][claim]
    assert found < 0 if claim == "gain by skips" else found == 0


def test_a_photograph_is_asked_about_with_its_mirror_image(root):
    """The kept network, asked here; one of 250 photographs may be a close call."""
    (root / "pyproject.toml").write_text("[tool.tito]\nrole = 'workspace'\n", encoding="utf-8")
    done, metrics = run_program(root, "resnet", "--data", "cifar10", "--epochs", "1", data=ROOT / "tests" / "data")
    assert metrics is not None, done.stdout + done.stderr
    (kept,) = (root / ".tito" / "models").glob("cifar10_resnet-*.npz")
    model = ResNet(3).eval()
    model.load_state_dict({name.removeprefix("state."): array for name, array in np.load(kept).items()})
    _, test = load_cifar10(ROOT / "tests" / "data" / "cifar10")
    mean, std = np.reshape([0.491, 0.482, 0.447], (3, 1, 1)), np.reshape([0.247, 0.243, 0.262], (3, 1, 1))
    images = ((test.images / 255 - mean) / std).astype(np.float32)
    with no_grad():
        once, mirrored = (model(Tensor(np.ascontiguousarray(seen))).numpy() for seen in (images, images[..., ::-1]))
    right = [(logits.argmax(axis=1) == test.labels).mean() for logits in (once, once + mirrored)]
    assert abs(right[0] - right[1]) > 1 / 250
    found = [metrics["results"][name] for name in ("test accuracy", "test accuracy, asked twice")]
    assert found == pytest.approx(right, abs=1 / 250 + 1e-6)


def test_a_part_names_the_dataset_that_it_uses(root):
    (root / "pyproject.toml").write_text("[tool.tito]\nrole = 'workspace'\n", encoding="utf-8")
    done, metrics = run_program(root, "resnet", "--part", "depth", "--epochs", "1", data=root / "data")
    assert done.returncode == 3 and metrics is None
    assert "--data depth learns from cifar10, which is not here; --data digits needs no download" in done.stderr
    assert "tito data fetch cifar10" in done.stderr


def test_bundled_digits_show_that_depth_pays_with_skips_alone(root):
    learn_from_one_seed(root)
    done, metrics = run_program(root, "resnet", "--part", "digits-depth", data=root / "data")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1,437 digits of 8 × 8 pixels" in metrics["about"][0]
    assert all(len(steps) == 69 for steps in metrics["history"].values())


@pytest.mark.skipif(os.name != "posix", reason="sends a real SIGINT")
def test_the_networks_go_on_where_they_were_interrupted(root):
    """Within the training of the second of them; the first is not trained again."""
    learn_from_one_seed(root)
    options, data = (*DEPTHS, "--epochs", "1"), ROOT / "tests" / "data"
    _, expected = run_program(root, "resnet", *options, data=data)
    milestone = MILESTONES.find("resnet")
    process = subprocess.Popen(
        [sys.executable, root / "milestones" / milestone.name / milestone.program.name, *options, "--events"],
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONUTF8": "1", "TINYTORCH_DATA": str(data)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    second = False
    for line in process.stdout:
        event = json.loads(line)
        second |= event["text"] == "plain, 44 layers, seed 0"
        if second and event["event"] == "progress":
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    done, found = run_program(root, "resnet", *options, data=data)
    assert "going on after epoch 1, step 0\nplain, 44 layers, seed 0\ngoing on after epoch 0, step " in done.stdout
    assert found["history"] == expected["history"]
    assert found["results"] == expected["results"]


QUICK = [
    ("PAIRS, FEW_PAIRS, PAIRS_OF_TEXTS = 30, 12, 7", "PAIRS, FEW_PAIRS, PAIRS_OF_TEXTS = 8, 2, 2"),
    ("SWEEPS = 5", "SWEEPS = 1"),
]
NOTHING = {  # of each module: what is changed in the package, and the claims that have to fall
    "15: nothing is quantized": (
        "quantization",
        "    model = copy_for_quantization(model)\n    layers =",
        "    return copy_for_quantization(model)\n    layers =",
        ["times smaller, closed", "times smaller, open"],
    ),
    "16: no channel is removed": (
        "compression",
        "    check_keep(model, keep)\n    layers, left",
        "    check_keep(model, keep)\n    return copy.deepcopy(model)\n    layers, left",
        ["times smaller, open"],
    ),
    "17: every token is computed again": (
        "memoization",
        "logits = forward_cached(model, ids[:, start + cache.length :], cache)[:, -1]",
        "logits = forward_cached(model, ids[:, start:], cache_for(model, len(ids)))[:, -1]",
        ["speed with the cache"],
    ),
    "17: nothing is remembered": (
        "memoization",
        "        return self.keys[layer, :, :, : held + n], self.values[layer, :, :, : held + n]",
        "        return key, value",
        ["logits apart with the cache", "tokens alike"],
    ),
    "18: nothing is fused": (
        "acceleration", 'if self.kernels != "yours" or', "if True or", ["memory on your kernels"]
    ),
    "19: nothing is compared": (
        "benchmarking",
        "    a(), b()\n    seconds =",
        '    return Ratio(0.1, 0.1, 0.1, "faster", (0.1,) * pairs)\n    seconds =',
        ["known cases", "tokens alike"],
    ),
    "19: nobody is refused": ("benchmarking", "        elif forbidden:", "        elif False:", ["known cases"]),
    "19: all are on the front": (
        "benchmarking",
        "        if not ((less <= one).all(axis=1) & (less < one).any(axis=1)).any()\n",
        "",
        ["known cases"],
    ),
}  # fmt: skip


def in_a_hurry(root, *more):
    """A workspace whose milestone 06 measures few pairs; more: other changes of its program."""
    (root / "pyproject.toml").write_text("[tool.tito]\nrole = 'workspace'\n", encoding="utf-8")
    program = root / "milestones" / "06_2018_mlperf" / "mlperf.py"
    text = program.read_text(encoding="utf-8")
    for old, new in (*QUICK, *more):
        assert text.count(old) == 1, f"mlperf.py has {text.count(old)} times: {old}"
        text = text.replace(old, new)
    program.write_text(text, encoding="utf-8")
    return root


def outcomes(metrics):
    return {claim["metric"]: claim["outcome"] for claim in metrics["asserts"]}


@pytest.fixture(scope="module")
def raced(tmp_path_factory):
    """Milestone 06 as it is, in few pairs: (the process, what it measured, where the digits are)."""
    root = in_a_hurry(copy_of_the_package(tmp_path_factory.mktemp("raced") / "root"))
    return *run_program(root, "mlperf", data=root / "data"), root / "data"


def test_a_small_network_and_a_cache_win_by_the_rules(raced):
    """Times are left to machines with nothing else to do: here no ratio may be missed, but one may be undecided."""
    done, metrics, _ = raced
    assert done.returncode in (0, 4), done.stdout + done.stderr
    assert [name for name, outcome in outcomes(metrics).items() if outcome == "not reached"] == []
    undecided = [name for name, outcome in outcomes(metrics).items() if outcome == "not decided"]
    assert set(undecided) <= {"speed, open", "speed with the cache"}
    assert bool(undecided) == (done.returncode == 4)
    entries, rankings = (table["rows"] for table in metrics["tables"])
    sizes = {name: smaller for name, _, smaller, *_ in entries[1:]}
    assert sizes["pruned"] == sizes["your kernels"] == 1
    assert metrics["results"]["times smaller, closed"] == pytest.approx(sizes["weights in 8 bits"], abs=0.01)
    assert metrics["results"]["times smaller, open"] == pytest.approx(sizes["small, in 8 bits"], abs=0.01)
    refused = {name for division, place, name, _ in rankings[1:] if division == "closed" and place == "refused"}
    assert {"pruned", "fewer channels", "two factors", "small, in 8 bits", "small, on your kernels"} <= refused
    assert not refused & {"reference", "weights in 8 bits", "weights and inputs in 8 bits", "your kernels"}
    assert "weights in 8 bits (closed), small, in 8 bits (open)" in metrics["about"][0]


@pytest.mark.parametrize("what", NOTHING)
def test_the_race_is_not_won_by_a_module_that_does_nothing(root, raced, what):
    """Two epochs are enough for that: the claims hold or fall by sizes, logits, memory and a ratio of 1."""
    *change, claims = NOTHING[what]
    knock_out(root, *change)
    done, metrics = run_program(in_a_hurry(root), "mlperf", "--epochs", "2", data=raced[2])
    assert done.returncode == 1, done.stdout + done.stderr
    assert metrics is not None, done.stderr
    for claim in claims:
        assert outcomes(metrics)[claim] == "not reached", f"{claim} {metrics['results'].get(claim)}"
        assert outcomes(raced[1])[claim] != "not reached"


@pytest.mark.skipif(os.name != "posix", reason="sends a real SIGINT")
def test_the_small_networks_go_on_where_they_were_interrupted(root, raced):
    """Within pruning, whose masks are no part of a checkpoint: they follow from the weights."""
    options = ("--epochs", "2")
    _, expected = run_program(in_a_hurry(root), "mlperf", *options, data=raced[2])
    milestone = MILESTONES.find("mlperf")
    process = subprocess.Popen(
        [sys.executable, root / "milestones" / milestone.name / milestone.program.name, *options, "--events"],
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONUTF8": "1", "TINYTORCH_DATA": str(raced[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    begun = False
    for line in process.stdout:
        event = json.loads(line)
        begun |= event["text"].startswith("pruned: ")
        if begun and event["event"] == "progress":
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    done, found = run_program(root, "mlperf", *options, data=raced[2])
    assert "going on after step 90 of 90" in done.stdout, "the reference is not trained again"
    assert found["history"] == expected["history"]
    assert found["results"]["times smaller, open"] == expected["results"]["times smaller, open"]


def test_a_race_that_is_not_decided_says_so_and_ends_with_its_own_code(root, raced):
    wide = ("return 1 / found.median, (1 / found.upper, 1 / found.lower)", "return 4, (0.5, 32)")
    done, metrics = run_program(in_a_hurry(root, wide), "mlperf", data=raced[2])
    assert done.returncode == 4, done.stdout + done.stderr
    assert "not decided: speed, open 4 (from 0.5 to 32); expected: in float32" in done.stdout
    assert "not decided: close other programs, and run it again" in done.stdout
    assert not metrics["reached"]
    assert {name for name, outcome in outcomes(metrics).items() if outcome != "reached"} == {
        "speed, open", "speed with the cache",
    }  # fmt: skip
    page = next((root / ".tito" / "milestones").rglob("index.html")).read_text(encoding="utf-8")
    assert ">Not decided:</span> speed, open" in page
