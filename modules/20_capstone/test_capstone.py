"""The capstone as it is used: plans, leaks, searches, files that strangers build models from."""

import itertools
import json
import math
import re

import numpy as np
import pytest

from tinytorch import nn
from tinytorch.core.activations import ReLU
from tinytorch.core.autograd import no_grad
from tinytorch.core.capstone import (
    KINDS,
    MAKERS,
    Step,
    Trial,
    build,
    check,
    choose_epoch,
    chosen,
    manifest_of,
    order_steps,
    pack,
    search,
    split,
)
from tinytorch.core.compression import factorize
from tinytorch.core.layers import Linear, Module, Sequential
from tinytorch.core.spatial import AvgPool2d, Conv2d, Flatten, MaxPool2d
from tinytorch.core.tensor import Tensor, manual_seed
from tinytorch.core.transformers import GPT
from tinytorch.submissions import Submission, read_submission, write_submission


def walk(steps):
    size, time = 1.0, 0.0
    for step in steps:
        time += step.seconds * size
        size *= step.factor
    return size, time


@pytest.mark.parametrize("seed", range(6))
def test_no_order_within_the_budgets_is_smaller_than_the_one_that_is_found(seed):
    draw = np.random.default_rng(seed)
    steps = [
        Step(name, int(draw.integers(1, 30)), int(draw.integers(1, 20)) / 16, int(draw.integers(4)))
        for name in "abcd"
    ]
    steps[3] = steps[3]._replace(after=("a", "c"))
    seconds, wrong = int(draw.integers(60)), int(draw.integers(8))
    plan = [next(step for step in steps if step.name == name) for name in order_steps(steps, seconds, wrong)]
    found = []
    for row in itertools.chain(*(itertools.permutations(steps, count) for count in range(5))):
        names = "".join(step.name for step in row)
        barred = set(names.partition("d")[2]) & {"a", "c"}
        if walk(row)[1] <= seconds and sum(one.wrong for one in row) <= wrong and not barred:
            found.append(walk(row))
    assert walk(plan) == min(found)


def test_a_plan_that_is_empty_is_a_list():
    assert order_steps([Step("larger", 1, 3.0)], 5, 5) == []


@pytest.mark.parametrize("fact", ["twice", "elsewhere", "-3"])
def test_a_plan_refuses_names_and_budgets_that_are_none(fact):
    one = Step("twice", 1, 0.5)
    calls = {
        "twice": ([one, one], 1, 1),
        "elsewhere": ([one._replace(after=("elsewhere",))], 1, 1),
        "-3": ([one], -3, 1),
    }
    with pytest.raises(ValueError, match=fact):
        order_steps(*calls[fact])


def rows(count=30):
    draw = np.random.default_rng(count)
    return draw.normal(size=(count, 1, 4, 4)).astype(np.float32), draw.integers(10, size=count)


def test_a_split_gives_the_rows_that_were_asked_for_and_leaves_the_data_alone():
    x, y = rows()
    before, parts = x.copy(), {"train": np.arange(20)[::-1], "validation": np.arange(20, 25), "test": range(25, 30)}
    got = split(x, y, parts)
    for name, places in parts.items():
        np.testing.assert_array_equal(got[name][0], before[list(places)])
        np.testing.assert_array_equal(got[name][1], y[list(places)])
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("kind", ["index", "row", "origin"])
@pytest.mark.parametrize("count", [1, 4])
def test_every_kind_of_leak_is_counted(kind, count):
    x, y = rows()
    origin, test = np.arange(30), np.arange(20, 30)
    leaking = test[3 : 3 + count]
    if kind == "index":
        test = np.where(np.isin(test, leaking), test - 20, test)
    if kind == "row":
        x[leaking] = x[leaking - 20]
    if kind == "origin":
        origin[leaking] = origin[leaking - 20]
    with pytest.raises(ValueError) as caught:
        split(x, y, {"train": np.arange(20), "test": test}, origin)
    words = re.findall(r"\w+", str(caught.value))
    assert {str(count), str(test[3]), "test", "train"} <= set(words)


def test_a_search_keeps_all_that_it_tried_and_the_choice_follows_from_it():
    def evaluate(configuration, seed):
        if configuration["width"] > 8:
            raise MemoryError("too wide")
        return {"accuracy": 1 - 1 / configuration["width"], "cost": configuration["width"] * configuration["bits"]}

    space = {"width": [2, 4, 8, 16], "bits": [4, 8]}
    record = list(search(evaluate, space, 8, 3, np.random.default_rng(1)))
    assert [trial.number for trial in record] == list(range(24))
    assert len({trial.seed for trial in record}) == 3
    assert sum(trial.error == "MemoryError: too wide" for trial in record) == 6
    assert chosen(record, 0.75) == {"width": 4, "bits": 4}
    again = list(search(evaluate, space, 8, 3, np.random.default_rng(1)))
    assert again == record


