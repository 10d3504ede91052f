"""Run every milestone of the course on data that need no download, and say how long each took.

Two at a time, with one thread each for matrix products: four on two cores wait for each other. The race of times comes
last, alone. Run it before measured.py: modules show models that milestones train. The reports are kept, and the site
shows them.
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tito.catalog import read_milestones
from tito.errors import Undecided, WorkError
from tito.project import find_project
from tito.services import milestones as runs
from tito.services import shown

RACE = "06_2018_mlperf"
THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def run(milestone):
    """(what failed() says of a fresh run on data that everybody has, the seconds of the run)"""
    start = time.monotonic()
    command = ["milestone", "run", milestone.name, "--data", shown.dataset(milestone), "--fresh", "--json"]
    threads = {} if milestone.name == RACE else THREADS
    child = subprocess.run(
        [sys.executable, "-m", "tito", *command],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, **threads},
    )
    try:
        said = failed(child.returncode, json.loads(child.stdout))
    except json.JSONDecodeError:
        said = f"exit code {child.returncode}: {child.stdout[-500:]}", ""
    return said, time.monotonic() - start


def failed(exit_code, said):
    """(what went wrong, what is only shown), "" where nothing is: see milestones.missed."""
    if exit_code == 0:
        return "", ""
    message, asserts = said["error"]["message"], (said["data"] or {}).get("asserts", ())
    is_late = exit_code == WorkError.exit_code and any(one["outcome"] == "not reached" for one in asserts)
    is_shown = (is_late or exit_code == Undecided.exit_code) and not runs.missed(asserts)
    return ("", message) if is_shown else (message, "")


def main():
    milestones = list(read_milestones(find_project(Path.cwd())))
    wrong = []
    for at_a_time, is_race in ((min(2, os.cpu_count() or 1), False), (1, True)):
        some = [one for one in milestones if (one.name == RACE) == is_race]
        with ThreadPoolExecutor(at_a_time) as pool:
            for milestone, (said, seconds) in zip(some, pool.map(run, some), strict=True):
                print(": ".join([f"{seconds:5.0f} s  {milestone.name}", *filter(None, said)]), flush=True)
                wrong += [milestone.name] if said[0] else []
    if wrong:
        sys.exit(f"milestones: {', '.join(wrong)} failed")


if __name__ == "__main__":
    main()
