"""The public behaviour of tinytorch.core.acceleration."""

import math

import numpy as np
import pytest

from tinytorch.core import acceleration
from tinytorch.core.activations import ReLU, gelu, relu
from tinytorch.core.layers import Linear, Sequential
from tinytorch.core.losses import CrossEntropyLoss, cross_entropy
from tinytorch.core.spatial import AvgPool2d, Conv2d, Flatten, MaxPool2d, max_pool2d
from tinytorch.core.tensor import Tensor, manual_seed
from tinytorch.kernels import use_kernels
from tinytorch.notebook import expect, expect_error


def drawn(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("block", [1, 2, 3, 64])
@pytest.mark.parametrize("sizes", [(3, 4, 5), (1, 1, 1), (6, 2, 6), (0, 3, 2)])
def test_a_product_in_blocks_is_the_product(sizes, block):
    n, m, p = sizes
    a, b = drawn(n, m), drawn(m, p, seed=1)
    expect(acceleration.matmul_in_blocks(a, b, block), a @ b, f"{sizes} in blocks of {block}", atol=1e-12)
    loads = sum((min(block, n - i) + min(block, p - j)) * m for i in range(0, n, block) for j in range(0, p, block))
    expect(acceleration.block_loads(n, m, p, block), loads, f"its loads, {sizes}, block {block}")


def test_gelu_in_blocks_is_the_operation_of_module_02():
    x = drawn(7, 11, dtype=np.float32)
    got = acceleration.chain_in_blocks(acceleration.gelu_block, x, 10)
    expect(got, gelu(Tensor(x), approximate="tanh"), "77 numbers", atol=1e-6, dtype=np.float32)


def cnn(*pool):
    manual_seed(3)
    return Sequential(Conv2d(1, 3, 3, padding=1), ReLU(), *pool, Flatten(), Linear(27, 4))


def gradients(model, images, labels):
    model.zero_grad()
    loss = CrossEntropyLoss()(model(Tensor(images)), labels)
    loss.backward()
    return [np.asarray(loss), *[parameter.grad for parameter in model.parameters()]]


def test_a_network_on_your_kernels_computes_what_it_computed():
    model, images, labels = cnn(MaxPool2d(2)), drawn(9, 1, 6, 6, dtype=np.float32), np.arange(9) % 4
    names, expected = list(model.state_dict()), gradients(use_kernels(model, "product"), images, labels)
    for name in ("yours", "fast", "yours"):
        use_kernels(model, name)
        assert type(model[0]) is acceleration.ConvReLUPool and model[0].kernels == name
        for got, wanted in zip(gradients(model, images, labels), expected, strict=True):
            expect(got, wanted, f"engine {name}", atol=1e-5)
    assert list(model.state_dict()) == names


def test_only_what_can_be_fused_is_fused():
    for pool in (MaxPool2d(3), MaxPool2d(2, 1), MaxPool2d(2, padding=1), AvgPool2d(2)):
        model = acceleration.fuse(Sequential(Conv2d(1, 1, 3), ReLU(), pool))
        assert [type(layer) for layer in model] == [Conv2d, ReLU, type(pool)], f"{pool} stays"
    with pytest.raises(ValueError, match="Conv2d, a ReLU and a MaxPool2d"):
        use_kernels(Sequential(Conv2d(1, 1, 3), ReLU()), "yours")


def test_images_that_do_not_fit_the_fused_layer_are_refused():
    model = use_kernels(Sequential(Conv2d(1, 2, 3), ReLU(), MaxPool2d(2)), "yours")
    expect_error(ValueError, [(5, 6), "ConvReLUPool"], model, Tensor(np.zeros((1, 1, 7, 8))))
    expect_error(ValueError, [(1, 2, 8, 8)], model, Tensor(np.zeros((1, 2, 8, 8))))
    expect(model(Tensor(np.zeros((0, 1, 8, 8)))).shape, (0, 2, 3, 3), "no image")
    image = drawn(1, 8, 8, dtype=np.float32)
    expect(model(Tensor(image)), model(Tensor(image[None]))[0], "a single image", atol=1e-6)


def test_a_fused_layer_without_bias():
    manual_seed(1)
    conv = Conv2d(2, 3, 3, bias=False)
    x = Tensor(drawn(2, 2, 8, 8, dtype=np.float32))
    expected = max_pool2d(relu(conv(x)), 2)
    expect(acceleration.fuse(Sequential(conv, ReLU(), MaxPool2d(2)))(x), expected, "engine fast", atol=1e-6)
    model = use_kernels(Sequential(conv, ReLU(), MaxPool2d(2)), "yours")
    expect(model(x), expected, "engine yours", atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 4, 9, 100])
def test_cross_entropy_in_chunks_is_cross_entropy(chunk):
    hidden, weight = (Tensor(drawn(*shape, seed=5), True, np.float64) for shape in ((6, 3), (9, 3)))
    targets = np.array([0, 8, 3, 3, 5, 1])
    expected = cross_entropy(hidden @ weight.T, targets)
    expected.backward()
    wanted, hidden.grad, weight.grad = (hidden.grad, weight.grad), None, None
    loss = acceleration.linear_cross_entropy(hidden, weight, targets=targets, chunk=chunk)
    expect(loss, expected, "the loss", atol=1e-12)
    loss.backward()
    expect((hidden.grad, weight.grad), wanted, f"both gradients, chunks of {chunk}", atol=1e-12)
    expect(loss.item() > math.log(9) / 2, True, "it is no small number by itself")


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_a_batch_in_parts_has_the_gradients_of_the_whole_batch(count):
    images, labels, loss = drawn(5, 1, 6, 6, dtype=np.float32), np.array([0, 1, 2, 3, 0]), CrossEntropyLoss()
    model = cnn(MaxPool2d(2))
    value, *expected = gradients(model, images, labels)
    got = acceleration.parallel_gradients(acceleration.replicate(model, count), loss, images, labels)
    expect(got, value, f"{count} replicas: the loss", atol=1e-6)
    for parameter, wanted in zip(model.parameters(), expected, strict=True):
        expect(parameter.grad, wanted, f"{count} replicas: a gradient", atol=1e-6)
