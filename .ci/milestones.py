"""Run every milestone of the course on data that need no download, one after the other, and say how long each took.

Run it before measured.py: modules show models that milestones train. The reports are kept, and the site shows them.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from tito.catalog import read_milestones
from tito.errors import Undecided
from tito.project import find_project
from tito.services import shown


def run(milestone):
    """ "" where it reached what it claims, or a ratio of times remained undecided; else what went wrong."""
    command = ["milestone", "run", milestone.name, "--data", shown.dataset(milestone), "--fresh", "--json"]
    child = subprocess.run([sys.executable, "-m", "tito", *command], stdout=subprocess.PIPE, encoding="utf-8")
    try:
        said = json.loads(child.stdout)
    except json.JSONDecodeError:
        return f"exit code {child.returncode}: {child.stdout[-500:]}"
    return said["error"]["message"] if child.returncode not in (0, Undecided.exit_code) else ""


def main():
    failed = []
    for milestone in read_milestones(find_project(Path.cwd())):
        start = time.monotonic()
        wrong = run(milestone)
        print(f"{time.monotonic() - start:5.0f} s  {milestone.name}{': ' + wrong if wrong else ''}", flush=True)
        failed += [milestone.name] if wrong else []
    if failed:
        sys.exit(f"milestones: {', '.join(failed)} failed")


if __name__ == "__main__":
    main()
