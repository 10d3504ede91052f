"""The rules of the olympics, as `tinytorch/submissions.py` has them.

That file is loaded by its path: nothing else of `tinytorch` is imported, so it may be broken.
"""

import importlib.util
import sys

from tito.errors import ProjectError, UsageError

FILE = "submissions.py"


def read_rules(project):
    """The module of the rules: DIVISIONS, distort, parse_submission, pack_submission. Raises ProjectError."""
    path = project.package / FILE
    name = "tito_olympics_rules"
    try:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look themselves up
        spec.loader.exec_module(module)
    except Exception as error:  # whatever may have been written into it
        label = project.relative(path)
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"{type(error).__name__}: {error}"
        message = f"the rules of the olympics cannot be read: {label}: {reason}"
        raise ProjectError(message, f"restore {label}", code="rules") from error
    return module


def find_division(rules, name):
    """The division that a person means. Raises UsageError that lists them."""
    try:
        return rules.find_division(name)
    except ValueError as error:
        raise UsageError(str(error), f"for example: tito benchmark run {next(iter(rules.DIVISIONS))}") from None
