"""Makes mutants of an answer: the reference with one small mistake in it, as a person might make it.

Only what stands in a solution region is changed. The words of errors and of assertions, f-strings, annotations and
docstrings are left alone: no test should depend on them.
"""

import ast
import builtins
import hashlib
from dataclasses import dataclass

from tito.services import syntax

A_CELL = 400  # mutants of one cell, unless more are asked for
DROPPED = "dropped"

OPERATORS = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div, ast.Add), ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Div, ast.Mult), ast.Mod: (ast.FloorDiv,), ast.Pow: (ast.Mult,), ast.MatMult: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,),
}  # fmt: skip
NOT_COMMUTATIVE = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult)
COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}  # fmt: skip
PAIRS = (
    ("sum", "mean"), ("max", "min"), ("maximum", "minimum"), ("zeros", "ones"), ("zeros_like", "ones_like"),
    ("exp", "expm1"), ("log", "log1p"), ("floor", "ceil"), ("argmax", "argmin"), ("any", "all"), ("sin", "cos"),
    ("add", "subtract"), ("multiply", "divide"), ("tril", "triu"), ("float32", "float64"), ("var", "std"),
    ("cumsum", "cumprod"), ("greater", "less"), ("less_equal", "greater_equal"),
    ("ValueError", "TypeError"), ("IndexError", "KeyError"),
)  # fmt: skip
SWAPS = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}
METHODS = {"sum", "mean", "max", "min", "argmax", "argmin", "any", "all", "var", "std", "cumsum", "cumprod"}
LIBRARIES = ("np", "math")
HOLDERS = (ast.stmt, ast.ExceptHandler)  # what a change is shown by
# f(x) and x.f(…) that may be forgotten, so that x is left
DROPPED_FUNCTIONS = {
    "abs", "float", "int", "list", "tuple", "sorted", "reversed", "set", "dict", "round", "sqrt", "square", "exp",
    "log", "log1p", "expm1", "absolute", "asarray", "array", "ascontiguousarray", "copy", "tanh", "negative", "squeeze",
    "ravel", "floor", "ceil", "cumsum", "flip",
}  # fmt: skip
DROPPED_METHODS = {
    "copy", "astype", "reshape", "transpose", "swapaxes", "ravel", "flatten", "squeeze", "clip", "item", "tolist",
    "items", "sum", "mean", "max", "min", "strip", "lower", "sqrt", "exp", "log", "abs", "resolve", "detach",
}  # fmt: skip
# swapping their arguments is a mistake that does not even run
FIXED_ORDER = {"isinstance", "issubclass", "getattr", "hasattr", "setattr", "range", "open", "print"}
# swapping their arguments is no mistake
SYMMETRIC = {"max", "min", "maximum", "minimum", "add", "multiply", "equal", "not_equal", "array_equal", "logical_and",
             "logical_or", "gcd", "lcm", "hypot"}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One changed answer. code: the whole cell; line: of the change, from 1 in the cell.

    before and after: the changed statement. nth: which one it is, from 1, among the mutants of the cell with the same
    before and after.
    """

    grade_id: str
    line: int
    before: str
    after: str
    code: str
    kind: str
    nth: int = 1

    @property
    def key(self):
        return self.grade_id, self.before, self.after, self.nth


def mutants(code, grade_id):
    """Every mutant of the cell `code`, in the order of their lines. All compile, and no two are the same program."""
    tree = syntax.parse(code)
    found, seen, counts = [], {ast.dump(tree)}, {}
    inside = syntax.regions(code, syntax.SOLUTION)
    for change in _Changes(tree, inside).all():
        before, line = _statement(change.statement), getattr(change.node, "lineno", change.statement.lineno)
        change.do()
        try:
            dump = ast.dump(tree)
            text = None if dump in seen else _unparsed(tree)
            after = DROPPED if change.after is None else _statement(change.after)
        finally:
            change.undo()
        if text is None:
            continue
        seen.add(dump)
        nth = counts[before, after] = counts.get((before, after), 0) + 1
        found.append(Mutant(grade_id, line, before, after, text, change.kind, nth))
    return sorted(found, key=lambda mutant: mutant.line)


def without_comments(code):
    """The cell `code` as mutants are written: without comments."""
    return ast.unparse(syntax.parse(code))


def sample(found, limit=A_CELL, always=()):
    """At most `limit` of the mutants `found`, and all whose key is in `always`: some of each kind, always the same."""
    if not limit or len(found) <= limit:
        return found
    kinds = {}
    for mutant in sorted(found, key=lambda mutant: hashlib.sha256(repr(mutant.key).encode()).hexdigest()):
        kinds.setdefault(mutant.kind, []).append(mutant)
    ranked = [(rank, mutant) for many in kinds.values() for rank, mutant in enumerate(many)]
    ranked.sort(key=lambda pair: pair[0])
    drawn = {mutant.key for _, mutant in ranked[:limit]} | set(always)
    return [mutant for mutant in found if mutant.key in drawn]


def _unparsed(tree):
    """The program as text; None where it does not compile."""
    try:
        text = ast.unparse(tree)
        compile(text, "<mutant>", "exec")
    except (SyntaxError, ValueError):
        return None
    return text


def _statement(node):
    """A statement in one line; of one that holds others, its head."""
    lines = ast.unparse(node).split("\n")
    if hasattr(node, "body") and isinstance(node, HOLDERS):
        return next(line for line in lines if not line.startswith("@"))
    return " ".join(line.strip() for line in lines)


@dataclass
class _Change:
    """Puts `new` where `node` is; `after`: the statement to show as changed, None where it is dropped."""

    kind: str
    holder: ast.AST
    field: str
    index: int | None
    node: ast.AST
    new: object
    statement: ast.stmt
    after: ast.AST | None = None

    def do(self):
        self._put(self.new)

    def undo(self):
        self._put(self.node)

    def _put(self, value):
        if self.index is None:
            setattr(self.holder, self.field, value)
        else:
            getattr(self.holder, self.field)[self.index] = value


class _Changes:
    """All single changes of a tree inside some lines."""

    def __init__(self, tree, regions):
        self.tree = tree
        self.regions = regions
        self.siblings = _siblings(tree)
        self.bound = _bindings(tree)

    def all(self):
        yield from self._below(self.tree, None)

    def _below(self, parent, statement):
        for field, value in ast.iter_fields(parent):
            if field in ("annotation", "returns", "decorator_list", "type_params"):
                continue
            for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if not isinstance(node, ast.AST) or _is_wording(node, parent, field):
                    continue
                own = node if isinstance(node, HOLDERS) else statement
                if self._is_inside(node):
                    yield from self._at(parent, field, index, node, own)
                yield from self._below(node, own)

    def _is_inside(self, node):
        line = getattr(node, "lineno", None)
        return line is not None and any(begin < line < end for begin, end in self.regions)

    def _at(self, parent, field, index, node, statement):
        for kind, new in self._versions(parent, field, node):
            is_dropped = isinstance(node, ast.stmt) and isinstance(new, ast.Pass)
            after = None if is_dropped else new if isinstance(node, ast.stmt) else statement
            yield _Change(kind, parent, field, index, node, new, statement, after)

    def _versions(self, parent, field, node):
        """(kind, what could stand in place of `node`)."""
        for make in (_operators, _constants, _calls, _sequences, _conditions, _slices, self._names, self._statements):
            yield from make(node, parent, field)

    def _names(self, node, parent, field):
        """Mistaken names: one of those that were bound together with it, such as the width for the height."""
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            for other in self.siblings.get(node.id, ()):
                yield "name", ast.Name(other, ast.Load())

    def _statements(self, node, parent, field):
        if not isinstance(node, ast.stmt):
            return
        if isinstance(node, (ast.AugAssign, ast.Expr, ast.Raise, ast.Assert, ast.Break, ast.Continue, ast.Delete)) or (
            isinstance(node, ast.Assign) and self._is_redundant(node)
        ):
            yield "statement", ast.Pass()
        if isinstance(node, (ast.For, ast.While, ast.With, ast.Try)):
            yield "statement", ast.Pass()
        if isinstance(node, ast.If) and node.orelse:
            yield "statement", ast.Pass()
        if isinstance(node, ast.Return):
            if not isinstance(parent, ast.FunctionDef) or parent.body[-1] is not node:
                yield "statement", ast.Pass()
            for value in _zeros(node.value):
                yield "zeros", ast.Return(value)
        if isinstance(node, ast.AugAssign):
            for operator in OPERATORS.get(type(node.op), ()):
                yield "operator", ast.AugAssign(node.target, operator(), node.value)
            yield "operator", ast.Assign([node.target], node.value, lineno=node.lineno)
            if isinstance(node.target, ast.Name):  # a new array instead of a change of the old one
                value = ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, node.value)
                yield "in place", ast.Assign([node.target], value, lineno=node.lineno)
        if isinstance(node, ast.Break):
            yield "statement", ast.Continue()
        if isinstance(node, ast.Continue):
            yield "statement", ast.Break()
        if isinstance(node, ast.For) and not (isinstance(node.iter, ast.Call) and _called(node.iter) == "count"):
            for part in ("[1:]", "[:-1]"):
                rounds = ast.parse(f"list(x){part}", mode="eval").body
                rounds.value.args = [node.iter]
                yield "loop", ast.For(node.target, rounds, node.body, node.orelse, lineno=node.lineno)

    def _is_redundant(self, node):
        """Whether the program has a value without this assignment; else its absence would be noticed at once."""
        names = [name.id for target in node.targets for name in ast.walk(target) if _is_stored(name)]
        return all(self.bound.get(name, 0) > 1 for name in names)


def _is_stored(node):
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _bindings(tree):
    """{name: how often it is bound}, parameters included."""
    counts = {}
    for node in ast.walk(tree):
        name = node.id if _is_stored(node) else node.arg if isinstance(node, ast.arg) else None
        if name is not None:
            counts[name] = counts.get(name, 0) + 1
    return counts


def _siblings(tree):
    """{name: its neighbours in a tuple to which values were assigned, or in the parameters}."""
    rows = [
        [item.id for item in node.elts if isinstance(item, ast.Name)]
        for node in ast.walk(tree)
        if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Store)
    ]
    rows += [
        [argument.arg for argument in node.args.args if argument.arg != "self"]
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.Lambda))
    ]
    found = {}
    for row in rows:
        named = [name for name in row if name != "_"]
        for one, other in zip(named, named[1:], strict=False):
            found.setdefault(one, []).append(other)
        if len(named) > 1:
            found.setdefault(named[-1], []).append(named[-2])
    return found


def _is_docstring(node, parent):
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return is_text and parent.body[0] is node


def _is_wording(node, parent, field):
    """What an error says: the arguments of a `raise`, the message of an `assert`; and text put together."""
    if isinstance(node, ast.JoinedStr) or _is_docstring(node, parent):
        return True
    return field == "msg" or field in ("args", "keywords") and getattr(parent, "in_raise", False)


def _called(node):
    """The name of the function or method that a call calls, "" where it is none."""
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _operators(node, parent, field):
    if isinstance(node, ast.BinOp):
        for operator in OPERATORS.get(type(node.op), ()):
            yield "operator", ast.BinOp(node.left, operator(), node.right)
        if isinstance(node.op, NOT_COMMUTATIVE):
            yield "operands", ast.BinOp(node.right, node.op, node.left)
        yield "term", node.left
        yield "term", node.right
    elif isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in COMPARISONS.get(type(operator), ()):
                ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
                yield "comparison", ast.Compare(node.left, ops, node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield "boolean", ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        for place in range(len(node.values)):
            rest = [*node.values[:place], *node.values[place + 1 :]]
            yield "boolean", rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
        yield "operator", node.operand
    elif isinstance(node, ast.Yield):
        yield from (("zeros", ast.Yield(value)) for value in _zeros(node.value))


def _number(node):
    """The number that a constant, or a minus before one, means, else None."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        return -value if type(value) in (int, float) else None
    return node.value if isinstance(node, ast.Constant) and type(node.value) in (int, float) else None


