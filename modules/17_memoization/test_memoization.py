"""The exported module: a cache equal to no cache, a bounded store, and gradients that do not notice a checkpoint."""

import gc
import weakref

import numpy as np
import pytest

from tinytorch.core.attention import MultiheadAttention
from tinytorch.core.autograd import gradcheck, no_grad, topological_order
from tinytorch.core.layers import Dropout, Linear, Parameter, Sequential
from tinytorch.core.memoization import (
    KVCache,
    PrefixCache,
    cache_for,
    cached_attention,
    checkpoint,
    forward_cached,
    generate_cached,
)
from tinytorch.core.tensor import Op, Tensor, manual_seed, random_generator
from tinytorch.core.transformers import GPT, generate, next_token_loss


def gpt(block_size=8, n_layer=2, n_head=2, seed=0, **settings):
    """A GPT of 20 tokens whose every parameter matters."""
    model, draws = GPT(20, block_size, n_layer, n_head, 16, **settings), np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data[...] = draws.normal(0, 0.3, parameter.shape)
    return model


def drawn_ids(*shape, seed=0):
    return np.random.default_rng(seed).integers(20, size=shape)


@pytest.mark.parametrize("cuts", [[4], [1, 1, 1, 1], [2, 0, 2], [3, 1]])
def test_a_layer_of_a_cache_holds_its_pieces_in_order(cuts):
    cache, key = KVCache(3, 2, 3, 4, 5, np.float64), np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    start = 0
    for n in cuts:
        piece = key[:, :, start : start + n]
        keys, values = cache.append(2, piece, piece**2)
        start += n
        np.testing.assert_array_equal(keys, key[:, :, :start])
        np.testing.assert_array_equal(values, key[:, :, :start] ** 2)
        assert np.shares_memory(keys, cache.keys) == np.shares_memory(values, cache.values) == (start > 0)
    assert cache.lengths == [0, 0, 4]
    assert not cache.keys[:2].any()


def test_what_does_not_fit_leaves_the_cache_as_it_was():
    cache, piece = KVCache(1, 2, 1, 3, 2), np.ones((2, 1, 2, 2))
    cache.append(0, piece, piece)
    for wrong in (piece, piece[:1, :, :1], piece[:, :, :1, :1], piece[0]):
        with pytest.raises(ValueError, match=r"\d"):
            cache.append(0, wrong * 7, wrong * 7)
    assert cache.lengths == [2]
    assert cache.keys.max() == cache.values.max() == 1


@pytest.mark.parametrize("cuts", [[6], [5, 1], [1] * 6, [2, 3, 1], [1, 4, 1]])
@pytest.mark.parametrize("bias", [True, False])
def test_attention_with_a_cache_is_causal_attention_of_the_whole(cuts, bias):
    manual_seed(1)
    layer = MultiheadAttention(8, 4, dropout=0.5, bias=bias, batch_first=True, dtype=np.float64)
    x = Tensor(np.random.default_rng(2).normal(size=(3, 6, 8)), dtype=np.float64)
    whole = layer.eval()(x, x, x, is_causal=True)[0].numpy()
    cache, start = KVCache(1, 3, 4, 6, 2, np.float64), 0
    for n in cuts:
        out = cached_attention(layer.train(), x[:, start : start + n], cache, 0)
        np.testing.assert_allclose(out.numpy(), whole[:, start : start + n], atol=1e-12)
        assert not out.requires_grad
        start += n


@pytest.mark.parametrize("settings", [{}, {"bias": False}, {"approximate": "none"}, {"n_layer": 1}, {"dropout": 0.5}])
def test_logits_from_a_cache_are_those_of_the_whole_at_every_position(settings):
    model, ids = gpt(12, **settings), drawn_ids(2, 12)
    whole = model.eval()(ids).numpy()
    assert whole.std() > 0.3
    for cuts in ([12], [7, 1, 1, 1, 1, 1], [1] * 12, [3, 4, 5]):
        cache, start = cache_for(model.train(), 2), 0
        for n in cuts:
            got = forward_cached(model, ids[:, start : start + n], cache).numpy()
            np.testing.assert_allclose(got, whole[:, start : start + n], atol=1e-4)
            start += n
    with pytest.raises(ValueError, match="12"):
        forward_cached(model, ids[:, :1], cache)


def test_a_smaller_cache_serves_until_it_is_full():
    model, ids = gpt(12), drawn_ids(1, 5)
    small = KVCache(2, 1, 2, 4, 8)
    np.testing.assert_allclose(forward_cached(model, ids[:, :4], small).numpy(), model(ids[:, :4]).numpy(), atol=1e-4)
    with pytest.raises(ValueError, match="4"):
        forward_cached(model, ids[:, 4:], small)


