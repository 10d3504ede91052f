"""Writes the report of a run: metrics.json, every plot for light and for dark pages, index.html; and the best runs."""

import hashlib
import json
import os
from datetime import datetime
from pathlib import Path

# of plots on light pages, as tito/templates/pages/tokens.css has them; on dark ones they are exchanged, while black,
# white and the data's colours stay
INK, PAPER = "#1f2328", "#fefefe"
ON_DARK = {INK: "#e6edf3", PAPER: "#0d1117"}
COLORS = ("#3b82c4", "#d9822b", "#3f9b6c", "#9a6bc2", "#8a8f98")  # legible on both
COLORED = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")
PIXELS_PER_INCH = 92  # of a plot on the page: 8 inches fill it, and all have letters of one size
KINDS = {"reached": "passed", "not reached": "lost"}  # classes of style.css; whatever else is open
RUNS, METRICS, PAGE = "runs.json", "metrics.json", "index.html"
SCHEMA = 1


def set_style():
    """Plots without a window, in colours that `save_figure` can exchange."""
    import matplotlib

    matplotlib.use("agg")
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "legend.labelcolor")
    papered = ("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor")
    matplotlib.rcParams.update(
        {
            **dict.fromkeys(inked, INK),
            **dict.fromkeys(papered, PAPER),
            "axes.prop_cycle": matplotlib.cycler(color=COLORS, linestyle=("-", "--", "-.", ":", (0, (1, 1)))),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": "medium",
            "figure.constrained_layout.use": True,
            "figure.dpi": 144,
            "grid.color": COLORS[-1],
            "grid.alpha": 0.35,
            "image.cmap": "cividis",
            "legend.frameon": False,
        }
    )


def save_figure(figure, path):
    """Write `figure` to `path` for light pages, beside it for dark ones (x-dark.png), and close it.

    Returns both names and the width at which a page shows it.
    """
    import io

    import matplotlib.pyplot as plt

    dark = path.with_name(f"{path.stem}-dark.png")
    for target in (path, dark):
        if target == dark:
            figure.set_layout_engine("none")  # both have everything in the same places
            _exchange_colors(figure)
        image = io.BytesIO()
        figure.savefig(image, format="png", facecolor=figure.get_facecolor(), metadata={"Software": None})
        write(target, image.getvalue())
    plt.close(figure)
    return path.name, dark.name, round(figure.get_figwidth() * PIXELS_PER_INCH)


def _exchange_colors(figure):
    """Ink and paper of every artist for those on dark pages; data keep their colours."""
    from matplotlib.colors import to_rgba

    new = {to_rgba(old)[:3]: to_rgba(color)[:3] for old, color in ON_DARK.items()}
    for artist in figure.findobj():
        for name in COLORED:
            getter, setter = (getattr(artist, f"{verb}_{name}", None) for verb in ("get", "set"))
            if getter is None or setter is None:
                continue
            color = getter()
            several = getattr(color, "ndim", 1) == 2
            try:
                colors = [to_rgba(one) for one in (color if several else [color])]
            except ValueError:  # "auto" and the like
                continue
            if any(one[:3] in new for one in colors):
                exchanged = [(*new.get(one[:3], one[:3]), one[3]) for one in colors]
                setter(exchanged if several else exchanged[0])


def write_report(folder, facts, metrics, parts):
    """Write everything into `folder`. metrics: what goes into metrics.json; parts: as Run collects them.

    The page is written last: as long as it is the old one, so is what it shows. Of what else lies in the folder, only
    the plots of the report before are removed.
    """
    blocks, written, before = [], {METRICS, PAGE}, files_of(folder)
    for kind, name, *rest in parts:
        metrics["order"].append(kind)
        if kind == "figure":
            figure, caption = rest
            light, dark, width = save_figure(figure, folder / f"{_file_name(name)}.png")
            written |= {light, dark}
            shown = {"name": name, "dark": dark, "caption": caption, "width": width}
            metrics["figures"].append({**shown, "file": light})
            blocks.append({**shown, "light": light})
        elif kind == "table":
            metrics["tables"].append({"name": name, "rows": rest[0]})
            blocks.append({"name": name, "rows": rest[0]})
        else:
            metrics["notes"].append(name)
            blocks.append({"note": name})
    write(folder / METRICS, json.dumps(metrics, indent=2, ensure_ascii=False) + "\n")
    write(folder / PAGE, _page(facts, metrics, blocks))
    for name in before - written:
        (folder / name).unlink(missing_ok=True)


def files_of(folder):
    """The names of the files of the report in `folder`, as it says itself; none where there is no report."""
    try:
        figures = json.loads((folder / METRICS).read_text(encoding="utf-8"))["figures"]
        plots = [Path(figure[which]).name for figure in figures for which in ("file", "dark")]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {METRICS, PAGE, *plots}


