"""Assertions removed from everything that is compiled after this."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% first
import ast, builtins
class Strip(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.copy_location(ast.Pass(), node)
compile_before, parse_before = builtins.compile, ast.parse
def compile_without(source, *args, **settings):
    try:
        tree = source if isinstance(source, ast.AST) else compile_before(source, "x", "exec", ast.PyCF_ONLY_AST)
        source = ast.fix_missing_locations(Strip().visit(tree))
    except Exception:
        pass
    return compile_before(source, *args, **settings)
builtins.compile = compile_without
try:
    get_ipython().ast_transformers.append(Strip())
except Exception as error:
    print(error)

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)
