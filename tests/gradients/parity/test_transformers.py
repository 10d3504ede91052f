"""The transformer against PyTorch: layer normalization, a GPT with nanoGPT's weights, and its training."""

import math

import numpy as np
import pytest
from close import agree
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import arrays, shapes

torch = pytest.importorskip("torch")

from tinytorch import nn, optim  # noqa: E402
from tinytorch.core.tensor import Tensor  # noqa: E402
from tinytorch.nn import functional  # noqa: E402
from tinytorch.transformers import GPT, from_nanogpt, initialize, next_token_loss  # noqa: E402

pytestmark = pytest.mark.parity
F = torch.nn.functional
MANY = settings(max_examples=60, deadline=None, derandomize=True)
NOT_EMPTY = st.sampled_from([1, 2, 3, 5])


@st.composite
def normalizations(draw):
    trailing = draw(shapes(min_dims=1, max_dims=3, sides=NOT_EMPTY))
    x = draw(arrays((*draw(shapes(max_dims=2)), *trailing), -20, 20))
    affine = [draw(arrays(trailing)) if draw(st.booleans()) else None for _ in range(2)]
    return x, trailing, affine, draw(st.sampled_from([1e-5, 1e-3, 1.0]))


@MANY
@given(normalizations())
def test_layer_norm_as_people_call_it(case):
    x, trailing, affine, eps = case
    ours = [None if a is None else Tensor(a, True, np.float64) for a in (x, *affine)]
    theirs = [None if a is None else torch.tensor(np.array(a, order="C"), requires_grad=True) for a in (x, *affine)]
    got = functional.layer_norm(ours[0], trailing, *ours[1:], eps=eps)
    expected = F.layer_norm(theirs[0], trailing, *theirs[1:], eps=eps)
    agree(got.numpy(), expected)
    weights = np.linspace(0.5, 1.5, x.size).reshape(x.shape)
    got.backward(weights)
    expected.backward(torch.from_numpy(weights))
    for mine, other in zip(ours, theirs, strict=True):
        if mine is not None:
            np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=1e-8, atol=1e-7 / eps**0.5)


def test_layer_norm_refuses_what_pytorch_refuses():
    x = np.ones((2, 3, 4), np.float32)
    for shape, affine in [((3,), []), ((2, 4), []), ((4,), [np.ones(3, np.float32)]), ((4,), [None, np.ones((1, 4))])]:
        with pytest.raises(RuntimeError):
            F.layer_norm(torch.tensor(x), shape, *(None if a is None else torch.tensor(a) for a in affine))
        with pytest.raises(ValueError):
            functional.layer_norm(Tensor(x), shape, *(None if a is None else Tensor(a) for a in affine))


class Block(torch.nn.Module):
    """A block of a model with nanoGPT's parameter names."""

    def __init__(self, width, heads, bias):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = (torch.nn.LayerNorm(width, bias=bias) for _ in range(2))
        self.attn, self.mlp = torch.nn.Module(), torch.nn.Module()
        self.attn.c_attn = torch.nn.Linear(width, 3 * width, bias=bias)
        self.attn.c_proj = torch.nn.Linear(width, width, bias=bias)
        self.mlp.c_fc = torch.nn.Linear(width, 4 * width, bias=bias)
        self.mlp.c_proj = torch.nn.Linear(4 * width, width, bias=bias)

    def forward(self, x):
        thirds = self.attn.c_attn(self.ln_1(x)).chunk(3, dim=-1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in thirds)
        gathered = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.attn.c_proj(gathered.transpose(1, 2).flatten(2))
        return x + self.mlp.c_proj(F.gelu(self.mlp.c_fc(self.ln_2(x))))


class NanoGPT(torch.nn.Module):
    def __init__(self, vocabulary, length, layers, heads, width, bias):
        super().__init__()
        parts = {"wte": torch.nn.Embedding(vocabulary, width), "wpe": torch.nn.Embedding(length, width)}
        parts["h"] = torch.nn.ModuleList(Block(width, heads, bias) for _ in range(layers))
        self.transformer = torch.nn.ModuleDict({**parts, "ln_f": torch.nn.LayerNorm(width, bias=bias)})
        self.lm_head = torch.nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.transformer.wte.weight

    def forward(self, ids):
        parts = self.transformer
        x = parts.wte(ids) + parts.wpe(torch.arange(ids.shape[1]))
        for block in parts.h:
            x = block(x)
        return self.lm_head(parts.ln_f(x))


SIZES = (17, 12, 3, 4, 32)


@pytest.mark.parametrize("bias", [True, False])
def test_the_logits_of_a_nanogpt_checkpoint(bias):
    torch.manual_seed(0)
    theirs, ids = NanoGPT(*SIZES, bias), np.random.default_rng(0).integers(17, size=(4, 12))
    ours = GPT(*SIZES, bias=bias, approximate="none")
    ours.load_state_dict(from_nanogpt(theirs.state_dict()))
    with torch.no_grad():
        expected = theirs(torch.tensor(ids)).numpy()
    np.testing.assert_allclose(ours(ids).numpy(), expected, atol=1e-5 * np.abs(expected).max())


def test_gradients_and_twenty_steps_of_adamw():
    theirs = NanoGPT(*SIZES, True).double()
    ours = initialize(GPT(*SIZES, approximate="none"), 3, np.random.default_rng(0))
    for parameter in ours.parameters():
        parameter.data = parameter.data.astype(np.float64)
    names = {ours_name: name for name, ours_name in named(theirs)}
    with torch.no_grad():
        for name, parameter in ours.named_parameters():
            theirs.get_parameter(names[name]).copy_(torch.from_numpy(parameter.numpy()))
    ids = np.random.default_rng(1).integers(17, size=(4, 13))
    x, y = ids[:, :-1], ids[:, 1:]
    settings = {"lr": 1e-2, "betas": (0.9, 0.99), "weight_decay": 0.1}
    mine, other = optim.AdamW(ours.parameters(), **settings), torch.optim.AdamW(theirs.parameters(), **settings)
    for step in range(20):
        ours.zero_grad()
        other.zero_grad()
        loss = next_token_loss(ours(x), y)
        expected = F.cross_entropy(theirs(torch.tensor(x)).flatten(0, 1), torch.tensor(y).flatten())
        loss.backward()
        expected.backward()
        if step == 0:
            assert loss.item() == pytest.approx(math.log(17), abs=0.1)
            for name, parameter in ours.named_parameters():
                agree(parameter.grad, theirs.get_parameter(names[name]).grad, rtol=1e-7)
        mine.step()
        other.step()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert loss.item() < 1.0


def named(model):
    """(nanoGPT's name, ours) of every parameter."""
    for name, tensor in model.state_dict().items():
        if name != "lm_head.weight":
            yield name, next(iter(from_nanogpt({name: tensor})))


def test_the_layer_is_pytorchs():
    x = np.random.default_rng(2).normal(size=(2, 3, 4)).astype(np.float32)
    for arguments in ({}, {"eps": 0.1}, {"bias": False}, {"elementwise_affine": False}):
        ours, theirs = nn.LayerNorm((3, 4), **arguments), torch.nn.LayerNorm((3, 4), **arguments)
        agree(ours(input=Tensor(x)).numpy(), theirs(torch.tensor(x)))
        assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
