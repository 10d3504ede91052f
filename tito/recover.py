"""Finishes an update that was interrupted: with the standard library alone, since tito itself may be half replaced.

`.tito/update/journal.json` is written when all new files lie ready in `.tito/update/new`. From then on the update is
decided, and this puts the rest of it in place, however often it is interrupted.
"""

import json
import shutil
from pathlib import Path

FOLDER = Path(".tito", "update")
JOURNAL = FOLDER / "journal.json"
READY = FOLDER / "new"


def finish(root):
    """Put in place what is left of the update that the journal of the workspace `root` describes."""
    root = Path(root)
    journal = json.loads((root / JOURNAL).read_text(encoding="utf-8"))
    for name in journal["put"]:
        ready, target = root / READY / name, root / name
        if ready.exists():  # else it is in place already
            target.parent.mkdir(parents=True, exist_ok=True)
            ready.replace(target)
    for name in journal["remove"]:
        (root / name).unlink(missing_ok=True)
    (root / JOURNAL).unlink(missing_ok=True)
    shutil.rmtree(root / FOLDER, ignore_errors=True)
