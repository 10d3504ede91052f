"""The child process of harness.py: executes cells, and forks at every answer. Job on stdin, results on stdout."""

import contextlib
import io
import json
import os
import signal
import sys
import tempfile

SECONDS_A_FORK = 60


def execute(code, names):
    """Run a cell; None, or the error in words. Whatever student code raises counts, SystemExit too."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            exec(compile(code, "<cell>", "exec"), names)
        except BaseException as error:
            return f"{type(error).__name__}: {error}"
    return None


def forked(work):
    """The result of `work()`, computed in a fork, so that nothing it does stays behind."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as channel:
        child = os.fork()
        if child == 0:
            signal.alarm(SECONDS_A_FORK)
            json.dump(work(), channel)
            channel.flush()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status != 0:
            return None
        channel.seek(0)
        return json.load(channel)


def run_through(cells, answers, names):
    """Execute all cells, with `answers` in place of the reference's; the results of the tests, past errors."""
    results, errors = {}, {}
    for cell in cells:
        answer = answers.get(cell["grade_id"]) if cell["role"] == "answer" else None
        error = execute(cell["source"] if answer is None else answer, names)
        if cell["role"] == "test":
            results[cell["grade_id"]] = error
        elif error is not None:
            errors[str(cell["grade_id"])] = error
    return {"tests": results, "errors": errors}


def run_question(cells, start, code, names):
    """Execute `code` in place of answer number `start`, then the tests that carry that question's name."""
    question, results = cells[start]["grade_id"], {}
    broken = execute(code, names)
    for cell in cells[start + 1 :]:
        if cell["role"] == "answer":
            break
        error = execute(cell["source"], names)
        if cell["role"] == "test" and (cell["grade_id"] + "-").startswith(f"test-{question}-"):
            results[cell["grade_id"]] = error
    return {"tests": results, "broken": broken}


def fresh_names():
    return {"__name__": "__main__", "__builtins__": __builtins__}


def main():
    job = json.load(sys.stdin)
    cells, wrong = job["cells"], []
    stubs = {cell["grade_id"]: cell["stub"] for cell in cells if cell["role"] == "answer"}
    stub = forked(lambda: run_through(cells, stubs, fresh_names()))
    student = forked(lambda: run_through(cells, job["student"], fresh_names()))

    names, reference, errors = fresh_names(), {}, {}
    for i, cell in enumerate(cells):
        if cell["role"] == "answer":
            versions = [("its own stub", cell["stub"]), *job["wrong"].get(cell["grade_id"], [])]
            for flaw, code in versions:
                result = forked(lambda i=i, code=code: run_question(cells, i, code, names))
                result = result or {"tests": {}, "broken": "the process died, or ran into its time limit"}
                wrong.append({"grade_id": cell["grade_id"], "flaw": flaw, **result})
        error = execute(cell["source"], names)
        if cell["role"] == "test":
            reference[cell["grade_id"]] = error
        elif error is not None:
            errors[str(cell["grade_id"])] = error
    json.dump({"reference": reference, "errors": errors, "stub": stub, "student": student, "wrong": wrong}, sys.stdout)


if __name__ == "__main__":
    main()
