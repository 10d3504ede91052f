"""What is remembered and what is computed again, against PyTorch: cached attention, checkpoints, and what they keep."""

import gc
import weakref

import numpy as np
import pytest
from close import agree

torch = pytest.importorskip("torch")

from torch.utils.checkpoint import checkpoint as torch_checkpoint  # noqa: E402

from tinytorch.core.attention import MultiheadAttention  # noqa: E402
from tinytorch.core.tensor import Tensor, manual_seed  # noqa: E402
from tinytorch.transformers import KVCache, cached_attention  # noqa: E402
from tinytorch.utils.checkpoint import checkpoint  # noqa: E402

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("cuts", [[7], [4, 1, 1, 1], [1] * 7, [2, 3, 2]])
@pytest.mark.parametrize("bias", [True, False])
def test_attention_with_a_cache_is_pytorchs_causal_attention(cuts, bias):
    manual_seed(0)
    ours = MultiheadAttention(12, 3, bias=bias, batch_first=True, dtype=np.float64)
    theirs = torch.nn.MultiheadAttention(12, 3, bias=bias, batch_first=True, dtype=torch.float64)
    draws = np.random.default_rng(1)
    for name, parameter in ours.named_parameters():
        parameter.data[...] = draws.normal(size=parameter.shape)
        theirs.get_parameter(name).data = torch.tensor(parameter.numpy())
    x = draws.normal(size=(2, 7, 12))
    future = torch.ones(7, 7, dtype=torch.bool).triu(1)
    expected, _ = theirs(*[torch.tensor(x)] * 3, attn_mask=future, need_weights=False)
    cache, outs, start = KVCache(1, 2, 3, 7, 4, np.float64), [], 0
    for n in cuts:
        outs.append(cached_attention(ours, Tensor(x[:, start : start + n], dtype=np.float64), cache, 0).numpy())
        start += n
    agree(np.concatenate(outs, axis=1), expected)


def test_a_checkpoint_gives_the_gradients_of_pytorchs_checkpoint():
    draws = np.random.default_rng(2)
    arrays = [draws.normal(size=shape) for shape in ((5, 4), (4, 3), (3,))]
    x, weight, bias = (Tensor(array, True, np.float64) for array in arrays)
    tx, tweight, tbias = (torch.tensor(array, requires_grad=True) for array in arrays)
    out = checkpoint(lambda x: (x @ weight + bias).exp(), x, parameters=[weight, bias])
    expected = torch_checkpoint(lambda x: (x @ tweight + tbias).exp(), tx, use_reentrant=False)
    agree(out.numpy(), expected)
    grad = draws.normal(size=out.shape)
    out.backward(grad)
    expected.backward(torch.tensor(grad))
    for mine, other in zip((x, weight, bias), (tx, tweight, tbias), strict=True):
        np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=1e-9, atol=1e-9)


def test_a_chain_of_checkpoints_keeps_one_activation_each():
    """Of 6 blocks with 4 activations each, the input of every block is alive before backward, and nothing after it."""
    alive = []

    def block(x):
        for _ in range(4):
            x = (x * 0.5).exp()
            alive.append(weakref.ref(x.data))
        return x

    def run(way):
        alive.clear()
        x = Tensor(np.ones((8, 8)), requires_grad=True)
        out = x
        for _ in range(6):
            out = way(out)
        gc.collect()
        before = sum(one() is not None for one in alive)
        loss = out.sum()
        del out
        loss.backward()
        grad = x.grad
        del loss, x
        gc.collect()
        return before, sum(one() is not None for one in alive), grad

    plain, kept = run(block), run(lambda x: checkpoint(block, x))
    assert plain[:2] == (24, 0)
    assert kept[:2] == (6, 0)
    np.testing.assert_array_equal(kept[2], plain[2])
