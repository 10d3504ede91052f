"""Writes the report of a run: metrics.json, the plots, and index.html that puts them together."""

import os
from pathlib import Path

INK, PAPER = "#1f2328", "#ffffff"


def set_style():
    """Plots without a window."""
    import matplotlib

    matplotlib.use("agg")


def write(path, content):
    """Put `content` at `path`: a reader sees the old file or the new one."""
    draft = Path(path).with_name(f".{Path(path).name}.{os.getpid()}.part")
    draft.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    draft.replace(path)
