"""Run every notebook with its measurements, two modules at a time, and say how long each took.

A module's measured cells are to take at most a minute, training of kept models aside; what takes much longer
fails. Each of the two has one thread for matrix products: four on two cores wait for each other.
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

AIM, LIMIT = 60, 180  # seconds; the limit leaves room for a busy machine, and for the training of kept models
THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def run(name):
    start = time.monotonic()
    command = [sys.executable, "-m", "tito", "module", "test", name, "--all", "--json"]
    child = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", env={**os.environ, **THREADS})
    try:
        said = json.loads(child.stdout)
    except json.JSONDecodeError:
        said = {"ok": False, "error": {"message": f"exit code {child.returncode}: {child.stdout[-500:]}"}}
    return name, said, time.monotonic() - start


def problem(said, seconds):
    if not said["ok"]:
        return said["error"]["message"]
    return f"takes more than {LIMIT} s" if seconds > LIMIT else ""


def main():
    names = sorted(path.name for path in Path("modules").glob("[0-9]*/"))
    failed = []
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for name, said, seconds in pool.map(run, names):
            wrong = problem(said, seconds)
            note = f"; the aim is {AIM} s" if seconds > AIM else ""
            print(f"{seconds:5.0f} s  {name}{note}{': ' + wrong if wrong else ''}", flush=True)
            failed += [name] if wrong else []
    if failed or not names:
        sys.exit(f"measured cells: {', '.join(failed) or 'no module'} failed")


if __name__ == "__main__":
    main()
