"""Run every milestone of the course on data that need no download, one after the other, and say how long each took.

Run it before measured.py: modules show models that milestones train. The reports are kept, and the site shows them.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from tito.catalog import read_milestones
from tito.errors import Undecided, WorkError
from tito.project import find_project
from tito.services import shown


def run(milestone):
    """What failed() says of a fresh run on data that everybody has."""
    command = ["milestone", "run", milestone.name, "--data", shown.dataset(milestone), "--fresh", "--json"]
    child = subprocess.run([sys.executable, "-m", "tito", *command], stdout=subprocess.PIPE, encoding="utf-8")
    try:
        return failed(child.returncode, json.loads(child.stdout))
    except json.JSONDecodeError:
        return f"exit code {child.returncode}: {child.stdout[-500:]}", ""


def failed(exit_code, said):
    """(what went wrong, what is only shown), "" where nothing is. Ratios of times, which have an interval, fail
    nothing: CI does not have its machine for itself.
    """
    if exit_code == 0:
        return "", ""
    message = said["error"]["message"]
    missed = [one for one in (said["data"] or {}).get("asserts", ()) if one["outcome"] == "not reached"]
    is_late = exit_code == WorkError.exit_code and missed and all(one["interval"] for one in missed)
    return ("", message) if is_late or exit_code == Undecided.exit_code else (message, "")


def main():
    wrong = []
    for milestone in read_milestones(find_project(Path.cwd())):
        start = time.monotonic()
        said = run(milestone)
        print(": ".join([f"{time.monotonic() - start:5.0f} s  {milestone.name}", *filter(None, said)]), flush=True)
        wrong += [milestone.name] if said[0] else []
    if wrong:
        sys.exit(f"milestones: {', '.join(wrong)} failed")


if __name__ == "__main__":
    main()
