"""The rule that a test makes what an answer gave a plain array before it computes with it."""

import pytest

from tito.services import plain

BREACHES = {
    "a product": "got = answer(x)\nexpect((got * x).sum(), 3, 'sum')",
    "a reduction": "expect(answer(x).sum(), 3, 'sum')",
    "a function that asks for a reduction": "got = answer(x)\nnp.sum(got)",
    "a part of an array": "expect(answer(x)[0, :, 1], [1], 'a row')",
    "an item of a pair": "one, two = answer(x)\nabs(two - 3)",
    "the items of a loop": "for one in answer(x):\n    assert one < 3",
    "a helper of the tests": "def helper(y):\n    return answer(y)\nhelper(2) - 1",
    "an answer that a helper calls": "got = without_loops(answer, x)\ngot - 1",
    "a method of an answer's object": "layer = Layer(3)\nlayer(x) / 2",
    "a gradient": "x = Tensor([1.0])\n(x.grad * weights).sum()",
    "in place": "got = answer(x)\ngot += 1",
    "inside a function": "def test_unit():\n    got = answer(x)\n    return -got",
    "a comprehension": "[one + 1 for one in answer(x)]",
}
KEPT = {
    "made plain at once": "got = np.asarray(answer(x))\nexpect((got * x).sum(), 3, 'sum')",
    "made plain where it is used": "got = answer(x)\nexpect(np.asarray(got)[0, 1] * 2, 3, 'sum')",
    "made plain item by item": "one, two = map(np.asarray, answer(x))\none * two",
    "a float": "assert abs(float(answer(x)) - 3) < 1",
    "a Tensor's array": "got = answer(x).numpy() * 2",
    "a graph": "(answer(x) * weights).sum().backward()",
    "a graph with a name": "loss = (answer(x) * weights).sum()\nloss.backward()",
    "a shape": "math.prod(answer(x).shape) * 2",
    "what the test made": "x = np.ones(3)\nexpect(answer(x), 2 * x, 'twice')",
    "an item of a pair, compared": "expect(answer(x)[1], 3, 'second')",
    "a list of results": "both = [answer(1)] + [answer(2)]",
    "no answer": "got = other(x)\ngot * 2",
    "a name that was bound again": "got = answer(x)\ngot = np.ones(3)\ngot * 2",
}


@pytest.mark.parametrize("code", BREACHES.values(), ids=BREACHES)
def test_a_test_that_computes_with_a_result_is_found(code):
    assert list(plain.computed(code, {"answer", "Layer"}))


@pytest.mark.parametrize("code", KEPT.values(), ids=KEPT)
def test_what_is_plain_by_then_is_in_order(code):
    assert list(plain.computed(code, {"answer", "Layer"})) == []
