"""The exported transformer: against scalar loops, invariants, and what a model must not be able to do."""

import math

import numpy as np
import pytest

from tinytorch.core.autograd import gradcheck, no_grad
from tinytorch.core.layers import Linear, Sequential
from tinytorch.core.optimizers import AdamW
from tinytorch.core.tensor import Tensor, manual_seed
from tinytorch.core.transformers import (
    GPT,
    LayerNorm,
    TransformerBlock,
    attention_maps,
    from_nanogpt,
    generate,
    initialize,
    layer_norm,
    next_token_loss,
    overfit_batch,
    sample,
    train_language_model,
)

SHAPES = [((4,), (4,)), ((3, 4), (4,)), ((2, 3, 4), (3, 4)), ((2, 3, 4), (2, 3, 4)), ((5, 1), (1,)), ((0, 4), (4,))]


def drawn(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def slow_layer_norm(x, weight, bias, eps=1e-5):
    """One row after the other, in Python's numbers."""
    out = np.empty_like(x)
    for place in np.ndindex(x.shape[: x.ndim - weight.ndim]):
        row = [float(number) for number in x[place].ravel()]
        mean = math.fsum(row) / len(row)
        variance = math.fsum((number - mean) ** 2 for number in row) / len(row)
        normal = [(number - mean) / math.sqrt(variance + eps) for number in row]
        out[place] = np.reshape(normal, weight.shape) * weight + bias
    return out


@pytest.mark.parametrize(("shape", "trailing"), SHAPES)
def test_layer_norm_follows_a_loop_over_rows(shape, trailing):
    x, weight, bias = drawn(1, *shape) * 3 + 5, drawn(2, *trailing), drawn(3, *trailing)
    got = layer_norm(*(Tensor(a, dtype=np.float64) for a in (x, weight, bias)))
    np.testing.assert_allclose(got.numpy(), slow_layer_norm(x, weight, bias), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("shape", "trailing"), SHAPES[:-1])
def test_gradients_of_layer_norm_agree_with_nudging(shape, trailing):
    inputs = [Tensor(drawn(i, *s), True, np.float64) for i, s in enumerate((shape, trailing, trailing))]
    assert gradcheck(layer_norm, inputs)
    assert gradcheck(layer_norm, inputs[:2])
    assert gradcheck(lambda x: layer_norm(x, inputs[1].detach(), None, eps=0.1), inputs[:1])


def test_layer_norm_in_float32_far_from_zero():
    x = (np.arange(64) % 7 + 1e4).astype(np.float32).reshape(8, 8)
    expected = slow_layer_norm(x.astype(float), np.ones(8), np.zeros(8))
    got = layer_norm(Tensor(x), Tensor(np.ones(8)))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-3)


def test_layer_norm_refuses_a_weight_that_is_not_the_end_of_the_shape():
    for shape in [(3,), (4, 2), (1,), (2, 4, 1)]:
        with pytest.raises(ValueError, match="4") as caught:
            layer_norm(Tensor(np.ones((2, 4))), Tensor(np.ones(shape)))
        assert all(str(number) in str(caught.value) for number in shape)


def test_the_layer_has_as_many_parameters_as_it_was_told():
    kinds = [({}, ["weight", "bias"]), ({"bias": False}, ["weight"]), ({"elementwise_affine": False}, [])]
    for settings, names in kinds:
        layer = LayerNorm((2, 3), **settings)
        assert [name for name, _ in layer.named_parameters()] == names
        out = layer(Tensor(drawn(4, 5, 2, 3))).numpy()
        np.testing.assert_allclose(out.mean(axis=(1, 2)), 0, atol=1e-6)
        np.testing.assert_allclose(out.var(axis=(1, 2)), 1, rtol=1e-3)
    assert "(2, 3)" in repr(LayerNorm((2, 3)))


def test_a_block_is_causal_and_sees_everything_before():
    block, x = TransformerBlock(8, 2), drawn(5, 1, 6, 8)
    base = block(Tensor(x)).numpy()
    for place in range(6):
        other = x.copy()
        other[:, place, 0] += 1
        moved = np.abs(block(Tensor(other)).numpy() - base).max(axis=(0, 2))
        assert (moved[:place] < 1e-6).all()
        assert (moved[place:] > 1e-6).all()