def test_a_search_that_is_interrupted_leaves_what_it_found():
    def evaluate(configuration, seed):
        if configuration["x"] == 2:
            raise KeyboardInterrupt
        return {"accuracy": 1.0, "cost": configuration["x"]}

    record = []
    with pytest.raises(KeyboardInterrupt):
        for trial in search(evaluate, {"x": [1, 2, 3]}, 3, 1, np.random.default_rng(0)):
            record.append(trial)
    assert 0 < len(record) < 3


@pytest.mark.parametrize(
    ("space", "draws", "seeds"), [({}, 1, 1), ({"x": []}, 1, 1), ({"x": [1]}, 2, 1), ({"x": [1]}, 1, 0)]
)
def test_an_empty_search_is_an_error(space, draws, seeds):
    with pytest.raises(ValueError):
        list(search(lambda configuration, seed: {}, space, draws, seeds, np.random.default_rng(0)))


def test_nothing_is_chosen_from_failures():
    record = [Trial(0, {"x": 1}, 5, {}, "ValueError: no"), Trial(1, {"x": 2}, 5, {"accuracy": math.nan, "cost": 1})]
    with pytest.raises(ValueError, match=r"0\.5"):
        chosen(record, 0.5)


@pytest.mark.parametrize("seeds", [2, 3, 8])
def test_the_epoch_is_the_earliest_within_one_standard_error(seeds):
    draw = np.random.default_rng(seeds)
    curves = 2 / np.arange(1, 21) + draw.normal(0, 0.1, size=(seeds, 20))
    mean = curves.mean(axis=0)
    best = int(mean.argmin())
    limit = mean[best] + np.std(curves[:, best], ddof=1) / math.sqrt(seeds)
    epoch = choose_epoch(curves)
    assert mean[epoch] <= limit and (mean[:epoch] > limit).all()


def digits_network(pool=MaxPool2d):
    manual_seed(0)
    eyes = Conv2d(1, 6, 3, padding=1), ReLU(), pool(2), Conv2d(6, 8, (3, 1), stride=(1, 2), bias=False), ReLU()
    return Sequential(*eyes, Flatten(), Linear(32, 16), ReLU(), Linear(16, 10))


def digit_images():
    return Tensor(np.random.default_rng(1).random((5, 1, 8, 8)).astype(np.float32))


@pytest.mark.parametrize(("bits", "far"), [(None, 1e-6), (8, 0.02), (5, 0.2)])
def test_a_network_comes_back_from_its_file(bits, far, tmp_path):
    model = digits_network()
    model[6] = factorize(model[6], 4)
    arrays, layers = pack(model, bits)
    size = write_submission(tmp_path / "submission.npz", arrays, manifest_of("small", layers))
    assert size == (tmp_path / "submission.npz").stat().st_size
    built = build(read_submission(tmp_path / "submission.npz"))
    with no_grad():
        np.testing.assert_allclose(built(digit_images()).numpy(), model(digit_images()).numpy(), atol=far)
    assert not built.training and not any(parameter.requires_grad for parameter in built.parameters())
    kinds = {str(array.dtype) for name, array in arrays.items() if name.endswith("weight")}
    assert kinds == {"float32" if bits is None else "int8"}


def test_codes_are_a_quarter_of_the_bytes():
    sizes = [check(Submission(pack(Linear(400, 100), bits)[0], {})) for bits in (None, 8)]
    assert sizes == [40_000 * 4 + 400, 40_000 + 400 + 400]


def test_a_gpt_reads_a_token_at_a_time_and_goes_on_behind_its_block(tmp_path):
    manual_seed(3)
    gpt = GPT(13, 6, 2, 2, 8)
    arrays, layers = pack(gpt, None)
    write_submission(tmp_path / "submission.npz", arrays, manifest_of("tokens", layers))
    writer = build(read_submission(tmp_path / "submission.npz"))
    ids = np.random.default_rng(0).integers(13, size=10)
    with no_grad():
        got = np.array([writer.step(int(token)) for token in ids])
        np.testing.assert_allclose(got[:6], gpt(ids[None, :6]).numpy()[0], atol=1e-5)
        np.testing.assert_allclose(got[6], gpt(ids[None, 4:7]).numpy()[0, -1], atol=1e-5)
        np.testing.assert_allclose(got[9], gpt(ids[None, 4:10]).numpy()[0, -1], atol=1e-5)
        writer.start()
        np.testing.assert_allclose(writer.step(int(ids[0])), got[0], atol=1e-6)


class Doubled(Module):
    def forward(self, x):
        return x * 2.0