@pytest.mark.parametrize("other", [{"n_layer": 3}, {"n_layer": 1}, {"n_head": 4}])
def test_a_cache_for_another_model_is_refused(other):
    with pytest.raises(ValueError, match=r"\(2, 1, 2, 8, 8\)"):
        forward_cached(gpt(), [[1, 2]], cache_for(gpt(**other), 1))
    with pytest.raises(ValueError, match=r"\(2, 2, 2, 8, 8\)"):
        forward_cached(gpt(), [[1, 2]], cache_for(gpt(), 2))


@pytest.mark.parametrize("block_size", [1, 2, 5, 8])
@pytest.mark.parametrize(
    "settings", [{}, {"temperature": 0}, {"temperature": 2.0, "top_p": 0.7}, {"top_k": 3}, {"stop": 7}]
)
def test_the_same_generator_writes_the_same_text(block_size, settings):
    model, ids = gpt(block_size, seed=block_size), drawn_ids(3, 2)
    texts = [
        write(model, ids, 21, generator=np.random.default_rng(5), **settings) for write in (generate, generate_cached)
    ]
    np.testing.assert_array_equal(*texts)


def test_each_token_goes_through_the_model_once_a_window():
    model, asked = gpt(4), []
    table = model.tokens.forward
    model.tokens.forward = lambda ids: asked.append(np.shape(ids)) or table(ids)
    generate_cached(model, [[1, 2, 3]], 6)
    assert asked == [(1, n) for n in (3, 1, 2, 1, 1, 2)]


def test_generation_leaves_modes_and_recording_as_they_were():
    model = gpt(dropout=0.5)
    for mode in (True, False):
        generate_cached(model.train(mode), [[1]], 3)
        assert model.training == mode
        assert Op.recording
    with pytest.raises(IndexError):
        generate_cached(model, [[20]], 2)
    assert Op.recording


def test_a_cache_that_holds_the_whole_prompt_is_refused():
    model = gpt()
    cache = cache_for(model, 1)
    forward_cached(model, [[1, 2]], cache)
    with pytest.raises(ValueError, match="2 tokens"):
        generate_cached(model, [[1, 2]], 1, cache=cache)


def kept(store, model, *texts):
    for text in texts:
        cache = cache_for(model, 1)
        forward_cached(model, [text], cache)
        store.keep(text, cache)


def test_the_store_shares_the_longest_beginning_and_never_the_last_token():
    model = gpt(16)
    store = PrefixCache(model, 100)
    kept(store, model, [1, 2, 3], [1, 2, 3, 4, 5], [7])
    for ids, shared in [([1, 2, 3, 4, 6], 4), ([1, 2, 9], 2), ([7], 0), ([7, 8], 1), ([1, 2, 3], 2), ([2, 1], 0)]:
        cache = store.find(np.array(ids))
        assert cache.lengths == [shared, shared]
        logits = forward_cached(model, [ids[shared:]], cache).numpy()
        np.testing.assert_allclose(logits, model([ids]).numpy()[:, shared:], atol=1e-4)


def test_the_store_is_bounded_and_the_least_recently_used_goes():
    model = gpt(16)
    store = PrefixCache(model, 6)
    kept(store, model, [1, 1], [2, 2], [3, 3])
    store.find([1, 9])
    kept(store, model, [4])
    assert list(store.entries) == [(3, 3), (1, 1), (4,)]
    kept(store, model, [5] * 7)
    assert list(store.entries) == [(3, 3), (1, 1), (4,)]
    kept(store, model, [6] * 6)
    assert list(store.entries) == [(6,) * 6]
    assert store.tokens == 6
    assert store.nbytes == 2 * 2 * 16 * 6 * 4


def test_nobody_else_writes_into_the_store():
    model = gpt(16)
    store, cache = PrefixCache(model, 9), cache_for(model, 1)
    forward_cached(model, [[1, 2, 3]], cache)
    store.keep([1, 2, 3], cache)
    cache.keys[...] = cache.values[...] = np.nan
    borrowed = store.find([1, 2, 3, 4])
    borrowed.keys[...] = borrowed.values[...] = np.nan
    got = generate_cached(model, [[1, 2, 3, 4]], 3, temperature=0, cache=store.find([1, 2, 3, 4]))
    np.testing.assert_array_equal(got, generate(model, [[1, 2, 3, 4]], 3, temperature=0))


def test_only_what_the_cache_holds_of_a_text_is_stored():
    model = gpt(16)
    store, cache = PrefixCache(model, 9), cache_for(model, 1)
    forward_cached(model, [[1, 2, 3]], cache)
    store.keep([1, 2, 3, 4, 5], cache)
    store.keep([1], cache)
    assert list(store.entries) == [(1, 2, 3), (1,)]


def gradients(function, inputs, parameters):
    for leaf in (*inputs, *parameters):
        leaf.grad = None
    manual_seed(3)
    out = function(*inputs)
    out.backward(np.cos(np.arange(out.numel())).reshape(out.shape))
    return [out.numpy(), *(leaf.grad for leaf in (*inputs, *parameters))]


