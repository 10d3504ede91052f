"""Trained models, kept in `.tito/models/` of the project that the notebook or program stands in.

A model is kept under a hash of what made it: the files of tinytorch.core that it and its training use, the text of
the training, and the names, shapes and dtypes of its state. So it is trained again when one of them changes.
"""

import ast
import hashlib
import inspect
import re
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np

NAME = re.compile(r"[a-z0-9_]+")
IMPORT = re.compile(r"(?:tinytorch\.core|from )\.(\w+)")
CORE = Path(__file__).resolve().parent / "core"


def trained(root, name, make, train):
    """tinytorch.notebook.trained, with the root of the project, or None."""
    model = make()
    text = _text_of(train)
    own = _place(root, name, model, text) if text else None
    for path in filter(None, [own, _place(root, name, model)]):
        if _load(path, model):
            return model.eval()
        model = make()  # a file that did not fit may have changed it
    start = time.perf_counter()
    print(f"{name}: training …", flush=True)  # it may take minutes
    train(model)
    print(f"{name}: trained in {time.perf_counter() - start:.0f} s", end="")
    print(f", kept in {own.parent}" if own and _save(own, model) else ", not kept")
    fresh = make()
    fresh.load_state_dict(model.state_dict())
    return fresh.eval()


def keep(root, name, model):
    """tinytorch.notebook.keep_trained, with the root of the project, or None."""
    path = _place(root, name, model)
    return path if path and _save(path, model) else None


def _place(root, name, model, text=""):
    """Where a model is kept; None outside of every project. text: of its training, "" where a program has its own."""
    if not NAME.fullmatch(name):
        raise ValueError(f"the name of a trained model is lower-case letters, digits and underscores, not {name!r}")
    if root is None:
        return None
    state = [(key, array.shape, str(array.dtype)) for key, array in sorted(model.state_dict().items())]
    digest = hashlib.sha256(repr((text, state)).encode())
    for file in _core_files(model, text):
        digest.update(file.encode() + b"\0" + (CORE / file).read_bytes())
    return Path(root) / ".tito" / "models" / f"{name}-{digest.hexdigest()[:16]}.npz"


def _core_files(model, text):
    """The names of the core files that a model and its training use, directly or through others, in order.

    A training uses a file when it says a name that the file defines: rather one file too many than a model that is
    older than the code.
    """
    texts = {path.name: path.read_text(encoding="utf-8") for path in CORE.glob("*.py")}
    said = set(re.findall(r"\w+", text))
    # what nn offers extends the course's own classes
    kinds = {kind for part in model.modules() for kind in type(part).__mro__}
    homes = {kind.__module__.rpartition(".")[2] + ".py" for kind in kinds}
    used = {file for file in texts if file in homes or said & _defined(texts[file])}
    waiting = list(used)
    while waiting:
        found = {f"{module}.py" for module in IMPORT.findall(texts[waiting.pop()])} & texts.keys()
        waiting += found - used
        used |= found
    return sorted(used)


def _defined(text):
    """The names of the functions and classes that stand at the top of `text`."""
    return {node.name for node in ast.parse(text).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}


def _text_of(function):
    """The source of `function`; "" where Python does not know it."""
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return ""


def _save(path, model):
    """Write the state whole or not at all; whether it could be written."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            temporary = file.name
            # a prefix, so that no name of a parameter is taken for an argument of savez
            np.savez(file, **{f"state.{key}": array for key, array in model.state_dict().items()})
        Path(temporary).replace(path)
        return True
    except OSError:  # a full disk, a folder that may only be read: the model is there all the same
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        return False


def _load(path, model):
    """Whether `path` holds a state that fits the model, and is loaded now. A broken file is as good as none."""
    if not path.is_file():
        return False
    try:
        with np.load(path, allow_pickle=False) as file:
            model.load_state_dict({key.removeprefix("state."): file[key] for key in file.files})
        return True
    except Exception:  # zipfile, zlib, NumPy and the student's load_state_dict raise what they like
        return False
