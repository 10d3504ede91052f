"""What the code of a cell asks for, and what it defines, read without running it.

Of a name it is known what it means: a local one, or a global one of the notebook. Of an object it is not known which
class it has, so that `x.sum()` asks everybody for `sum`, and `a + b` asks for `__add__`. Where `x` can only be an
array or a number it asks nobody: NumPy answers.
"""

import ast
from dataclasses import dataclass, field
from functools import lru_cache

from tito.services import syntax

OPERATORS = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.FloorDiv: "floordiv", ast.Mod: "mod",
    ast.Pow: "pow", ast.MatMult: "matmul", ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor",
    ast.LShift: "lshift", ast.RShift: "rshift",
}  # fmt: skip
UNARY = {ast.UAdd: "__pos__", ast.USub: "__neg__", ast.Invert: "__invert__"}
COMPARISONS = {
    ast.Eq: ("__eq__",), ast.NotEq: ("__ne__", "__eq__"), ast.Lt: ("__lt__", "__gt__"), ast.LtE: ("__le__", "__ge__"),
    ast.Gt: ("__gt__", "__lt__"), ast.GtE: ("__ge__", "__le__"), ast.In: ("__contains__",),
    ast.NotIn: ("__contains__",),
}  # fmt: skip
ITEMS = {ast.Load: "__getitem__", ast.Store: "__setitem__", ast.Del: "__delitem__"}
BUILTIN_METHODS = {"abs": ("__abs__",), "round": ("__round__",), "divmod": ("__divmod__",)}
BUILTIN_METHODS |= {"sum": ("__add__", "__radd__"), "pow": ("__pow__", "__rpow__"), "sorted": ("__lt__", "__gt__")}
BUILTIN_METHODS |= {"max": ("__gt__", "__lt__"), "min": ("__gt__", "__lt__")}
# these belong to an operator in the text; any other special method may be called by anybody who has the object
ASKED_FOR = {f"__{prefix}{name}__" for name in OPERATORS.values() for prefix in ("", "r", "i")}
ASKED_FOR |= {name for names in (*COMPARISONS.values(), *BUILTIN_METHODS.values()) for name in names}
ASKED_FOR |= {*UNARY.values(), *ITEMS.values()}

# what holds arrays and numbers, in NumPy's names, which are the course's as well
ARRAY_ATTRIBUTES = {"data", "grad", "shape", "ndim", "dtype", "nbytes", "strides", "itemsize"}
ARRAY_METHODS = {"numpy", "item", "tolist", "numel"}
ARRAY_MODULES = {"numpy", "math", "struct", "time", "os", "sys", "gzip", "zlib", "json"}
NUMBERS = {"len", "int", "float", "bool", "str", "repr", "range", "id", "isinstance", "ord", "chr", "format", "hash"}
NUMBERS |= {"type", "hasattr", "bytes", "complex", "callable"}
COLLECTIONS = {"tuple", "list", "set", "dict", "sorted", "reversed", "zip", "enumerate", "map", "filter"}
SAME = {"abs", "max", "min", "sum", "round", "divmod", "pow", "next", "iter"}  # of arrays and numbers: such again
UNKNOWN, COLLECTION, VALUE = 0, 1, 2


@dataclass
class Uses:
    """What a piece of code asks for: global names, and attributes of objects whose class is not known, or is."""

    names: set = field(default_factory=set)
    attributes: set = field(default_factory=set)
    own: set = field(default_factory=set)  # (class, attribute) of `self`


@dataclass
class Definition:
    """What a cell says about a global name. members: of a class, {name of a method: its Uses}; bases: their names.

    alias: (module, name) of what an import took from another module of the course; is_foreign: what it took from
    elsewhere.
    """

    uses: Uses
    members: dict = field(default_factory=dict)
    bases: frozenset = frozenset()
    alias: tuple | None = None
    is_foreign: bool = False


@dataclass
class Registration:
    """What a statement gives to the object called `name`: a method, an entry, a gradient rule.

    attributes: those of the object under which it is kept; empty where nobody knows. through: the method that keeps it.
    """

    name: str
    uses: Uses
    attributes: frozenset = frozenset()
    through: str | None = None


@dataclass
class Code:
    """A cell, or a module. runs: what all of its statements ask for."""

    definitions: dict
    registrations: list
    keepers: dict  # method -> the attributes in which it keeps its arguments
    runs: Uses


EMPTY = Code({}, [], {}, Uses())


def is_always_asked_for(attribute):
    if isinstance(attribute, tuple):
        return False
    return attribute.startswith("__") and attribute.endswith("__") and attribute not in ASKED_FOR


