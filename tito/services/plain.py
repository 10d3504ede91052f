"""Where a test computes with what an answer gave back before that is a plain array.

In grading a test's operators and reductions on such a result run in the student's process. An object of the student's
own may then be told the other operand, and say what it likes. `np.asarray(result)` ends that: from there on the test
computes with NumPy's numbers.
"""

import ast

# what gives a plain value, whatever comes in; `expect` compares such values itself
PLAIN = {"asarray", "array", "float", "int", "bool", "len", "str", "repr", "type", "isinstance", "id", "list", "tuple"}
PLAIN |= {"set", "dict", "zip", "enumerate", "expect", "expect_error", "allclose", "array_equal", "shares_memory"}
METHODS = {"numpy", "item", "tolist", "tobytes", "numel"}
REDUCTIONS = {"sum", "mean", "max", "min", "std", "var", "prod", "dot", "cumsum", "trace"}
REDUCTIONS |= {"argmax", "argmin", "all", "any"}
FUNCTIONS = REDUCTIONS | {"abs", "round", "pow", "divmod", "norm", "diff"}
ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
ATTRIBUTES = {"shape", "dtype", "ndim", "size", "nbytes", "flags", "itemsize", "strides", "__name__"}


def computed(code, answers):
    """Yield (line, text) of what `code` computes with results of `answers`, names of functions and classes.

    What goes into a graph that is then walked backward is no claim about a number, and is left out.
    """
    tree = ast.parse(code)
    reader = _Reader(set(answers), code)
    reader.walked = {node.func.value.id for node in ast.walk(tree) if _is_backward(node) and _is_name(node.func.value)}
    reader.body(tree.body)
    yield from reader.found


def _is_name(node):
    return isinstance(node, ast.Name)


def _is_backward(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "backward"


class _Reader:
    """Reads statements in order. results: names that hold a result; found: [(line, text)]."""

    def __init__(self, answers, code):
        self.answers, self.code = answers, code
        self.results, self.found, self.walked, self.returned = set(), [], set(), False

    def body(self, statements):
        for statement in statements:
            self.statement(statement)

    def statement(self, node):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            before, outside = set(self.results), self.returned
            self.results -= {one.arg for one in (*node.args.args, *node.args.kwonlyargs)}
            self.returned = False
            self.body(node.body)
            if self.returned:
                self.answers.add(node.name)
            self.results, self.returned = before, outside
            return
        if isinstance(node, ast.Assign):
            graph = any(_is_name(target) and target.id in self.walked for target in node.targets)
            value = self.value(node.value) if not graph else self.is_result(node.value)
            for target in node.targets:
                self.bind(target, value, node.value)
            return
        if isinstance(node, ast.AugAssign):
            if self.value(node.target) or self.value(node.value):
                self.note(node)
            return
        if isinstance(node, (ast.For, ast.AsyncFor)):
            self.bind(node.target, self.value(node.iter), node.iter)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                self.value(item.context_expr)
        elif isinstance(node, ast.Return) and node.value is not None:
            self.returned = self.value(node.value) or self.returned
        else:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.value(child)
        for part in ("body", "orelse", "finalbody"):
            self.body(getattr(node, part, []))
        for handler in getattr(node, "handlers", []):
            self.body(handler.body)

    def bind(self, target, is_result, value):
        if isinstance(target, (ast.Tuple, ast.List)):
            items = value.elts if isinstance(value, (ast.Tuple, ast.List)) else []
            if len(items) == len(target.elts):
                for one, item in zip(target.elts, items, strict=True):
                    self.bind(one, self.is_result(item), item)
            else:
                for one in target.elts:
                    self.bind(one.value if isinstance(one, ast.Starred) else one, is_result, value)
        elif _is_name(target):
            (self.results.add if is_result else self.results.discard)(target.id)

    def is_result(self, node):
        """Whether `node` gives a result; nothing is noted."""
        before = list(self.found)
        answer = self.value(node)
        self.found = before
        return answer

    def value(self, node):
        """Whether `node` gives a result of an answer; what is computed with one is noted."""
        if isinstance(node, ast.Name):
            return node.id in self.results
        if isinstance(node, ast.Attribute):
            inner = self.value(node.value)
            return node.attr == "grad" or (inner and node.attr not in ATTRIBUTES)
        if isinstance(node, ast.Subscript):
            result = self.value(node.value)
            if result and isinstance(node.slice, ast.Tuple):
                self.note(node)
            return result
        if isinstance(node, (ast.Starred, ast.Await)):
            return self.value(node.value)
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, ast.BinOp):
            return self.operation(node, (node.left, node.right))
        if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
            return self.operation(node, (node.operand,))
        if isinstance(node, ast.Compare):
            operands = [self.value(one) for one in (node.left, *node.comparators)]
            if any(operands) and any(isinstance(op, ORDER) for op in node.ops):
                self.note(node)
            return False
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            return self.comprehension(node)
        if isinstance(node, ast.Lambda):
            return False
        inner = [self.value(child) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        return any(inner) and isinstance(node, (ast.Tuple, ast.List, ast.IfExp, ast.BoolOp, ast.NamedExpr, ast.Dict))

    def comprehension(self, node):
        before = set(self.results)
        for part in node.generators:
            self.bind(part.target, self.value(part.iter), part.iter)
            for test in part.ifs:
                self.value(test)
        kept = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        found = [self.value(one) for one in kept]
        self.results = before
        return any(found)

    def operation(self, node, operands):
        found = [self.value(one) for one in operands]
        joined = any(isinstance(one, (ast.JoinedStr, ast.List, ast.Tuple, ast.ListComp)) for one in operands)
        if any(found) and not joined:
            self.note(node)
        return any(found)

    def call(self, node):
        if _is_backward(node):
            return False
        given = [*node.args, *(one.value for one in node.keywords)]
        results = [self.value(one) for one in given]
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        on_result = self.value(function.value) if isinstance(function, ast.Attribute) else self.value(function)
        if on_result and name in REDUCTIONS:
            self.note(node)
        if any(results) and not on_result and name in FUNCTIONS:
            self.note(node)
        if on_result:
            return name not in METHODS
        if name in self.answers and _is_name(function):
            return True
        if name == "map" and _is_name(function) and ast.unparse(given[0]).rpartition(".")[2] in PLAIN:
            return False
        passes = any(_is_name(one) and one.id in self.answers for one in given)
        return passes and name not in PLAIN

    def note(self, node):
        text = ast.get_source_segment(self.code, node) or ""
        self.found.append((node.lineno, " ".join(text.split())))