@pytest.mark.parametrize("wants", [True, False])
def test_gradients_are_those_of_the_plain_call_bit_for_bit(wants):
    layer = Sequential(Linear(4, 5), Dropout(0.4), Linear(5, 3))
    x = Tensor(np.random.default_rng(0).normal(size=(6, 4)), wants)
    ways = [
        layer,
        lambda x: checkpoint(layer, x),
        lambda x: checkpoint(layer.forward, x, parameters=layer.parameters()),
    ]
    plain, *others = [gradients(way, [x], list(layer.parameters())) for way in ways]
    for other in others:
        for mine, expected in zip(other, plain, strict=True):
            np.testing.assert_array_equal(mine, expected)
    assert all(np.abs(grad).max() > 0 for grad in plain[2:])


def test_gradients_agree_with_nudging():
    weight = Parameter(Tensor([[0.5, -1.0], [2.0, 0.3]], dtype=np.float64))
    inputs = [Tensor(np.random.default_rng(i).normal(size=(3, 2)), True, np.float64) for i in range(2)]
    assert gradcheck(lambda a, b: checkpoint(lambda a, b: (a @ weight * b).exp(), a, b, parameters=[weight]), inputs)


def test_gradients_add_up_with_what_was_there():
    layer, x = Linear(2, 2), Tensor([[1.0, 2.0]])
    for function in (layer, lambda x: checkpoint(layer, x)):
        function(x).sum().backward()
    np.testing.assert_allclose(layer.bias.grad, [2, 2])


def test_activations_are_not_kept():
    alive = []

    def function(x):
        for _ in range(5):
            x = x.exp().log() + 1
            alive.append(weakref.ref(x))
        return x * 2

    x = Tensor(np.ones((3, 3)), requires_grad=True)
    out = checkpoint(function, x)
    gc.collect()
    assert [one() for one in alive] == [None] * 5
    arrays = [array for tensor in topological_order(out) if tensor.node for array in tensor.node.arrays]
    assert len(arrays) == 1 and arrays[0] is x.data
    out.sum().backward()
    assert len(alive) == 10
    np.testing.assert_allclose(x.grad, np.full((3, 3), 2.0), rtol=1e-5)


def test_random_numbers_go_on_as_if_the_function_had_run_once():
    layer, x = Dropout(0.5), Tensor(np.ones(4), requires_grad=True)
    after = []
    for function in (layer, lambda x: checkpoint(layer, x)):
        manual_seed(8)
        out = function(x)
        between = random_generator().random()
        out.sum().backward()
        after.append([between, random_generator().random()])
    assert after[0] == after[1]


def test_a_parameter_that_was_not_given_is_named():
    layer, scale, x = Linear(3, 2), Parameter(np.ones(2)), Tensor(np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"(?=.*layer\.weight of shape \(2, 3\))(?=.*layer\.bias)"):
        checkpoint(lambda x: layer(x), x)
    with pytest.raises(ValueError, match="self.bias"):
        checkpoint(layer.forward, x, parameters=[layer.weight])
    with pytest.raises(ValueError, match=r"scale.*\(2,\)"):
        checkpoint(lambda x: layer(x) * scale, x, parameters=layer.parameters())
    with no_grad():
        assert not checkpoint(lambda x: layer(x), x).requires_grad


def test_what_function_returns_is_a_tensor():
    with pytest.raises(TypeError, match="tuple"):
        checkpoint(lambda x: (x, x), Tensor([1.0]))


def test_an_error_in_the_second_run_leaves_gradients_random_numbers_and_recording():
    weight, runs = Parameter(np.ones(2)), []

    def function(x):
        runs.append(random_generator().random())
        if len(runs) == 2:
            raise OSError("the second run")
        return x * weight

    out = checkpoint(function, Tensor([1.0, 2.0]), parameters=[weight]).sum()
    weight.grad = np.array([3.0, 4.0])
    manual_seed(4)
    with pytest.raises(OSError, match="second run"):
        out.backward()
    assert Op.recording
    assert weight.grad.tolist() == [3, 4]
    assert random_generator().random() == np.random.default_rng(4).random()
    assert runs[0] == runs[1]


def test_integers_go_through_and_one_checkpoint_stands_in_another():
    model, ids = gpt(8), drawn_ids(2, 8)
    found = []
    for way in (model, lambda ids: checkpoint(model, Tensor(ids)), nested(model)):
        model.zero_grad()
        next_token_loss(way(ids), ids).backward()
        found.append([parameter.grad for parameter in model.parameters()])
    for other in found[1:]:
        for mine, expected in zip(other, found[0], strict=True):
            np.testing.assert_allclose(mine, expected, atol=1e-6 * np.abs(expected).max())


def nested(model):
    inner = lambda ids: checkpoint(model, ids)  # noqa: E731
    return lambda ids: checkpoint(inner, Tensor(ids), parameters=model.parameters())
