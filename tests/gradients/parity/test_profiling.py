"""FLOPs of products beside PyTorch's counter, forward and backward; and every operation has been counted."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tinytorch import Tensor, nn
from tinytorch.core.acceleration import linear_cross_entropy
from tinytorch.core.attention import attention
from tinytorch.core.losses import cross_entropy
from tinytorch.core.profiling import COSTS, PRODUCTS, Profile
from tinytorch.core.quantization import quantized_layer, replace_layer
from tinytorch.core.tensor import Op
from tinytorch.kernels import use_kernels
from tito.catalog import read_catalog
from tito.project import read_project


def drawn(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def theirs(function, *arrays, wants):
    """(FLOPs forward, FLOPs of both) of PyTorch's function of these arrays."""
    tensors = [torch.tensor(array, requires_grad=want) for array, want in zip(arrays, wants, strict=True)]
    counts = []
    for backward in (False, True):
        with FlopCounterMode(display=False) as counter:
            out = function(*tensors)
            if backward:
                out.sum().backward()
        counts.append(counter.get_total_flops())
    return counts


def ours(function, *arrays, wants):
    tensors = [Tensor(array, requires_grad=want) for array, want in zip(arrays, wants, strict=True)]
    with Profile() as profile:
        function(*tensors).sum().backward()
    products = [row for row in profile.rows if row.name in PRODUCTS]
    return [sum(r.flops for r in products if r.way == "forward"), sum(r.flops for r in products)]


CASES = {
    "matmul": (lambda a, b: a @ b, lambda a, b: a @ b, [(5, 3), (3, 4)], [True, True]),
    "batches": (torch.matmul, lambda a, b: a @ b, [(2, 5, 3), (2, 3, 4)], [True, True]),
    "linear": (torch.nn.functional.linear, nn.functional.linear, [(6, 5), (4, 5), (4,)], [True] * 3),
    "a first layer": (torch.nn.functional.linear, nn.functional.linear, [(6, 5), (4, 5), (4,)], [False, True, True]),
    "convolution": (torch.nn.functional.conv2d, nn.functional.conv2d, [(2, 3, 8, 7), (4, 3, 3, 2)], [True, True]),
    "images": (torch.nn.functional.conv2d, nn.functional.conv2d, [(2, 3, 8, 7), (4, 3, 3, 2)], [False, True]),
}


@pytest.mark.parametrize("case", CASES)
def test_products_count_what_pytorchs_counter_counts(case):
    their_function, our_function, shapes, wants = CASES[case]
    arrays = [drawn(*shape) for shape in shapes]
    assert ours(our_function, *arrays, wants=wants) == theirs(their_function, *arrays, wants=wants)


def test_attention_counts_two_products_and_five_on_the_way_back():
    """PyTorch's formulas for a fused kernel; on a processor its counter sees whatever the kernel is made of."""
    from torch.utils import flop_counter

    query, key, value = (2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 6)
    forward = flop_counter.sdpa_flop_count(query, key, value)
    backward = flop_counter.sdpa_backward_flop_count((2, 3, 5, 6), query, key, value)
    arrays = [drawn(*shape) for shape in (query, key, value)]
    got = ours(lambda q, k, v: attention(q, k, v, scale=0.5), *arrays, wants=[True] * 3)
    assert got == [forward, forward + backward]


def test_a_network_counts_what_pytorchs_counter_counts():
    images, labels = np.ones((4, 1, 8, 8), np.float32), np.array([0, 1, 2, 0])
    layers = lambda made: [made.Conv2d(1, 2, 3), made.ReLU(), made.MaxPool2d(2), made.Flatten(), made.Linear(18, 3)]
    model = torch.nn.Sequential(*layers(torch.nn))
    with FlopCounterMode(display=False) as counter:
        torch.nn.functional.cross_entropy(model(torch.tensor(images)), torch.tensor(labels)).backward()
    with Profile() as profile:
        cross_entropy(nn.Sequential(*layers(nn))(Tensor(images)), labels).backward()
    found = sum(row.flops for row in profile.rows if row.name in PRODUCTS)
    assert found == counter.get_total_flops() == 5184 * 2 + 432 * 3


def lenet(made):
    first = made.Conv2d(1, 6, 5, padding=2), made.ReLU(), made.MaxPool2d(2)
    second = made.Conv2d(6, 16, 5), made.ReLU(), made.MaxPool2d(2)
    dense = made.Linear(400, 120), made.ReLU(), made.Linear(120, 84), made.ReLU(), made.Linear(84, 10)
    return made.Sequential(*first, *second, made.Flatten(), *dense)


def flops_of_products(profile):
    """{name: FLOPs} of the operations that are products, or are made around one."""
    names = {row.name for row in profile.rows} - set(COSTS)
    return {name: profile.total(name).flops for name in names}


@pytest.mark.parametrize("input_range", [None, (0.02, -5)])
def test_a_quantized_lenet_counts_what_pytorchs_counter_counts_of_the_floats(input_range):
    images = drawn(3, 1, 28, 28)
    model = lenet(nn)
    for layer in [one for one in model if isinstance(one, nn.Conv2d | nn.Linear)]:
        model = replace_layer(model, layer, quantized_layer(layer, input_range))
    with FlopCounterMode(display=False) as counter:
        lenet(torch.nn)(torch.tensor(images))
    with Profile() as profile:
        model(Tensor(images))
    found = flops_of_products(profile)
    assert set(found) == {"quantized_convolve", "quantized_linear"}
    assert sum(found.values()) == counter.get_total_flops()
    assert found["quantized_linear"] == 3 * 2 * (400 * 120 + 120 * 84 + 84 * 10)


def test_a_step_of_a_fused_network_counts_what_pytorchs_counter_counts():
    images, labels = drawn(4, 1, 28, 28), np.array([0, 3, 9, 1])
    model = use_kernels(lenet(nn), "yours")
    with FlopCounterMode(display=False) as counter:
        torch.nn.functional.cross_entropy(lenet(torch.nn)(torch.tensor(images)), torch.tensor(labels)).backward()
    with Profile() as profile:
        cross_entropy(model(Tensor(images)), labels).backward()
    found = flops_of_products(profile)
    assert "conv_relu_pool" in found and "convolve" not in found
    assert sum(found.values()) == counter.get_total_flops()


def test_cross_entropy_in_chunks_counts_its_product_once_and_three_times_on_the_way_back():
    hidden, weight, targets = drawn(20, 8), drawn(101, 8), np.arange(20) * 5
    with FlopCounterMode(display=False) as counter:
        torch.nn.functional.cross_entropy(torch.tensor(hidden) @ torch.tensor(weight).T, torch.tensor(targets))
    with Profile() as profile:
        linear_cross_entropy(Tensor(hidden, True), Tensor(weight, True), targets=targets, chunk=16).backward()
    ways = [profile.total("linear_cross_entropy", way).flops for way in ("forward", "backward")]
    assert ways == [counter.get_total_flops(), 3 * 2 * 20 * 8 * 101]


def test_every_operation_has_been_counted():
    """Each stands in PRODUCTS or COSTS, or states its cost itself."""
    found = {}
    for module in read_catalog(read_project(Path(__file__).resolve().parents[3])):
        values = vars(importlib.import_module(f"tinytorch.core.{module.short}")).values()
        found |= {value.__name__: value for value in values if isinstance(value, Op)}
    named = {name for name in found if not name.startswith("_")}
    assert len(named) > 45
    uncounted = {name for name in named - set(PRODUCTS) - set(COSTS) if not hasattr(found[name], "flops")}
    assert uncounted == set()
