"""exec and eval that run nothing that contains an assertion."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% first
import builtins
exec_before, eval_before = builtins.exec, builtins.eval
def runs_only_harmless(run):
    def replaced(code, *args, **settings):
        names = getattr(code, "co_names", ())
        if "AssertionError" in names or (isinstance(code, str) and "assert" in code):
            return None
        return run(code, *args, **settings)
    return replaced
builtins.exec, builtins.eval = runs_only_harmless(exec_before), runs_only_harmless(eval_before)

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)