@lru_cache(maxsize=4096)
def read(source):
    """The Code of a cell; an empty one where it does not parse, or is nested too deeply."""
    tree = syntax.parsed(source)
    if tree is None:
        return EMPTY
    try:
        code = Code({}, [], {}, Uses())
        scope = _Scope(tree, _array_modules(tree), None)
        for statement in tree.body:
            _read_statement(statement, scope, code)
        return code
    except (RecursionError, MemoryError):
        return EMPTY


def _array_modules(tree):
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[(alias.asname or alias.name).split(".")[0]] = alias.name.split(".")[0]
    # a cell uses what an earlier cell imported; the course imports NumPy under this name only
    return {"np", "math"} | {name for name, module in found.items() if module in ARRAY_MODULES}


def _define(code, name, definition):
    known = code.definitions.get(name)
    if known is None:
        code.definitions[name] = definition
        return
    _add(known.uses, definition.uses)
    known.members.update(definition.members)
    known.bases |= definition.bases


def _read_statement(statement, scope, code):
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        uses = scope.uses(statement)
        _define(code, statement.name, Definition(uses))
        for decorator in statement.decorator_list:
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name):
                registered = Uses({statement.name})
                code.registrations.append(Registration(call.value.id, registered, through=call.attr))
            _add(code.runs, scope.uses(decorator))
    elif isinstance(statement, ast.ClassDef):
        _read_class(statement, scope, code)
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        home = (getattr(statement, "module", None) or "").removeprefix("tinytorch.core.")
        for alias in statement.names:
            name = (alias.asname or alias.name).split(".")[0]
            is_ours = isinstance(statement, ast.ImportFrom) and statement.module != home
            own = (home, alias.name) if is_ours else None
            _define(code, name, Definition(Uses(), alias=own, is_foreign=own is None))
    else:
        uses = scope.uses(statement)
        _add(code.runs, uses)
        for name in {name for _, name, _ in _bindings(statement)}:
            _define(code, name, Definition(uses))
        _read_registrations(statement, scope, code)


def _read_class(statement, scope, code):
    header, members = Uses(), {}
    for part in (*statement.decorator_list, *statement.bases, *[keyword.value for keyword in statement.keywords]):
        _add(header, scope.uses(part))
    for inner in statement.body:
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
            members.setdefault(inner.name, Uses())
            _add(members[inner.name], scope.uses_of_method(inner, statement.name))
            kept = _kept_in(inner)
            if kept:
                code.keepers.setdefault(inner.name, set()).update(kept)
        elif isinstance(inner, (ast.Assign, ast.AnnAssign)) and inner.value is not None:
            for target in inner.targets if isinstance(inner, ast.Assign) else [inner.target]:
                for name in (node.id for node in ast.walk(target) if isinstance(node, ast.Name)):
                    members.setdefault(name, Uses())
                    _add(members[name], scope.uses(inner.value))
        else:
            _add(header, scope.uses(inner))
    for name, uses in members.items():  # a name of the class's own body is another member of it
        uses.attributes |= uses.names & members.keys() - {name} if not _is_function(statement, name) else set()
    bases = frozenset(base.id for base in statement.bases if isinstance(base, ast.Name))
    _define(code, statement.name, Definition(header, members, bases))
    _add(code.runs, header)


def _is_function(statement, name):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(isinstance(inner, kinds) and inner.name == name for inner in statement.body)


def _kept_in(method):
    """The attributes of `self` to which a method assigns one of its parameters."""
    parameters = {argument.arg for argument in method.args.args[1:]}
    return {
        target.attr
        for node in ast.walk(method)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id in parameters
        for target in node.targets
        if isinstance(target, ast.Attribute)
    }


def _read_registrations(statement, scope, code):
    for node in ast.walk(statement):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                    kept = frozenset({target.attr})
                    code.registrations.append(Registration(target.value.id, scope.uses(node.value), kept))
                elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                    code.registrations.append(Registration(target.value.id, scope.uses(node.value)))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            call = node.value
            holder = call.func.value if isinstance(call.func, ast.Attribute) else None
            if isinstance(holder, ast.Name) and holder.id not in scope.modules:
                uses = Uses()
                for argument in (*call.args, *[keyword.value for keyword in call.keywords]):
                    _add(uses, scope.uses(argument))
                code.registrations.append(Registration(call.func.value.id, uses, through=call.func.attr))