def _constants(node, parent, field):
    if isinstance(parent, ast.UnaryOp) and _number(parent) is not None:
        return
    if isinstance(parent, ast.keyword) and parent.arg == "strict":  # a guard against mistakes of others
        return
    number, is_axis = _number(node), isinstance(parent, ast.keyword) and parent.arg in ("axis", "axes")
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "constant", ast.Constant(not node.value)
    elif is_axis and isinstance(node, ast.Constant) and node.value is None:
        yield from (("axis", _constant(value)) for value in (0, -1))
    elif is_axis and number is not None:
        yield from (("axis", _constant(value)) for value in (0, 1, -1, None) if value != number)
    elif type(number) is int:
        values = dict.fromkeys((number + 1, number - 1, 0, 1, -1))
        if isinstance(parent, (ast.Subscript, ast.Tuple, ast.Call)):  # -1 is mostly another name for the last one there
            values = [value for value in values if value >= 0]
        yield from (("constant", _constant(value)) for value in values if value != number)
    elif type(number) is float:
        values = dict.fromkeys((2 * number, number / 2, -number, number + 1, 0.0))
        yield from (("constant", _constant(value)) for value in values if value != number)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and isinstance(parent, ast.Compare):
        yield "constant", ast.Constant(node.value + "_")
    elif isinstance(node, ast.Constant) and node.value is None and isinstance(parent, ast.keyword):
        yield "constant", ast.Constant(0)


