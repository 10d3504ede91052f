"""count_calls.py NOTEBOOK: run a notebook with solutions; print {test: calls that reach the student's process} as JSON.

In grading a test runs outside of the process with the answers, and every call that it makes into the notebook or into
the package is a message. So what is counted is every call from the test, or from tinytorch.notebook on its behalf, of
code that is neither.
"""

import json
import sys
from pathlib import Path

import nbformat

from tito.services import notebooks

TEST, HELPERS = "<test>", ("notebook.py", "_words.py")


def is_trusted(code):
    path = Path(code.co_filename)
    return code.co_filename == TEST or (path.parent.name == "tinytorch" and path.name in HELPERS)


def is_untrusted(code, package):
    return code.co_filename == "<notebook>" or (code.co_filename.startswith(package) and not is_trusted(code))


def run(node):
    import tinytorch

    package = str(Path(tinytorch.__file__).parent)
    names, counts, calls = {"__name__": "__main__"}, {}, 0

    def count(frame, event, argument):
        nonlocal calls
        if event == "call" and frame.f_back and is_trusted(frame.f_back.f_code):
            calls += is_untrusted(frame.f_code, package)

    for _, cell in notebooks.code_cells(node):
        if notebooks.is_measure(cell):
            continue
        is_test = notebooks.is_test(cell)
        code = compile(cell.source, TEST if is_test else "<notebook>", "exec")
        calls = 0
        if is_test:
            sys.setprofile(count)
        exec(code, names)
        sys.setprofile(None)
        if is_test:
            counts[notebooks.grade_id(cell)] = calls
    return counts


if __name__ == "__main__":
    print(json.dumps(run(nbformat.read(sys.argv[1], as_version=4))))