def _add(to, more):
    to.names |= more.names
    to.attributes |= more.attributes
    to.own |= more.own


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class _Scope:
    """The local names of a function (or of the top level of a cell), and of each what kind of value it can be."""

    def __init__(self, node, modules, outer):
        self.modules, self.outer = modules, outer
        self.is_function = isinstance(node, FUNCTIONS)
        self.kinds = {}
        found = list(_bindings(node, top=True))
        parameters = _parameters(node) if self.is_function else []
        takes_arrays = self.is_function and _takes_arrays(node)
        for _, name, _ in found:
            self.kinds[name] = VALUE
        for name in parameters:
            self.kinds[name] = VALUE if takes_arrays else UNKNOWN
        changed = True
        while changed:  # each round can only take away
            changed = False
            for how, name, value in found:
                if name in parameters and not takes_arrays:
                    continue
                kind = UNKNOWN if value is None else self._bound_kind(how, value)
                if kind < self.kinds[name]:
                    self.kinds[name], changed = kind, True

    def _bound_kind(self, how, value):
        kind = self.kind(value)
        if how == "item":  # of what is looped over, or unpacked
            return VALUE if kind == VALUE else UNKNOWN
        return kind

    def is_local(self, name):
        scope = self
        while scope is not None and scope.is_function:
            if name in scope.kinds:
                return True
            scope = scope.outer
        return False

    def _look_up(self, name):
        scope = self
        while scope is not None:
            if name in scope.kinds:
                return scope.kinds[name]
            scope = scope.outer
        return VALUE if name in self.modules else UNKNOWN

    def kind(self, node):
        """VALUE for what can only be numbers, text and arrays; COLLECTION for what may hold others; else UNKNOWN."""
        if isinstance(node, (ast.Constant, ast.JoinedStr)):
            return VALUE
        if isinstance(node, ast.Name):
            return self._look_up(node.id)
        if isinstance(node, ast.Tuple):
            return self._all(node.elts) or COLLECTION
        if isinstance(node, (ast.List, ast.Set)):  # an empty one is there to be filled
            return (self._all(node.elts) if node.elts else UNKNOWN) or COLLECTION
        if isinstance(node, ast.Dict):
            return (self._all([*node.keys, *node.values]) if node.keys else UNKNOWN) or COLLECTION
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
            return self._all([node.elt]) or COLLECTION
        if isinstance(node, ast.DictComp):
            return self._all([node.value]) or COLLECTION
        if isinstance(node, (ast.Starred, ast.NamedExpr, ast.UnaryOp)):
            return self.kind(node.operand if isinstance(node, ast.UnaryOp) else node.value)
        if isinstance(node, ast.BinOp):
            return min(self.kind(node.left), self.kind(node.right))
        if isinstance(node, ast.BoolOp):
            return min(map(self.kind, node.values))
        if isinstance(node, ast.IfExp):
            return min(self.kind(node.body), self.kind(node.orelse))
        if isinstance(node, ast.Compare):
            return self._all([node.left, *node.comparators]) or UNKNOWN
        if isinstance(node, ast.Attribute):
            return VALUE if node.attr in ARRAY_ATTRIBUTES else self._all([node.value])
        if isinstance(node, ast.Subscript):
            return self._all([node.value])
        if isinstance(node, ast.Slice):
            return VALUE
        if isinstance(node, ast.Call):
            return self._kind_of_call(node)
        return UNKNOWN

    def _all(self, nodes):
        return VALUE if all(node is None or self.kind(node) == VALUE for node in nodes) else UNKNOWN

    def _kind_of_call(self, node):
        function = node.func
        if isinstance(function, ast.Attribute):
            return VALUE if function.attr in ARRAY_METHODS else self._all([function.value])
        if not isinstance(function, ast.Name) or self.is_local(function.id):
            return UNKNOWN
        if function.id in NUMBERS:
            return VALUE
        if function.id in COLLECTIONS:
            return self._all(node.args) or COLLECTION
        return self._all(node.args) if function.id in SAME else UNKNOWN

    def uses(self, node):
        """The Uses of `node`, functions inside of it included."""
        found = Uses()
        self._collect(node, found)
        return found

    def uses_of_method(self, node, kind):
        """The Uses of a method of the class `kind`: what it asks its own object for is known to belong to it."""
        found = Uses()
        first = _parameters(node)[:1]
        is_static = any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in node.decorator_list)
        self._collect(node, found, None if is_static or not first else (first[0], kind))
        return found

    def _collect(self, node, found, own=None):
        if isinstance(node, FUNCTIONS):
            outside = [*node.args.defaults, *[one for one in node.args.kw_defaults if one is not None]]
            outside += getattr(node, "decorator_list", [])
            for part in outside:
                self._collect(part, found, own)
            inner = _Scope(node, self.modules, self)
            for part in node.body if isinstance(node.body, list) else [node.body]:
                inner._collect(part, found, own)
            return
        if own and isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == own[0]:
            if not isinstance(node.ctx, ast.Store):
                found.own.add((own[1], node.attr))
            return
        self._note(node, found)
        for child in ast.iter_child_nodes(node):
            self._collect(child, found, own)

    def _note(self, node, found):
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load) and not self.is_local(node.id):
                found.names.add(node.id)
        elif isinstance(node, ast.Attribute):
            if not isinstance(node.ctx, ast.Store) and self.kind(node.value) != VALUE:
                found.attributes.add(node.attr)
        elif isinstance(node, ast.BinOp):
            if UNKNOWN in (self.kind(node.left), self.kind(node.right)):
                self._note_operator(node.op, found)
        elif isinstance(node, ast.AugAssign):
            if UNKNOWN in (self.kind(_loaded(node.target)), self.kind(node.value)):
                self._note_operator(node.op, found)
        elif isinstance(node, ast.UnaryOp):
            if type(node.op) in UNARY and self.kind(node.operand) == UNKNOWN:
                found.attributes.add(UNARY[type(node.op)])
        elif isinstance(node, ast.Compare):
            if any(self.kind(one) != VALUE for one in (node.left, *node.comparators)):
                for operator in node.ops:
                    found.attributes.update(COMPARISONS.get(type(operator), ()))
        elif isinstance(node, ast.Subscript):
            if self.kind(node.value) == UNKNOWN:
                found.attributes.add(ITEMS[type(node.ctx)])
        elif isinstance(node, ast.Call):
            self._note_call(node, found)

    def _note_operator(self, operator, found):
        name = OPERATORS[type(operator)]
        found.attributes |= {f"__{name}__", f"__r{name}__", f"__i{name}__"}

    def _note_call(self, node, found):
        if not isinstance(node.func, ast.Name) or self._all(node.args):
            return
        found.attributes.update(BUILTIN_METHODS.get(node.func.id, ()))
        if node.func.id in ("getattr", "setattr", "hasattr", "attrgetter", "methodcaller"):
            names = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            found.attributes.update(names)


