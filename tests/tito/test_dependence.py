"""What a test of a notebook depends on, read from the code."""

import pytest

from tito.services.dependence import Dependence

TENSOR = """
class Tensor:
    def __init__(self, data):
        self.data = data
        self.check()
    def check(self): pass
    def __add__(self, other): return add(self, other)
    def __matmul__(self, other): return matmul(self, other)
    def exp(self): return exp(self)
    total = property(lambda self: reduce_sum(self))
    plus = __add__
"""
OP = """
class Op:
    engine = None
    def __init__(self, forward): self.forward, self.rule = forward, None
    def gradient(self, rule):
        self.rule = rule
        return rule
    def __call__(self, *inputs): return Tensor(self.forward(*inputs))
"""


def answer(name, body="return x", decorator=""):
    return f"{decorator}\ndef {name}(x, y=None):\n    {body}\n"


def needed(cells, test, own=None, modules=None):
    """The names of the cells {name: source} that `test` depends on."""
    names = list(cells)
    dependence = Dependence([*cells.values(), test], modules)
    return {names[one] for one in dependence.needed(len(cells), [names.index(own)] if own else [])} - {own}


OPERATIONS = {"op": OP, "tensor": TENSOR} | {
    name: answer(name, decorator="@Op") for name in ("add", "matmul", "exp", "reduce_sum")
}


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("assert add(1, 2) == 3", {"add"}),
        ("def test():\n    assert add(1, 2) == 3\ntest()", {"add"}),
        ("Tensor(1) + Tensor(2)", {"add"}),
        ("t = Tensor(1)\nt += 2", {"add"}),
        ("Tensor(1).plus(2)", {"add"}),
        ("sum([Tensor(1), Tensor(2)])", {"add"}),
        ("Tensor(1) @ Tensor(2)", {"matmul"}),
        ("Tensor(1).total", {"reduce_sum"}),
        ("getattr(Tensor(1), 'exp')()", {"exp"}),
        ("x = [1, 2]\nassert len(x) + 1 == 3\nTensor(x)", set()),
        ("import numpy as np\nassert np.exp(1) + 2 > 3\nTensor(1)", set()),
        ("assert Tensor(1).data + 1 == 2", set()),
        ("add = max\nassert add(1, 2) == 2", set()),
        ("def test(matmul):\n    return matmul\ntest(1)", set()),
    ],
)
def test_a_test_depends_on_what_it_can_reach(test, expected):
    assert needed(OPERATIONS, test) - {"op", "tensor"} == expected


def test_dependence_goes_through_helpers_of_the_students_own():
    cells = {"first": answer("first"), "helper": answer("helper", "return first(x)"), "second": answer("second")}
    assert needed(cells, "assert second(1) == helper(1)", own="second") == {"first", "helper"}
    cells["second"] = answer("second", "return helper(x)")
    assert needed(cells, "assert second(1) == 1", own="second") == {"first", "helper"}


def test_what_is_defined_below_the_test_is_nothing_it_needs():
    dependence = Dependence(["def f(): return 1", "f()", "def f(): return g()", "def g(): return 2"])
    assert dependence.needed(1) == {0}


def test_the_test_cells_share_their_names():
    cells = {"one": answer("one"), "test-one": "def test_unit(): one(1)\ntest_unit()", "two": answer("two")}
    assert needed(cells, "def test_unit(): two(1)\ntest_unit()") == {"two"}
    assert needed(cells, "test_unit()") == {"one", "test-one"}


def test_a_gradient_rule_counts_where_rules_are_asked_for():
    modules = {"tensor": OP + TENSOR + answer("mul", decorator="@Op")}
    cells = {
        "imports": "from tinytorch.core.tensor import Op, mul as times",
        "rule": answer("times_gradient", decorator="@times.gradient"),
        "backward": answer("backward", "return x.op.rule(y)"),
        "engine": "Op.engine = lambda tensor: backward(tensor, 1)",
    }
    assert needed(cells, "times(1, 2)", modules=modules) == set()
    assert needed(cells, "times(1, 2)\nOp.engine(3)", modules=modules) == {"rule", "backward"}


def test_a_method_that_a_subclass_overrides_is_reached_through_self():
    cells = {
        "module": "class Module:\n"
        "    def __call__(self, x): return self.forward(x)\n"
        "    def count(self): return walk(self)",
        "walk": answer("walk"),
        "linear": "class Linear(Module):\n    def forward(self, x): return product(x)",
        "product": answer("product"),
        "other": "class Other:\n    def forward(self, x): return walk(x)",
    }
    assert needed(cells, "Linear()(1)") == {"module", "linear", "product"}
    assert needed(cells, "Linear().count()") == {"module", "linear", "product", "walk"}


def test_a_registered_function_belongs_to_its_table():
    cells = {"table": "TABLE = {}", "loops": answer("loops"), "entry": "TABLE['loops'] = loops"}
    assert "loops" in needed(cells, "TABLE['loops'](1)")
    assert "loops" not in needed(cells, "print(1)")


def test_code_that_does_not_parse_depends_on_nothing():
    assert Dependence(["def f(:", "f()"]).needed(1) == set()
