"""Normalization and residual networks against PyTorch: both modes, all gradients, buffers, every memory order."""

import numpy as np
import pytest
from close import agree

torch = pytest.importorskip("torch")

from tinytorch import nn  # noqa: E402
from tinytorch.core import residual  # noqa: E402
from tinytorch.core.losses import CrossEntropyLoss  # noqa: E402
from tinytorch.core.tensor import Tensor  # noqa: E402

pytestmark = pytest.mark.parity

SETTINGS = [{}, {"momentum": None}, {"momentum": 0.7, "eps": 0.1}, {"affine": False}, {"track_running_stats": False}]
LAYERS = [("BatchNorm1d", (6, 3)), ("BatchNorm1d", (4, 3, 5)), ("BatchNorm2d", (4, 3, 5, 2))]


def numbers(*shape, seed=0, mean=2.0):
    return np.random.default_rng(seed).normal(mean, 3, shape)


def in_order(array, order):
    """The same entries in another order of memory."""
    if order == "channels last":
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    return np.asfortranarray(array) if order == "Fortran" else array[::-1][::-1]


def give_same_parameters(mine, theirs):
    """Parameters of float64 for both, by their names."""
    pairs = zip(sorted(mine.named_parameters()), sorted(theirs.named_parameters()), strict=True)
    for place, ((name, parameter), (other_name, other)) in enumerate(pairs):
        assert name == other_name
        parameter.data = numbers(*parameter.shape, seed=place, mean=0.2) / 3
        other.data = torch.tensor(parameter.data)


