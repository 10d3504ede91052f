"""matplotlib's list of fonts, made once: every sandbox would otherwise spend seconds looking for them."""

import os
import subprocess
import sys
from importlib import metadata

from tito.services.files import remove_tree

SECONDS = 120


def prepare(project):
    """A folder with a configuration of matplotlib that knows the fonts; None where matplotlib is not installed or
    makes none."""
    try:
        version = metadata.version("matplotlib")
    except metadata.PackageNotFoundError:
        return None
    folder = project.state / "matplotlib" / version
    if any(folder.glob("fontlist-*.json")):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "MPLCONFIGDIR": str(folder), "MPLBACKEND": "agg"}
    command = [sys.executable, "-c", "import matplotlib.font_manager"]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=SECONDS, check=False)
        is_made = done.returncode == 0 and any(folder.glob("fontlist-*.json"))
    except subprocess.TimeoutExpired:
        is_made = False
    if not is_made:
        remove_tree(folder)
        return None
    return folder
