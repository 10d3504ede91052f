"""The provided kernels of a GPT: the student's numbers and PyTorch's, forward and backward, and asked for only."""

import numpy as np
import pytest
import torch

from tinytorch import Tensor, manual_seed, optim
from tinytorch.core import activations, attention, embeddings, optimizers, transformers
from tinytorch.core.autograd import gradcheck
from tinytorch.kernels import attention as attention_kernels
from tinytorch.kernels import embeddings as embedding_kernels
from tinytorch.kernels import optimizers as adamw_kernels
from tinytorch.kernels import rows
from tinytorch.kernels import transformers as transformer_kernels
from tinytorch.kernels.attention import causal
from tinytorch.kernels.embeddings import lookup
from tinytorch.kernels.operations import OPERATIONS, provided_operations
from tinytorch.transformers import GPT, next_token_loss


def drawn(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def assert_same(found, expected, dtype=np.float64):
    """Each array as the other, up to rounding in proportion to its largest entry."""
    for mine, theirs in zip(found, expected, strict=True):
        if theirs is None:
            assert mine is None
            continue
        assert (mine.dtype, mine.shape) == (dtype, theirs.shape)
        scale = np.abs(theirs).max(initial=1e-30)
        tolerance = 1e-5 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance * scale)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few rows, so that small arrays have several, the last of them shorter."""
    monkeypatch.setattr(rows, "ENTRIES", 12)
    monkeypatch.setattr(causal, "QUERIES", 3)
    monkeypatch.setattr(causal, "SMALL", 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "trailing"), [((7, 5), (5,)), ((2, 3, 2, 4), (2, 4)), ((6,), (6,)), ((3, 1), (1,))])
@pytest.mark.parametrize("has_bias", [True, False])
def test_layer_norm_is_the_students_forward_and_backward(small_blocks, shape, trailing, has_bias, dtype):
    x, grad = drawn(*shape, dtype=dtype) * 3 + 5, drawn(*shape, dtype=dtype, seed=1)
    arrays = x, *[drawn(*trailing, dtype=dtype, seed=2 + i) for i in range(1 + has_bias)]
    out = transformer_kernels.layer_norm(*arrays, eps=1e-3)
    assert_same([out], [transformers.layer_norm.forward(*arrays, eps=1e-3)], dtype)
    found = transformer_kernels.layer_norm_gradient(grad, out, *arrays, eps=1e-3)
    assert_same(found, transformers.layer_norm_gradient(grad, out, *arrays, eps=1e-3), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gelu_is_the_students_also_at_zero_and_far_out(small_blocks, dtype):
    x = np.concatenate([[0.0, -0.0, 30.0, -30.0, 1e-30, -1e-6], 3 * drawn(40)]).astype(dtype).reshape(2, 23)
    grad = drawn(2, 23, dtype=dtype, seed=1)
    with np.errstate(all="ignore"):
        out = transformer_kernels.gelu(x, approximate="tanh")
        found = transformer_kernels.gelu_gradient(grad, out, x, approximate="tanh")
    assert_same([out], [activations.gelu.forward(x, approximate="tanh")], dtype)
    assert_same([found], [activations.gelu.rule(grad, out, x, approximate="tanh")], dtype)


def masks(n, m):
    lost = drawn(2, 1, n, m, seed=9)
    lost[1, 0, n - 1] = -np.inf
    found = {"none": (), "boolean, a row lost": (lost > 0,), "floating": (lost,), "one for all": (lost[0, 0] > -1,)}
    return found | {"no mask": (None,)} | ({"causal": (np.tri(n, dtype=bool),)} if n == m else {})


@pytest.mark.parametrize(("n", "m"), [(7, 7), (4, 9), (1, 5)])
def test_attention_is_the_students_under_every_mask(small_blocks, n, m):
    sizes = (2, 3, n, 4), (2, 3, m, 4), (2, 3, m, 5)
    arrays = [drawn(*size, seed=i) for i, size in enumerate(sizes)]
    grad = drawn(2, 3, n, 5, seed=5)
    for kind, mask in masks(n, m).items():
        out = attention_kernels.attention(*arrays, *mask, scale=0.4)
        assert_same([out], [attention.attention.forward(*arrays, *mask, scale=0.4)])
        found = attention_kernels.attention_gradient(grad, out, *arrays, *mask, scale=0.4)
        with np.errstate(all="ignore"):
            expected = attention.attention_gradient(grad, out, *arrays, *mask, scale=0.4)
        assert_same(found, expected), kind


def test_a_causal_mask_is_told_from_one_with_a_hole(small_blocks):
    mask = np.tri(6, dtype=bool)
    assert causal.is_causal(mask)
    assert causal.is_causal(mask[None, None])
    mask[4, 1] = False
    assert not causal.is_causal(mask)
    assert not causal.is_causal(np.tri(6, 7, dtype=bool))
    assert not causal.is_causal(np.tri(6))


@pytest.mark.parametrize("one_hot", [0, 2**18])
@pytest.mark.parametrize("rounds", [1, 2, 64])
def test_the_gradient_of_an_embedding_is_the_students_however_often_an_id_comes(monkeypatch, one_hot, rounds):
    monkeypatch.setattr(lookup, "ONE_HOT", one_hot)
    monkeypatch.setattr(lookup, "ROUNDS", rounds)
    ids = np.array([[3, 3, 0, 7], [3, 7, 3, 3], [1, 0, 3, 9]])
    weight, grad = drawn(11, 5), drawn(3, 4, 5, seed=1)
    for padding in (None, 3):
        settings = {"ids": ids, "padding_idx": padding}
        found = embedding_kernels.embedding_gradient(grad, None, weight, **settings)
        assert_same([found], [embeddings.embedding_gradient(grad, None, weight, **settings)])
    nothing = embedding_kernels.embedding_gradient(grad[:0], None, weight, ids=ids[:0])
    assert_same([nothing], [np.zeros((11, 5))])


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adamw_is_the_students_after_several_steps(small_blocks, decay):
    for order in "CF":
        mine, theirs = ([np.array(drawn(5, 7, seed=i) ** 2, order=order) for i in range(3)] for _ in range(2))
        for step in range(1, 5):
            settings = {"step": step, "lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": decay}
            grad = np.array(drawn(5, 7, seed=10 + step), order=order)
            adamw_kernels.adamw_update(mine[0], grad, *mine[1:], **settings)
            optimizers.adamw_update(theirs[0], grad, *theirs[1:], **settings)
        assert_same(mine, theirs)


def test_an_optimizer_by_the_kernel_takes_pytorchs_steps():
    start, grad = drawn(4, 3, dtype=np.float32), drawn(4, 3, dtype=np.float32, seed=1)
    parameter, theirs = Tensor(start, requires_grad=True), torch.tensor(start, requires_grad=True)
    optimizer = adamw_kernels.use_adamw_kernel(optim.AdamW([parameter], lr=0.01, weight_decay=0.1))
    peer = torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1)
    for factor in (1, -2, 3):
        parameter.grad, theirs.grad = factor * grad, torch.tensor(factor * grad)
        optimizer.step()
        peer.step()
    np.testing.assert_allclose(parameter.numpy(), theirs.detach().numpy(), rtol=1e-5, atol=1e-7)


def slopes(function, *arrays):
    """The output of a function of Tensors and the gradients for all inputs."""
    inputs = [Tensor(array, requires_grad=True) for array in arrays]
    out = function(*inputs)
    out.backward(drawn(*out.shape, dtype=np.float32, seed=99))
    return [out.numpy(), *[x.grad for x in inputs]]


def slopes_in_pytorch(function, *arrays):
    inputs = [torch.tensor(array, requires_grad=True) for array in arrays]
    out = function(*inputs)
    out.backward(torch.tensor(drawn(*out.shape, dtype=np.float32, seed=99)))
    return [out.detach().numpy(), *[x.grad.numpy() for x in inputs]]


def test_switched_operations_have_pytorchs_values_and_gradients():
    functional, single = torch.nn.functional, np.float32
    x, weight, bias = drawn(6, 40, 32, dtype=single), drawn(32, dtype=single, seed=1), drawn(32, dtype=single, seed=2)
    heads = [drawn(2, 4, 200, 16, dtype=single, seed=i) for i in range(3)]
    with provided_operations() as names:
        assert names == tuple(OPERATIONS)
        normal = slopes(transformers.layer_norm, x, weight, bias)
        curved = slopes(lambda x: activations.gelu(x, approximate="tanh"), x)
        mixed = slopes(lambda *heads: attention.attention_and_weights(*heads, is_causal=True)[0], *heads)
    expected = slopes_in_pytorch(lambda x, w, b: functional.layer_norm(x, (32,), w, b), x, weight, bias)
    assert_same(normal[:2], expected[:2], single)
    for mine, theirs in zip(normal, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)
    assert_same(curved, slopes_in_pytorch(lambda x: functional.gelu(x, approximate="tanh"), x), single)
    sdpa = functional.scaled_dot_product_attention
    assert_same(mixed, slopes_in_pytorch(lambda *heads: sdpa(*heads, is_causal=True), *heads), single)


def test_gradients_are_central_differences_in_float64(small_blocks):
    inputs = [Tensor(drawn(*shape, seed=i), True, np.float64) for i, shape in enumerate([(5, 4), (4,), (4,)])]
    heads = [Tensor(drawn(1, 2, 4, 3, seed=i), True, np.float64) for i in range(3)]
    with provided_operations():
        assert gradcheck(transformers.layer_norm, inputs)
        assert gradcheck(lambda x: activations.gelu(x, approximate="tanh"), inputs[:1])
        assert gradcheck(lambda *x: attention.attention_and_weights(*x, is_causal=True)[0], heads)
        assert gradcheck(lambda weight: embeddings.embedding(weight, ids=np.array([1, 4, 1])), inputs[:1])


def loss_and_gradients(model, ids):
    model.zero_grad()
    loss = next_token_loss(model(ids[:, :-1]), ids[:, 1:])
    loss.backward()
    return [loss.numpy(), *[parameter.grad for parameter in model.parameters()]]


def test_a_whole_gpt_has_the_same_loss_and_gradients(small_blocks):
    manual_seed(0)
    model, ids = GPT(11, 8, n_layer=2, n_head=2, n_embd=8), np.random.default_rng(0).integers(0, 11, (3, 9))
    plain = loss_and_gradients(model, ids)
    with provided_operations():
        provided = loss_and_gradients(model, ids)
    for mine, theirs in zip(provided, plain, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_what_a_kernel_does_not_take_is_left_to_the_operation():
    x, half = drawn(3, 4), drawn(2, 2, 5, 4, dtype=np.float16)
    with provided_operations():
        np.testing.assert_array_equal(activations.gelu(Tensor(x)).numpy(), activations.gelu_exact(Tensor(x).numpy()))
        assert attention.attention(half, half, half, scale=1.0).dtype == np.float16
        assert transformers.layer_norm(Tensor(x[:0]), Tensor(np.ones(4))).shape == (0, 4)
        with pytest.raises(ValueError, match="not the end of shape"):
            transformers.layer_norm(Tensor(x), Tensor(np.ones(3)))


def test_operations_get_their_own_functions_back_also_after_an_error():
    operations = activations.gelu, embeddings.embedding, attention.attention, transformers.layer_norm
    before = [(operation.forward, operation.rule) for operation in operations]
    with pytest.raises(KeyError), provided_operations():
        assert all(operation.rule is not rule for operation, (_, rule) in zip(operations, before, strict=True))
        raise KeyError
    assert [(operation.forward, operation.rule) for operation in operations] == before