def test_a_layer_of_ones_own_is_an_entry_more(monkeypatch):
    with pytest.raises(ValueError, match="Doubled"):
        pack(Sequential(Flatten(), Doubled()))
    monkeypatch.setitem(MAKERS, "doubled", lambda state, said: Doubled())
    monkeypatch.setitem(KINDS, "Doubled", ("doubled", ()))
    arrays, layers = pack(Sequential(Flatten(), Doubled()))
    assert build(Submission(arrays, {"layers": layers}))(Tensor([[1.0, 2]])).tolist() == [[2, 4]]


class Scaled(Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = Tensor(scale, requires_grad=True)

    def forward(self, x):
        return x * self.scale


def test_an_array_that_is_called_scale_and_belongs_to_no_codes_is_an_array(monkeypatch):
    monkeypatch.setitem(MAKERS, "scaled", lambda state, said: Scaled(state["scale"]))
    submission = Submission({"0.scale": np.float32([2, 3])}, {"layers": [{"kind": "scaled", "name": "0"}]})
    assert build(submission)(Tensor([[1.0, 2]])).tolist() == [[2, 6]]


@pytest.mark.parametrize(
    ("layer", "fact"),
    [
        (AvgPool2d(2), "AvgPool2d"),
        (Flatten(0), "Flatten"),
        (nn.Conv2d(4, 4, 3, groups=2), "groups=2"),
        (nn.Conv2d(4, 4, 3, dilation=2), "dilation"),
        (nn.Conv2d(4, 4, 3, padding="same"), "same"),
        (nn.MaxPool2d(3), None),
        (MaxPool2d(3, stride=(2, 1), padding=1), None),
        (nn.Conv2d(4, 4, (3, 1), stride=2, padding=(1, 0), bias=False), None),
    ],
    ids=str,
)
def test_a_layer_comes_back_with_all_its_settings_or_is_refused_by_name(layer, fact):
    if fact is not None:
        with pytest.raises(ValueError, match=fact):
            pack(Sequential(ReLU(), layer))
        return
    arrays, layers = pack(Sequential(ReLU(), layer), None)
    x = Tensor(np.random.default_rng(2).random((2, 4, 7, 7)).astype(np.float32))
    wanted = layer(x).numpy()
    layers = json.loads(json.dumps(layers))
    np.testing.assert_allclose(build(Submission(arrays, {"layers": layers}))(x).numpy(), wanted, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    ["kind", "setting", "array", "scale", "left over", "idle scale", "array of a ReLU", "nan", "nothing"],
)
def test_what_does_not_fit_together_is_an_error_that_names_it(change):
    arrays, layers = pack(digits_network())
    if change == "kind":
        layers[1]["kind"] = fact = "recurrent"
    if change == "setting":
        fact = layers[0].pop("stride") and "stride"
    if change == "array":
        fact = arrays.pop("6.weight") is not None and arrays.pop("6.weight.scale") is not None and "weight"
    if change == "scale":
        fact = arrays.pop("3.weight.scale") is not None and "3.weight"
    if change == "left over":
        arrays["hidden"], fact = np.zeros(9, np.uint8), "hidden"
    if change == "idle scale":
        arrays["6.bias.scale"], fact = np.ones(16, np.float32), r"bias\.scale"
    if change == "array of a ReLU":
        arrays["1.hidden"], fact = np.zeros(9, np.uint8), "hidden"
    if change == "nan":
        arrays["6.bias"], fact = np.full(16, np.nan, np.float32), "6.bias"
    if change == "nothing":
        arrays, layers, fact = {}, [], "layers"
    with pytest.raises(ValueError, match=fact):
        build(Submission(arrays, {"layers": layers}))


@pytest.mark.parametrize("bad", [np.zeros(2), np.array(["a"]), np.array([{}], object), [1.0], np.zeros(2, ">f4"), None])
def test_a_stranger_does_not_load_other_kinds_of_entries(bad):
    with pytest.raises(ValueError, match="strange"):
        check(Submission({"fine": np.zeros(2, np.float32), "strange": bad}, {}))


def test_sizes_are_known_before_the_entries_are_read():
    """A terabyte of nan takes no memory here, and looking at one entry after the other would take it."""
    declared = np.broadcast_to(np.float32(np.nan), (2**38,))
    with pytest.raises(ValueError, match="1,?099,?511,?627,?776"):
        check(Submission({"large": declared}, {}))


def test_a_manifest_says_its_division_and_refuses_others():
    assert manifest_of("open", [], "a vote") == {"division": "open", "changed": "a vote", "layers": []}
    for division, fact in (("medium", "medium"), ("open", "changed")):
        with pytest.raises(ValueError, match=fact):
            manifest_of(division, [])