def test_every_parameter_of_a_gpt_gets_a_gradient_and_the_tables_are_one():
    model = GPT(11, 8, 2, 2, 8)
    next_token_loss(model(np.arange(8)[None]), np.arange(1, 9)[None]).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    assert [name for name in model.state_dict() if "head" in name] == []
    with pytest.raises(ValueError, match="9.*8|8.*9"):
        model(np.zeros((1, 9), int))
    for ids in ([[11]], [[-12]]):
        with pytest.raises(IndexError):
            model(np.array(ids))


def test_the_tied_gradient_is_the_sum_of_both_uses():
    model, ids, targets = GPT(7, 4, 1, 2, 8), np.array([[1, 2, 2]]), np.array([[2, 2, 3]])
    next_token_loss(model(ids), targets).backward()
    whole, table = model.tokens.weight.grad.copy(), model.tokens.weight
    stream = model.norm(model.blocks(model.positions(model.tokens(ids)))).detach()
    table.grad = None
    next_token_loss(stream @ table.T, targets).backward()
    output = table.grad.copy()
    np.testing.assert_allclose(whole[[0, 4, 5, 6]], output[[0, 4, 5, 6]], atol=1e-6)  # no id used these rows
    assert np.abs(whole[[1, 2]] - output[[1, 2]]).max() > 1e-3


def test_a_fresh_gpt_guesses_and_gains_where_targets_are_not_shifted():
    for seed, vocabulary in [(0, 65), (1, 65), (2, 300)]:
        manual_seed(seed)
        model, ids = GPT(vocabulary, 32, 3, 4, 96), np.random.default_rng(seed).integers(vocabulary, size=(6, 33))
        with no_grad():
            logits = model(ids[:, :-1])
        first = next_token_loss(logits, ids[:, 1:]).item()
        assert first == pytest.approx(math.log(vocabulary), abs=0.1)
        assert next_token_loss(logits, ids[:, :-1]).item() < first - 0.4


def test_the_loss_is_the_mean_of_minus_the_logarithm():
    logits, targets = drawn(6, 2, 5, 7), np.random.default_rng(6).integers(7, size=(2, 5))
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = -np.log([shares[*place, target] for place, target in np.ndenumerate(targets)]).mean()
    assert next_token_loss(Tensor(logits), targets).item() == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="5, 2"):
        next_token_loss(Tensor(logits), targets.T)


def test_initialize_is_the_start_of_gpt_2():
    model = initialize(GPT(200, 64, 6, 4, 64), 6, np.random.default_rng(0))
    for name, array in model.state_dict().items():
        if array.ndim == 1:
            assert (array == (0 if name.endswith("bias") else 1)).all(), name
        else:
            small = name.endswith(("out_proj.weight", "down.weight"))
            assert array.std() == pytest.approx(0.02 / math.sqrt(12) if small else 0.02, rel=0.06), name
    other = initialize(Sequential(Linear(3, 2)), 1)
    assert isinstance(other, Sequential)


def test_one_batch_is_learned_by_heart():
    manual_seed(0)
    model = GPT(30, 8, 2, 2, 32)
    ids = np.random.default_rng(0).integers(30, size=(3, 9))
    losses = overfit_batch(model, ids[:, :-1], ids[:, 1:], AdamW(model.parameters(), lr=1e-2), 200)
    assert losses[0] == pytest.approx(math.log(30), abs=0.1)
    assert losses[-1] < 0.1 <= min(losses[:-1])


def test_what_sample_draws_has_the_probabilities():
    logits = np.array([2.0, 1.0, 0.0, -1.0])
    shares = np.exp(logits) / np.exp(logits).sum()
    ids = sample(np.repeat([logits], 50_000, axis=0), generator=np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(ids) / 50_000, shares, atol=0.01)


