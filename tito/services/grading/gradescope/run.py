"""The autograder's run: one submission in /autograder/submission, scored, and told in /autograder/results/results.json.

`run_autograder` starts it as root, with the rights of the files set and a results.json in place that says that the
autograder failed. Whatever goes wrong here ends in a better one.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path

from tito.errors import ProjectError, TitoError, WorkError
from tito.services import notebooks
from tito.services.grading.gradescope import inbox, results
from tito.services.grading.sandbox import find
from tito.services.grading.sandbox.find import MIB, Limits
from tito.services.grading.scoring import executors, kits, scorer
from tito.services.grading.scoring.scorer import Task

STUDENT = "submission"
# the visible tests, the withheld ones of questions, those of the whole module, the second try: each may take as long
RUNS = 4
START_SECONDS = 40  # of what comes before and between them
LAST_SECONDS = 15  # before Gradescope's end, to write down what came of it
GRADER_BYTES = 300 * MIB  # of a container's memory, for the processes that grade
LEAST_BYTES = 256 * MIB
MEMORY_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# what no submission may read: tests and solutions, other results, and what else is the grader's
PRIVATE = ("", "source", "source/kit/source.ipynb", "results", "submission", "submission_metadata.json")
PEEK = """
import json, os, sys
seen = []
for path in sys.argv[1:]:
    try:
        os.listdir(path) if os.path.isdir(path) else open(path, "rb").close()
        seen.append(path)
    except OSError:
        pass
print(json.dumps(seen))
"""


def main(root=Path("/autograder")):
    """Grade the submission below `root`. Raises nothing but what keeps results.json from being written."""
    start = time.monotonic()
    settings = {"module": "the module"}
    try:
        settings |= json.loads((root / "source" / "settings.json").read_text(encoding="utf-8"))
        found = _graded(root, settings, start)
    except WorkError as error:
        found = results.failure(settings["module"], error.message, status="missing")
    except TitoError as error:
        print(f"not graded: {error.message}")
        found = results.failure(settings["module"], error.message)
    except SystemExit as error:
        found = results.failure(settings["module"], str(error))
    except BaseException as error:
        traceback.print_exc(file=sys.stdout)
        found = results.failure(settings["module"], f"a fault in tito: {type(error).__name__}")
    found["execution_time"] = round(time.monotonic() - start, 1)
    (root / "results" / ".reserve").unlink(missing_ok=True)
    results.write(root / "results" / "results.json", found)


def _graded(root, settings, start):
    source = root / "source"
    sandbox = find.in_container()
    print(f"isolated with {sandbox.kind}" + (f" ({sandbox.detail})" if sandbox.detail else ""))
    _require_privacy(root, sandbox)
    kit = kits.load(source / "kit", sandbox)
    try:
        finder = inbox.recalled((source / "modules.json").read_text(encoding="utf-8"))
        data = inbox.notebook(root / "submission", finder, settings["module"], kit.handed)
        result = _scored(kit, data, settings, start)
    finally:
        kit.readers.close()
        kit.testing.close()
    print(f"{result.module}: {result.status}{': ' if result.detail else ''}{result.detail}")
    return results.document(
        result,
        version=settings["version"],
        visibility=settings["visibility"],
        second_try=settings["second_try"],
        written=[notebooks.grade_id(cell) for cell in kit.handed.cells if notebooks.is_written(cell)],
    )


def _scored(kit, data, settings, start):
    """The SubmissionResult. Where the second try meets a fault of tito's, that of the first alone."""
    minutes = settings["minutes"]
    cancel = threading.Event()
    watch = threading.Timer(start + 60 * minutes - LAST_SECONDS - time.monotonic(), cancel.set)
    watch.daemon = True
    watch.start()
    limits = Limits(seconds=(60 * minutes - START_SECONDS - LAST_SECONDS) / RUNS, memory=_memory())
    for second_try in sorted({settings["second_try"], False}, reverse=True):
        task = Task(STUDENT, data, limits, settings["cell_seconds"], second_try)
        result = executors.attempt(scorer.score, kit, task, cancel).result
        if cancel.is_set() and result.status == "ungraded":
            result = replace(result, detail=f"it took longer than the {minutes:g} minutes that it has")
        # a fault that comes every time with this file is called unreadable
        if cancel.is_set() or result.status not in ("ungraded", "unreadable"):
            break
        print(f"{'with' if second_try else 'without'} a second try: {result.detail}")
    watch.cancel()
    return result


def _memory():
    """Bytes that a submission may use: what the container has, without what grades."""
    known = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in MEMORY_FILES:
        try:
            known.append(int(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):  # there is none, or it says "max"
            continue
    allowed = max(LEAST_BYTES, min(Limits.memory, min(known) - GRADER_BYTES))
    if allowed < Limits.memory:
        print(f"this container has {min(known) // MIB} MB of memory, of which a submission may use {allowed // MIB}")
    return allowed


def _require_privacy(root, sandbox):
    """Look, as a submission would, at what it may not see. Raises ProjectError where it does."""
    paths = [str(root / name) for name in PRIVATE]
    with sandbox.start([sys.executable, "-P", "-s", "-c", PEEK, *paths], limits=Limits(seconds=30)) as process:
        said = process.stdout.read()
        process.wait(30)
    try:
        seen = json.loads(said)
    except ValueError:
        raise ProjectError(f"the sandbox does not run: {process.errors()[-300:] or process.reason()}") from None
    if seen:
        raise ProjectError(f"a submission could read {', '.join(seen)}: nothing of it was run", code="not-private")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("it was ended from outside, near its limit of time"))
    main()