def _constant(value):
    if isinstance(value, (int, float)) and value < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


def _calls(node, parent, field):
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        node.exc.in_raise = True
        name = getattr(node.exc.func, "id", "")
        if name not in SWAPS:
            yield "error", ast.Raise(_replaced(node.exc, ast.Name("Exception", ast.Load())), node.cause)
    if isinstance(node, ast.Attribute):
        if node.attr in SWAPS and (node.attr in METHODS or _is_library(node.value)):
            yield "function", ast.Attribute(node.value, SWAPS[node.attr], node.ctx)
        if node.attr == "T":
            yield "call", node.value
        if node.attr == "dtype":
            for name in ("float32", "float64"):
                yield "dtype", ast.Attribute(ast.Name("np", ast.Load()), name, ast.Load())
    if isinstance(node, ast.Name) and hasattr(builtins, node.id) and hasattr(builtins, SWAPS.get(node.id, "")):
        yield "function", ast.Name(SWAPS[node.id], ast.Load())
    if isinstance(node, ast.Call) and not getattr(node, "in_raise", False):
        yield from _call(node)


def _is_library(node):
    return isinstance(node, ast.Name) and node.id in LIBRARIES


def _call(node):
    name, args, keywords = _called(node), node.args, node.keywords
    is_method = isinstance(node.func, ast.Attribute) and not _is_library(node.func.value)
    if name in DROPPED_FUNCTIONS and len(args) == 1 and not isinstance(args[0], ast.Starred):
        yield "call", args[0]
    if is_method and name in DROPPED_METHODS:
        yield "call", node.func.value
    if name not in FIXED_ORDER | SYMMETRIC:
        yield from (("arguments", ast.Call(node.func, swapped, keywords)) for swapped in _swapped(args))
    for place in range(len(keywords)):
        if keywords[place].arg == "strict":
            continue
        yield "keyword", ast.Call(node.func, args, [*keywords[:place], *keywords[place + 1 :]])
    if len(args) > 1 and isinstance(args[-1], ast.Attribute) and args[-1].attr in ("dtype", "float32", "float64"):
        yield "dtype", ast.Call(node.func, args[:-1], keywords)
    if name == "range" and len(args) == 1:
        yield "loop", ast.Call(node.func, [ast.Constant(1), args[0]], [])
        yield "loop", ast.Call(node.func, [ast.BinOp(args[0], ast.Sub(), ast.Constant(1))], [])