@pytest.mark.parametrize(
    ("name", "value"), [("temperature", -1), ("temperature", math.nan), ("top_k", 0), ("top_p", 0), ("top_p", 1.1)]
)
def test_sample_refuses_settings_out_of_range(name, value):
    with pytest.raises(ValueError, match=name):
        sample(np.zeros((1, 3)), **{name: value})


def test_sample_names_the_row_that_is_no_distribution():
    for wrong in ([0.0, math.nan], [0.0, math.inf], [-math.inf, -math.inf]):
        with pytest.raises(ValueError, match="2"):
            sample(np.array([[0.0, 1.0], [1.0, 0.0], wrong]))


def test_generated_text_does_not_depend_on_the_rows_beside_it():
    manual_seed(1)
    model = GPT(9, 6, 1, 2, 8)
    prompts = np.array([[1, 2], [3, 4], [5, 6]])
    both = generate(model, prompts, 12, temperature=0)
    for row, prompt in zip(both, prompts, strict=True):
        np.testing.assert_array_equal(generate(model, prompt[None], 12, temperature=0)[0], row)


def test_maps_are_causal_weights():
    model = GPT(9, 6, 2, 2, 8)
    maps = attention_maps(model, np.array([[1, 2, 3, 4, 5]]))
    assert maps.shape == (2, 1, 2, 5, 5)
    np.testing.assert_allclose(maps.sum(axis=-1), 1, rtol=1e-5)
    assert (maps[..., ~np.tri(5, dtype=bool)] == 0).all()


def test_training_learns_a_pattern_and_tells_the_losses():
    manual_seed(2)
    model, told = GPT(5, 8, 1, 2, 16), []
    ids, draws = np.arange(400) % 5, np.random.default_rng(0)
    after = lambda step, loss: told.append((step, loss))  # noqa: E731
    losses = train_language_model(model, ids, 80, lr=1e-2, warmup=5, generator=draws, after=after)
    assert losses[0] == pytest.approx(math.log(5), abs=0.1)
    assert losses[-1] < 0.1
    assert told == list(enumerate(losses))


def nanogpt_state(bias=True):
    """Names and shapes as nanoGPT saves them, for one layer of width 4 over 3 tokens."""
    shapes = {"wte.weight": (3, 4), "wpe.weight": (5, 4), "h.0.ln_1.weight": (4,), "h.0.ln_2.weight": (4,)}
    shapes |= {"h.0.attn.c_attn.weight": (12, 4), "h.0.attn.c_proj.weight": (4, 4), "ln_f.weight": (4,)}
    shapes |= {"h.0.mlp.c_fc.weight": (16, 4), "h.0.mlp.c_proj.weight": (4, 16)}
    if bias:
        shapes |= {name.replace("weight", "bias"): shape[:1] for name, shape in shapes.items() if name[0] != "w"}
    state = {f"transformer.{name}": drawn(i, *shape) for i, (name, shape) in enumerate(shapes.items())}
    return state | {"lm_head.weight": state["transformer.wte.weight"]}


@pytest.mark.parametrize("bias", [True, False])
def test_a_nanogpt_checkpoint_fits(bias):
    state = nanogpt_state(bias)
    state["transformer.h.0.attn.bias"] = np.ones((1, 1, 5, 5))
    model = GPT(3, 5, 1, 2, 4, bias=bias)
    model.load_state_dict(from_nanogpt({f"_orig_mod.{name}": array for name, array in state.items()}))
    weight = model.blocks[0].attention.in_proj_weight.numpy()
    np.testing.assert_allclose(weight, state["transformer.h.0.attn.c_attn.weight"], rtol=1e-6)


def test_what_is_no_nanogpt_checkpoint_is_named():
    for name, array, said in [
        ("lm_head.weight", np.zeros((3, 4)), "lm_head.weight"),
        ("transformer.h.0.attn.c_attn.weight", np.zeros((4, 12)), "GPT-2"),
        ("h.0.attn.c_attn.weight", np.zeros((4, 12)), "GPT-2"),
        ("transformer.rotary.weight", np.zeros(3), "rotary"),
    ]:
        with pytest.raises(ValueError, match=said):
            from_nanogpt(nanogpt_state() | {name: array})
