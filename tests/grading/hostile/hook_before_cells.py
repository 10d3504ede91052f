"""IPython's hooks before and after each cell, to read and to change what runs."""

# /// attack
# module = "02"
# status = ["graded"]
# loses = ["relu", "module"]
# ///

# %% first
import pathlib
stolen = []
try:
    shell = get_ipython()
    shell.events.register("pre_run_cell", lambda info: stolen.append(str(info.raw_cell)))
    shell.events.register("post_run_cell", lambda result: stolen.append(str(result.info.raw_cell)))
    shell.input_transformers_cleanup.append(lambda lines: [stolen.extend(lines)] and lines)
    shell.run_cell_before, shell.run_cell = shell.run_cell, lambda *args, **settings: print("no")
except Exception as error:
    print(error)

# %% last
pathlib.Path("/work/stolen").write_text("\n".join(stolen))
print("\n".join(one[:200] for one in stolen if "HIDDEN" in one or "assert" in one))

# %% replace relu
@Op
def relu(x):
    return np.zeros_like(x)
