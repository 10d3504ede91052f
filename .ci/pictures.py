"""Put every picture that `tito module test --all` wrote into its pages on one sheet, on light and on dark.

Run it after measured.py. Writes .tito/pages/pictures.png, and fails where a module shows no picture.
"""

import base64
import io
import math
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt

PAGES = Path(".tito/pages")
PICTURE = re.compile(r'src="data:image/png;base64,([A-Za-z0-9+/=\s]+)')
THEMES = {"light": "#ffffff", "dark": "#111111"}  # the background of JupyterLab's cells
COLUMNS = 12


def pictures(page):
    """The pictures in a page, in order, as arrays."""
    found = PICTURE.findall(page.read_text(encoding="utf-8"))
    return [plt.imread(io.BytesIO(base64.b64decode(text)), format="png") for text in found]


def main():
    names = sorted(path.name for path in Path("modules").glob("[0-9]*/"))
    shown = {name: pictures(PAGES / f"{name}.html") if (PAGES / f"{name}.html").is_file() else [] for name in names}
    every = [(f"{name[:2]}: {i}", picture) for name in names for i, picture in enumerate(shown[name], 1)]
    rows = math.ceil(len(every) / COLUMNS)
    figure = plt.figure(figsize=(2 * COLUMNS, 2 * 1.5 * rows), layout="constrained")
    for part, (theme, colour) in zip(figure.subfigures(len(THEMES), 1), THEMES.items(), strict=True):
        part.set_facecolor(colour)
        part.suptitle(theme, color="0.5")
        for axes, (name, picture) in zip(part.subplots(rows, COLUMNS, squeeze=False).flat, every, strict=False):
            axes.imshow(picture)
            axes.set_title(name, fontsize=8, color="0.5")
        for axes in part.axes:
            axes.set_axis_off()
    figure.savefig(PAGES / "pictures.png", dpi=110)
    print(f"{len(every)} pictures of {len(names)} modules on {PAGES / 'pictures.png'}")
    if lacking := [name for name in names if not shown[name]]:
        sys.exit(f"no picture: {', '.join(lacking)}")


if __name__ == "__main__":
    main()