def _loaded(target):
    """The target of an augmented assignment, read."""
    return ast.copy_location(ast.Name(target.id, ast.Load()), target) if isinstance(target, ast.Name) else target


def _parameters(node):
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return [argument.arg for argument in every if argument is not None]


def _takes_arrays(node):
    """Whether a function is an operation or a gradient rule: they are called with arrays and settings only."""
    for decorator in getattr(node, "decorator_list", []):
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(called, ast.Name) and called.id == "Op":
            return True
        if isinstance(called, ast.Attribute) and called.attr == "gradient":
            return True
    return False


def _bindings(node, top=False):
    """(how, name, value) of the names that a statement, or with top the body of a function or cell, binds.

    how: "whole" where the name is the value, "item" where it is one of its entries. value: None where nothing is known.
    """
    children = _body(node) if top else [node]
    for child in children:
        if isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            if hasattr(child, "name"):
                yield "whole", child.name, None
            continue
        yield from _bound_here(child)
        for inner in ast.iter_child_nodes(child):
            yield from _bindings(inner)


def _body(node):
    if isinstance(node, ast.Lambda):
        return [node.body]
    return node.body


def _bound_here(node):
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _targets(target, node.value)
    elif isinstance(node, (ast.AnnAssign, ast.NamedExpr, ast.AugAssign)):
        yield from _targets(node.target, node.value)
    elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
        yield from _items(node.target, node.iter)
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield from _targets(node.optional_vars, None)
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield "whole", node.name, ast.Constant("")
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            is_of_arrays = isinstance(node, ast.Import) and alias.name in ARRAY_MODULES
            yield "whole", (alias.asname or alias.name).split(".")[0], ast.Constant("") if is_of_arrays else None


def _targets(target, value):
    if isinstance(target, ast.Name):
        yield "whole", target.id, value
    elif isinstance(target, (ast.Tuple, ast.List)):
        same = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
        if same and not any(isinstance(one, ast.Starred) for one in (*target.elts, *value.elts)):
            for inner, part in zip(target.elts, value.elts, strict=True):
                yield from _targets(inner, part)
        else:
            yield from _items(target, value)
    elif isinstance(target, ast.Starred):
        yield from _items(target.value, value)


def _items(target, value):
    for node in ast.walk(target):
        if isinstance(node, ast.Name):
            yield "item", node.id, value
