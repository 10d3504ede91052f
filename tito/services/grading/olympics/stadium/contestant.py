"""The program in which a submission runs: builds the model with the student's code, then answers with it.

Arguments: the folder that holds `tinytorch`; that with submission.npz and, where the student's code is not part of
the package, notebook.ipynb; the name of the module in tinytorch.core that has `build`. Nothing here decides anything:
what leaves it is checked by the process that asked.
"""

import contextlib
import importlib
import importlib.util
import json
import os
import re
import sys
from pathlib import Path

if __name__ == "__main__":  # as a script: the folder above is the package's home
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    program = importlib.import_module("stadium.contestant")
    sys.path.pop(0)
    program.main(*sys.argv[1:])
    os._exit(0)

from .serving import Line, serve

EXPORT = re.compile(r"#\s*\|\s*exports?\s*")


def main(package, entry, module):
    line = Line()
    sys.path.insert(0, package)
    try:
        read, start, step = prepare(Path(package), Path(entry), f"tinytorch.core.{module}")
    except (Exception, SystemExit) as error:  # whatever a student's code may raise
        line.fail(error)
        return
    line.send(b"R")
    serve(line, read, start, step)


def prepare(package, entry, name):
    """(read, start, step) of the model that the student's `build` makes of the submission."""
    tinytorch = importlib.import_module("tinytorch")
    if Path(tinytorch.__file__).resolve().parents[1] != package.resolve():
        raise ImportError(f"tinytorch comes from {Path(tinytorch.__file__).parent}, not from {package}")
    submission = importlib.import_module("tinytorch.submissions").read_submission(entry / "submission.npz")
    notebook = entry / "notebook.ipynb"
    capstone = from_notebook(notebook, name) if notebook.is_file() else importlib.import_module(name)
    model = capstone.build(submission)
    if callable(getattr(model, "eval", None)):
        model.eval()
    tensor = found_in("tinytorch.core.tensor", "Tensor", lambda array: array)
    quiet = found_in("tinytorch.core.autograd", "no_grad", contextlib.nullcontext)

    def read(images):
        with quiet():
            return numbers_of(model(tensor(images)))

    def start():
        if not (hasattr(model, "start") and hasattr(model, "step")):
            kind = type(model).__name__
            raise TypeError(f"tokens needs a model with start() and step(token), and {kind} has not both: pack a GPT")
        model.start()

    def step(token):
        with quiet():
            return numbers_of(model.step(token))

    return read, start, step


def found_in(module, name, otherwise):
    """What the package calls `name`; `otherwise` where a course has no such module."""
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        return otherwise


def numbers_of(output):
    """The array of what a model returns, a Tensor or an array."""
    return output.numpy() if callable(getattr(output, "numpy", None)) else output


def from_notebook(path, name):
    """The module `name` that the exported cells of a notebook make, as if it were a file of the package."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    exported = [text.split("\n", 1) for text in sources if EXPORT.fullmatch(text.split("\n", 1)[0])]
    file = Path(f"{name.rpartition('.')[2]}.py").resolve()  # a file, so that Python can show lines of it
    file.write_text("\n\n".join(part[1] for part in exported if len(part) == 2), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