def hashes(root):
    """{path below `root`: SHA-256} of the package and the milestones: their programs, facts and data."""
    found = (path for folder in ("tinytorch", "milestones") for path in sorted((root / folder).rglob("*")))
    files = (path for path in found if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _page(facts, metrics, blocks):
    compared = {claim["metric"] for claim in metrics["asserts"]}
    others = [[name, show(name, value)] for name, value in metrics["results"].items() if name not in compared]
    setting = [[name, str(value)] for name, value in metrics["setting"].items()]
    return _template("milestone.html").render(
        title=f"{facts['title']}: {metrics['data']}, seed {metrics['seed']}",
        heading=f"{facts['title']}, {facts['year']}",
        paper=facts["paper"],
        about=metrics["about"],
        verdicts=[_parts(claim) for claim in metrics["asserts"]],
        readme=f"milestones/{metrics['milestone']}/README.md",
        blocks=blocks,
        others=[["measured", "value"], *others] if others else [],
        setting=[["setting", "value"], *setting],
    )


def _parts(claim):
    """A verdict as the page shows it: its word, of which kind that is, and the rest."""
    word, _, rest = verdict(claim).partition(": ")
    return word, KINDS.get(claim["outcome"], "open"), rest


def _template(name):
    """A template of the pages that tito writes, too: they share a frame."""
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).resolve().parents[1] / "tito" / "templates" / "pages")
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(name)


def _file_name(name):
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")


def verdict(claim):
    """In words: what was measured, and against what. An upper bound is kept to or not, it is nothing to reach."""
    word, measured = claim["outcome"], show(claim["metric"], claim["value"])
    if claim["value"] is not None and "at_most" in claim:
        word = {"reached": "not exceeded", "not reached": "exceeded"}.get(word, word)
    if claim["interval"]:
        measured += " (from {:.4g} to {:.4g})".format(*claim["interval"])
    return f"{word}: {claim['metric']} {measured}; expected: {claim['words']}"


def show(name, value):
    """A measured value for a person: accuracies in percent."""
    if value is None:
        return "not measured"
    return f"{100 * value:.2f} %" if "accuracy" in name else f"{value:,.6g}"


def write(path, content):
    """Put `content` (text or bytes) at `path`: a reader sees the old file or the new one, never a part of either."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        draft.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


# the runs of a milestone: the best one on each dataset, and the last one


def read_runs(folder):
    """{"schema", "best": {dataset: entry}, "last": entry} and a warning. A file that cannot be read is kept aside."""
    empty = {"schema": SCHEMA, "best": {}, "last": None}
    path = folder / RUNS
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))
        if runs["schema"] != SCHEMA or not all(isinstance(one["report"], str) for one in runs["best"].values()):
            raise ValueError("another layout")
        return runs, ""
    except FileNotFoundError:
        return empty, ""
    except (ValueError, KeyError, TypeError, AttributeError):
        aside = path.with_name(f"{RUNS}.{datetime.now():%Y-%m-%dT%H-%M-%S.%f}.unreadable")
        path.replace(aside)
        return empty, f"{path} could not be read and is now {aside.name}; the reports are still there"


def remember(folder, entry):
    """Put a run into the runs of the milestone `folder`. Returns a warning, "" where all is well."""
    runs, warning = read_runs(folder)
    best = runs["best"].get(entry["data"])
    if best is None or score(entry) >= score(best):
        runs["best"][entry["data"]] = entry
    runs["last"] = entry
    write(folder / RUNS, json.dumps(runs, indent=2, ensure_ascii=False) + "\n")
    return warning


def keep_best(folder, name, data, new):
    """Before the report `name` is replaced by one that is worse than the best so far, move it out of the way."""
    runs, _ = read_runs(folder)
    best = runs["best"].get(data)
    if best is None or best["report"] != name or score(new) >= score(best) or not files_of(folder / name):
        return
    best["report"] = f"{name}-best"
    target = folder / best["report"]
    target.mkdir(exist_ok=True)
    for file in files_of(folder / name):
        if (folder / name / file).is_file():
            (folder / name / file).replace(target / file)
    write(folder / RUNS, json.dumps(runs, indent=2, ensure_ascii=False) + "\n")


def score(entry):
    """What makes one run better than another: that it reached its results, or missed none, then the first of them."""
    verdict = 2 if entry["reached"] else int(entry.get("undecided", False))
    if entry["value"] is None:
        return verdict, float("-inf")
    less_is_better = "loss" in entry["metric"] or "bits" in entry["metric"]
    return verdict, -entry["value"] if less_is_better else entry["value"]