def _replaced(call, function):
    """The call with another function, whose words are left alone too."""
    new = ast.Call(function, call.args, call.keywords)
    new.in_raise = True
    return new


def _swapped(items):
    """`items` with two neighbours exchanged, for each pair of neighbours."""
    for place in range(len(items) - 1):
        pair = items[place : place + 2]
        if not any(isinstance(item, ast.Starred) or getattr(item, "attr", "") == "dtype" for item in pair):
            yield [*items[:place], *reversed(pair), *items[place + 2 :]]


def _sequences(node, parent, field):
    if isinstance(node, (ast.Tuple, ast.List)) and isinstance(node.ctx, ast.Load):
        is_set = isinstance(parent, ast.keyword) and parent.arg in ("axis", "axes")
        is_set = is_set or isinstance(parent, ast.Call) and _called(parent) == "isinstance"
        is_set = is_set or isinstance(parent, ast.ExceptHandler)
        is_set = is_set or isinstance(parent, ast.Compare)
        if not is_set:
            yield from (("arguments", type(node)(items, node.ctx)) for items in _swapped(node.elts))
        for place in range(len(node.elts) if is_set else 0):
            yield "axis", type(node)([*node.elts[:place], *node.elts[place + 1 :]], node.ctx)


def _conditions(node, parent, field):
    is_test = field == "test" and isinstance(parent, (ast.If, ast.IfExp, ast.While))
    is_filter = field == "ifs" and isinstance(parent, ast.comprehension)
    if not is_test and not is_filter:
        return
    is_negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    if not isinstance(node, ast.Compare) and not is_negated:
        yield "condition", ast.UnaryOp(ast.Not(), node)
    yield "condition", ast.Constant(False)
    if not isinstance(parent, ast.While):
        yield "condition", ast.Constant(True)


def _slices(node, parent, field):
    if not isinstance(node, ast.Slice):
        return
    for end in ("lower", "upper"):
        bound = getattr(node, end)
        if bound is None:
            continue
        yield "slice", _sliced(node, end, None)
        if _number(bound) is None:
            for operator in (ast.Add(), ast.Sub()):
                yield "slice", _sliced(node, end, ast.BinOp(bound, operator, ast.Constant(1)))
    if node.step is not None:
        yield "slice", _sliced(node, "step", None)


def _sliced(node, end, value):
    return ast.Slice(**{"lower": node.lower, "upper": node.upper, "step": node.step, end: value})


def _zeros(value):
    """Nothing, of the right shape: 0 in place of every number that `value` holds."""
    if value is None or isinstance(value, ast.Constant) or isinstance(value, ast.Name) and value.id == "self":
        return
    if isinstance(value, ast.Tuple):
        if not any(isinstance(item, ast.Starred) for item in value.elts):
            for place, item in enumerate(value.elts):
                items = [*value.elts[:place], *_zeros(item), *value.elts[place + 1 :]]
                if len(items) == len(value.elts):
                    yield ast.Tuple(items, ast.Load())
        return
    yield ast.BinOp(value, ast.Mult(), ast.Constant(0))
