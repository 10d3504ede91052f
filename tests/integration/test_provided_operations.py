"""The provided kernels of a GPT: the student's numbers and PyTorch's, forward and backward, and asked for only."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from tinytorch import Tensor, manual_seed, optim
from tinytorch.core import activations, attention, embeddings, optimizers, transformers
from tinytorch.core.autograd import gradcheck
from tinytorch.core.tensor import Op
from tinytorch.kernels import attention as attention_kernels
from tinytorch.kernels import embeddings as embedding_kernels
from tinytorch.kernels import optimizers as adamw_kernels
from tinytorch.kernels import rows, use_kernels
from tinytorch.kernels import transformers as transformer_kernels
from tinytorch.kernels.attention import causal
from tinytorch.kernels.embeddings import lookup
from tinytorch.kernels.operations import OPERATIONS, provided_operations
from tinytorch.nn import functional
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
    monkeypatch.setattr(causal, "WEIGHTS", 2 * 3 * 7)  # of two heads with 7 keys
    monkeypatch.setattr(causal, "SMALL", 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "trailing"), [((7, 5), (5,)), ((2, 3, 2, 4), (2, 4)), ((6,), (6,))])
@pytest.mark.parametrize("has_bias", [True, False])
def test_layer_norm_is_the_students_forward_and_backward(small_blocks, shape, trailing, has_bias, dtype):
    x, grad = drawn(*shape, dtype=dtype) * 3 + 5, drawn(*shape, dtype=dtype, seed=1)
    arrays = x, *[drawn(*trailing, dtype=dtype, seed=2 + i) for i in range(1 + has_bias)]
    out = transformer_kernels.layer_norm(*arrays, eps=1e-3)
    assert_same([out], [transformers.layer_norm.forward(*arrays, eps=1e-3)], dtype)
    found = transformer_kernels.layer_norm_gradient(grad, out, *arrays, eps=1e-3)
    assert_same(found, transformers.layer_norm_gradient(grad, out, *arrays, eps=1e-3), dtype)


def test_layer_norm_leaves_float16_to_the_operation_and_knows_rows_of_one_entry():
    x, weight = drawn(3, 1), drawn(1)
    expected = transformers.layer_norm.forward(x, weight)
    assert_same([transformer_kernels.layer_norm(x, weight)], [expected])
    for bias in ((), (drawn(1, seed=3),)):
        found = transformer_kernels.layer_norm_gradient(x, expected, x, weight, *bias)
        assert_same(found, transformers.layer_norm_gradient(x, expected, x, weight, *bias))
    assert transformer_kernels.layer_norm(drawn(3, 4, dtype=np.float16), drawn(4, dtype=np.float16)) is NotImplemented


def test_layer_norm_adds_a_bias_that_is_infinite():
    x, weight, bias = drawn(3, 4), drawn(4), np.array([np.inf, -np.inf, np.nan, 1])
    expected = transformers.layer_norm.forward(x, weight, bias)
    np.testing.assert_allclose(transformer_kernels.layer_norm(x, weight, bias), expected, rtol=1e-12)


@pytest.mark.parametrize("shift", [0, 1, 100, 1e4])
def test_layer_norm_is_as_precise_wherever_the_mean_of_a_row_is(shift):
    x, grad = drawn(9, 64, dtype=np.float32), drawn(9, 64, dtype=np.float32, seed=1)
    x[3], x[4] = 0, 2.5  # rows without a spread
    x[5:] += np.float32(shift)
    affine = [drawn(64, dtype=np.float32, seed=2 + i) for i in range(2)]
    wide = [array.astype(np.float64) for array in (x, *affine)]
    out = transformer_kernels.layer_norm(x, *affine)
    expected = transformers.layer_norm.forward(*wide)
    tolerance = 1e-6 * (1 + shift)  # what rounding x itself to float32 does to it
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance)
    found = transformer_kernels.layer_norm_gradient(grad, out, x, *affine)
    precise = transformers.layer_norm_gradient(grad.astype(np.float64), expected, *wide)
    for mine, exact in zip(found, precise, strict=True):
        np.testing.assert_allclose(mine, exact, rtol=0, atol=tolerance * np.abs(exact).max())


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
    found |= {"keys": (lost[0, 0, 0] > -1,), "floating for keys": (lost[0, 0, 0],), "queries": (lost[0, 0, :, :1] > 0,)}
    found |= {"one entry": (np.array(True),), "one number": (np.array(0.5),), "one place": (np.ones((1, 1), bool),)}
    return found | {"no mask": (None,)} | ({"causal": (np.tri(n, dtype=bool),)} if n == m else {})


@pytest.mark.parametrize(("n", "m"), [(7, 7), (4, 9), (1, 5)])
def test_attention_is_the_students_under_every_mask(small_blocks, n, m):
    sizes = (2, 3, n, 4), (2, 3, m, 4), (2, 3, m, 5)
    arrays = [drawn(*size, seed=i) for i, size in enumerate(sizes)]
    grad = drawn(2, 3, n, 5, seed=5)
    for mask in masks(n, m).values():
        out = attention_kernels.attention(*arrays, *mask, scale=0.4)
        assert_same([out], [attention.attention.forward(*arrays, *mask, scale=0.4)])
        found = attention_kernels.attention_gradient(grad, out, *arrays, *mask, scale=0.4)
        with np.errstate(all="ignore"):
            expected = attention.attention_gradient(grad, out, *arrays, *mask, scale=0.4)
        assert_same(found, expected)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (1, 1), (3, 1, 7)])
@pytest.mark.parametrize("kind", ["boolean", "floating"])
def test_a_mask_of_fewer_axes_or_entries_is_pytorchs_broadcast(small_blocks, shape, kind):
    heads = [drawn(2, 3, 7, 4, seed=i) for i in range(3)]
    mask = drawn(*shape, seed=9) if kind == "floating" else np.arange(np.prod(shape, dtype=int)).reshape(shape) % 5 != 4
    with provided_operations():
        mine = functional.scaled_dot_product_attention(*map(Tensor.wrap, heads), Tensor.wrap(np.asarray(mask)))
    whole = torch.tensor(np.broadcast_to(mask, (2, 3, 7, 7)).copy())
    expected = torch.nn.functional.scaled_dot_product_attention(*map(torch.tensor, heads), whole)
    np.testing.assert_allclose(mine.numpy(), expected.numpy(), rtol=1e-12, atol=1e-12)


def test_the_heads_of_one_sequence_are_shared_among_threads():
    items, *_ = causal.plan(np.empty((1, 6, 512, 64)), np.empty((1, 6, 512, 64)), ())
    heads = [head for sequence, some in items for head in range(6)[some]]
    assert heads == list(range(6))
    assert len(items) > 1


def test_a_causal_mask_is_told_from_one_with_a_hole(small_blocks):
    mask = np.tri(6, dtype=bool)
    assert causal.is_causal(mask, 6, 6)
    assert causal.is_causal(mask[None, None], 6, 6)
    mask[4, 1] = False
    assert not causal.is_causal(mask, 6, 6)
    assert not causal.is_causal(np.tri(6, 7, dtype=bool), 6, 7)
    assert not causal.is_causal(np.tri(6), 6, 6)
    assert not causal.is_causal(np.ones((1, 1), bool), 6, 6)  # which lets all attend to all


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


@pytest.mark.parametrize("count", [4, 40])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_gradient_that_is_not_finite_stays_in_the_row_of_its_id(count, value):
    ids, grad = np.array([2, 0, 2, 3, 0, 0]), drawn(6, 5, seed=1)
    grad[3, 1] = value
    weight = torch.zeros(count, 5, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.embedding(torch.tensor(ids), weight).backward(torch.tensor(grad))
    with np.errstate(invalid="ignore"):  # as `backward` does
        found = embedding_kernels.embedding_gradient(grad, None, np.zeros((count, 5)), ids=ids)
    np.testing.assert_allclose(found, weight.grad.numpy(), rtol=1e-12)


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
    model, ids = small_gpt()
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


def rules_that_ran(function):
    """(name, whether it is the student's) of every rule of the four operations that `function` runs."""
    operations = activations.gelu, embeddings.embedding, attention.attention, transformers.layer_norm
    own, seen = {operation.rule for operation in operations}, []

    def observe(op, run, arguments, settings):
        if op.__name__ in OPERATIONS and run is op.rule:
            seen.append((op.__name__, run in own))
        return run(*arguments, **settings)

    Op.observer = observe
    try:
        function()
    finally:
        Op.observer = None
    return seen


def small_gpt():
    manual_seed(0)
    model = GPT(11, 8, n_layer=2, n_head=2, n_embd=8)
    return model, np.random.default_rng(0).integers(0, 11, (3, 9))


def test_a_block_of_provided_operations_ends_also_after_an_error():
    model, ids = small_gpt()
    with pytest.raises(KeyError), provided_operations():
        raise KeyError
    assert {is_own for _, is_own in rules_that_ran(lambda: loss_and_gradients(model, ids))} == {True}


def test_a_node_is_differentiated_by_the_kernels_that_made_it():
    x, rows = Tensor(drawn(3, 4), requires_grad=True), Tensor(np.ones(4))
    with provided_operations():
        made_inside = transformers.layer_norm(x, rows).sum()
    made_outside = transformers.layer_norm(x, rows).sum()
    assert rules_that_ran(made_inside.backward) == [("layer_norm", False)]
    with provided_operations():
        assert rules_that_ran(made_outside.backward) == [("layer_norm", True)]


def test_a_gpt_is_switched_to_the_provided_kernels_and_back(small_blocks):
    model, ids = small_gpt()
    other, _ = small_gpt()
    plain = loss_and_gradients(model, ids)
    names = sorted(model.state_dict())
    for name, is_own in (("fast", False), ("plain", True), ("fast", False)):
        assert use_kernels(model, name) is model
        ran = rules_that_ran(lambda: loss_and_gradients(model, ids))
        assert set(ran) == {(operation, is_own) for operation in OPERATIONS}, name
        for mine, theirs in zip(loss_and_gradients(model, ids), plain, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)
        assert {is_own for _, is_own in rules_that_ran(lambda: loss_and_gradients(other, ids))} == {True}
    assert sorted(model.state_dict()) == names
    assert isinstance(model, GPT)
    assert str(model) == str(other)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert [type(copied), copied.kernels] == [type(model), "fast"]
        assert copied.tokens.weight is not model.tokens.weight
        np.testing.assert_array_equal(copied(ids[:, :-1]).numpy(), model(ids[:, :-1]).numpy())


def test_half_of_a_model_can_be_switched():
    model, ids = small_gpt()
    use_kernels(model, "fast")
    use_kernels(model.blocks[1], "plain")
    ran = rules_that_ran(lambda: loss_and_gradients(model, ids))
    assert ran.count(("layer_norm", True)) == 2
    assert ran.count(("layer_norm", False)) == 3


def test_a_name_that_a_gpt_does_not_know_is_refused_with_those_it_knows():
    model, _ = small_gpt()
    for name in ("product", "quick"):
        with pytest.raises(ValueError, match=f"one of 'plain', 'fast', not '{name}'"):
            use_kernels(model, name)
    with pytest.raises(ValueError, match="'plain', 'fast', not 'yours'; yours run where a Conv2d"):
        use_kernels(model, "yours")
    assert model.kernels == "plain"


def test_where_kernels_are_withheld_the_students_operations_run(monkeypatch):
    """A fresh interpreter, in which the package of module 12's kernels holds what a view of it holds."""
    code = "import sys, types, numpy as np\n"
    code += "from tinytorch.kernels import use_kernels, withheld\n"
    code += "gone = types.ModuleType('tinytorch.kernels.attention')\n"
    code += "gone.__getattr__ = withheld('12_attention')\n"
    code += "sys.modules['tinytorch.kernels.attention'] = gone\n"
    code += "from tinytorch.core import attention, transformers\n"
    code += "model = use_kernels(transformers.GPT(5, 4, 1, 1, 4), 'fast')\n"
    code += "model(np.zeros((1, 4), int)).sum().backward()\n"
    code += "print(model.kernels)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert run.stdout == "fast\n"


def test_an_optimizer_is_switched_by_the_same_call_and_keeps_its_averages():
    start, grads = drawn(4, 3), drawn(6, 4, 3, seed=1)
    parameters = [Tensor(start, requires_grad=True, dtype=np.float64) for _ in range(2)]
    optimizers_ = [optim.AdamW([parameter], lr=0.01, weight_decay=0.1) for parameter in parameters]
    for step, grad in enumerate(grads):
        assert use_kernels(optimizers_[0], ("fast", "plain")[step // 2 % 2]) is optimizers_[0]
        for parameter, optimizer in zip(parameters, optimizers_, strict=True):
            parameter.grad = grad.copy()
            optimizer.step()
        np.testing.assert_allclose(parameters[0].numpy(), parameters[1].numpy(), rtol=1e-12)
    with pytest.raises(ValueError, match="one of 'plain', 'fast' for an optimizer, not 'product'"):
        use_kernels(optimizers_[0], "product")
    with pytest.raises(ValueError, match="SGD has no provided kernel; AdamW has one"):
        use_kernels(optim.SGD(parameters, lr=0.1), "fast")