def same_buffers(mine, theirs):
    expected = dict(theirs.named_buffers())
    assert list(dict(mine.named_buffers())) == list(expected)
    for name, buffer in mine.named_buffers():
        np.testing.assert_allclose(buffer.numpy(), expected[name].numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(("name", "shape"), LAYERS)
def test_layers_are_pytorchs_in_training_and_in_evaluation(name, shape, settings):
    mine, theirs = getattr(nn, name)(3, **settings), getattr(torch.nn, name)(3, **settings).double()
    give_same_parameters(mine, theirs)
    for number in range(5):
        if number == 3:
            mine.eval(), theirs.eval()
            for buffer in mine.buffers():
                buffer.data = np.asarray(buffer.data, np.float64 if buffer.data.ndim else None)
            mine.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
        x = numbers(*shape, seed=number, mean=number)
        a, b = Tensor(x, True, np.float64), torch.tensor(x, requires_grad=True)
        out, expected = mine(a), theirs(b)
        agree(out.numpy(), expected)
        pull = numbers(*shape, seed=9)
        out.backward(pull)
        expected.backward(torch.tensor(pull))
        agree(a.grad, b.grad)
        for parameter, other in zip(mine.parameters(), theirs.parameters(), strict=True):
            agree(parameter.grad, other.grad)
        same_buffers(mine, theirs)


@pytest.mark.parametrize(("name", "shape"), [("BatchNorm1d", (1, 3)), ("BatchNorm2d", (1, 3, 1, 1))])
def test_one_value_a_channel_is_refused_as_in_pytorch(name, shape):
    for package, make in ((nn, Tensor), (torch.nn, torch.tensor)):
        x = make(np.zeros(shape, np.float32))
        with pytest.raises(ValueError, match="channel"):
            getattr(package, name)(3)(x)
        assert tuple(getattr(package, name)(3).eval()(x).shape) == shape


@pytest.mark.parametrize("order", ["channels last", "Fortran", "strided"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_norm_takes_any_order_of_memory(order, dtype):
    arrays = [in_order(numbers(4, 3, 6, 5, seed=seed).astype(dtype), order) for seed in range(2)]
    small = [numbers(3, seed=seed).astype(dtype) for seed in (2, 3)]
    mine = [Tensor(array, True, dtype) for array in (arrays[0], *small)]
    theirs = [torch.tensor(np.ascontiguousarray(array), requires_grad=True) for array in (arrays[0], *small)]
    out = residual.batch_norm(*mine)
    expected = torch.nn.functional.batch_norm(theirs[0], None, None, *theirs[1:], training=True)
    agree(out.numpy(), expected, terms=120)
    out.backward(arrays[1])
    expected.backward(torch.tensor(np.ascontiguousarray(arrays[1])))
    for one, other in zip(mine, theirs, strict=True):
        agree(one.grad, other.grad, terms=120, scale=3)


def test_channels_last_stays_channels_last():
    x = in_order(numbers(2, 3, 4, 5).astype(np.float32), "channels last")
    out = residual.batch_norm.forward(x, None)
    back = residual.batch_norm_gradient(x, out, x, None)[0]
    for array in (out, back):
        assert array.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(2, 6), (3, 6, 4), (2, 6, 3, 5)])
def test_group_norm_is_pytorchs(shape, affine):
    mine, theirs = nn.GroupNorm(2, 6, affine=affine), torch.nn.GroupNorm(2, 6, affine=affine).double()
    give_same_parameters(mine, theirs)
    a, b = Tensor(numbers(*shape), True, np.float64), torch.tensor(numbers(*shape), requires_grad=True)
    out, expected = mine(a), theirs(b)
    agree(out.numpy(), expected)
    out.backward(numbers(*shape, seed=1))
    expected.backward(torch.tensor(numbers(*shape, seed=1)))
    agree(a.grad, b.grad)
    for parameter, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        agree(parameter.grad, other.grad)


class Block(torch.nn.Module):
    """The paper's block, with projections, written down a second time."""

    def __init__(self, many_in, many_out, stride=1):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(many_in, many_out, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(many_out)
        self.conv2 = torch.nn.Conv2d(many_out, many_out, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(many_out)
        self.shortcut = torch.nn.Sequential()
        if stride != 1 or many_in != many_out:
            project = torch.nn.Conv2d(many_in, many_out, 1, stride, bias=False)
            self.shortcut = torch.nn.Sequential(project, torch.nn.BatchNorm2d(many_out))

    def forward(self, x):
        branch = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(branch + self.shortcut(x))


class Network(torch.nn.Module):
    def __init__(self, n, classes, channels, width):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(width)
        sizes = [width] + [width * 2**stage for stage in range(3) for _ in range(n)]
        pairs = zip(sizes, sizes[1:], strict=False)
        self.blocks = torch.nn.Sequential(*[Block(a, b, b // a) for a, b in pairs])
        self.fc = torch.nn.Linear(sizes[-1], classes)

    def forward(self, x):
        return self.fc(self.blocks(torch.relu(self.bn1(self.conv1(x)))).mean((2, 3)))


@pytest.mark.parametrize("n", [1, 2])
def test_a_network_is_pytorchs_over_three_steps(n):
    mine, theirs = residual.ResNet(n, 4, in_channels=2, width=3), Network(n, 4, 2, 3).double()
    give_same_parameters(mine, theirs)
    labels = np.arange(6) % 4
    for step in range(3):
        x = numbers(6, 2, 8, 8, seed=step)
        loss, expected = CrossEntropyLoss()(mine(Tensor(x, dtype=np.float64)), labels), None
        expected = torch.nn.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(labels))
        np.testing.assert_allclose(loss.item(), expected.item(), rtol=1e-9)
        mine.zero_grad(), theirs.zero_grad()
        loss.backward(), expected.backward()
        others = dict(theirs.named_parameters())
        for name, parameter in mine.named_parameters():
            np.testing.assert_allclose(parameter.grad, others[name].grad.numpy(), rtol=1e-6, atol=1e-8)
            parameter.data = parameter.data - 0.1 * parameter.grad
            others[name].data -= 0.1 * others[name].grad
    expected = dict(theirs.named_buffers())
    for name, buffer in mine.named_buffers():
        np.testing.assert_allclose(buffer.numpy(), expected[name].numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_depthwise_convolution_is_one_of_groups(stride):
    mine = residual.DepthwiseConv2d(4, stride)
    theirs = torch.nn.Conv2d(4, 4, 3, stride, 1, groups=4, bias=False).double()
    give_same_parameters(mine, theirs)
    x = numbers(2, 4, 6, 7)
    out, expected = mine(Tensor(x, dtype=np.float64)), theirs(torch.tensor(x))
    agree(out.numpy(), expected)
    out.sum().backward()
    expected.sum().backward()
    agree(mine.weight.grad, theirs.weight.grad)


def test_a_separable_block_is_that_chain():
    mine, x = residual.SeparableBlock(3, 5, 2), numbers(2, 3, 6, 6)
    parts = torch.nn.Conv2d(3, 3, 3, 2, 1, groups=3, bias=False), torch.nn.BatchNorm2d(3), torch.nn.ReLU()
    parts += torch.nn.Conv2d(3, 5, 1, bias=False), torch.nn.BatchNorm2d(5), torch.nn.ReLU()
    theirs = torch.nn.Sequential(*parts).double()
    for parameter, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        parameter.data = numbers(*parameter.shape, seed=parameter.ndim, mean=0.5)
        other.data = torch.tensor(parameter.data)
    agree(mine(Tensor(x, dtype=np.float64)).numpy(), theirs(torch.tensor(x)))
