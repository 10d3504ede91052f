"""Who is how good in which division, of what was measured. It is never points."""

from dataclasses import dataclass
from pathlib import Path

from tito.errors import ProjectError, UsageError
from tito.services import pages
from tito.services.files import atomic_write
from tito.services.grading.book.course import require_course
from tito.services.grading.olympics import alone, class_run, results
from tito.services.grading.olympics.rules import read_rules

TITLES = ["place", "who", "title", ">figure", ">quality", ">of the reference's time", ">raw", ">pipe", ">bytes"]
HASH = 6  # characters of the file's hash, by which one's own runs of one minute are told apart


@dataclass(frozen=True)
class Place:
    """place: from 1, the same for equal figures; None for what is not ranked."""

    place: int | None
    result: results.KeptResult


@dataclass(frozen=True)
class Ranking:
    """A division and its results, the ranked ones first. official: whether all of them are."""

    division: object
    official: bool
    places: tuple

    @property
    def ranked(self):
        return [one for one in self.places if one.place is not None]

    @property
    def unranked(self):
        """[(who, why)] of what was measured and has no place.

        On a class's board without what the student's own program said: it has seen hidden data.
        """
        results = [one.result for one in self.places if one.place is None]
        return [
            (_who(one), one.measured.detail.partition(": ")[0] if self.official else one.measured.detail)
            for one in results
        ]


@dataclass(frozen=True)
class Board:
    """rankings: for each division that somebody entered. without_division, refused: (who or file, why)."""

    folder: Path
    rankings: tuple
    without_division: tuple
    refused: tuple


def read_board(project, catalog, folder=None):
    """The Board of the results in `folder`; in the course those of the class, else one's own, unless it is given.

    Raises UsageError for a folder that is none, ProjectError where nothing was measured yet.
    """
    rules, module = read_rules(project), alone.measured_module(catalog)
    own = class_run.results_folder(require_course(project), module) if project.is_course else None
    if folder is None:
        folder = own if own is not None and own.is_dir() else alone.results_folder(project)
        if not folder.is_dir():
            hint = f"tito grade autograde {module.name}" if project.is_course else "tito benchmark run"
            raise ProjectError("nothing was measured yet", hint, code="nothing-measured")
    elif not folder.is_dir():
        if str(folder) in rules.DIVISIONS:
            raise UsageError(f"{folder} is a division: the board shows all of them", "tito benchmark board")
        raise UsageError(f"{folder} is no folder", "name the one with the results, or none")
    keys = [alone.seal_key(project)] + ([class_run.seal_key(require_course(project))] if project.is_course else [])
    found, refused = results.read_folder(folder, *keys)
    rankings = (
        _ranking(division, found, official) for division in rules.DIVISIONS.values() for official in (True, False)
    )
    nowhere = [(one.who, one.measured.detail) for one in found if not one.measured.division]
    return Board(folder, tuple(one for one in rankings if one.places), tuple(nowhere), tuple(refused))


def _ranking(division, found, official):
    latest = {}
    for one in sorted(found, key=lambda one: one.at):  # of the same file measured twice, the last time
        if one.measured.division == division.name and one.measured.official == official:
            latest[one.who, one.measured.submission] = one
    ranked = sorted((one for one in latest.values() if one.measured.status == "ranked"), key=_key(division))
    figures = [_key(division)(one) for one in ranked]
    places = [Place(1 + figures.index(figure), one) for figure, one in zip(figures, ranked, strict=True)]
    others = [one for one in latest.values() if one.measured.status != "ranked"]
    if not official:  # of one's own tries, those that a later one made good are history
        success = max((one.at for one in ranked), default="")
        others = [one for one in others if one.at > success]
    places += [Place(None, one) for one in others]
    return Ranking(division, official, tuple(places))


def _key(division):
    """A function of a KeptResult: the figure by which `division` ranks, the least first.

    Times go by their ratio to the reference's in the same pairs: seconds of another hour do not compare.
    """
    figures = {
        "small": lambda measured: measured.bytes,
        "open": lambda measured: 1 - measured.quality,
    }
    figure = figures.get(division.name, lambda measured: measured.timing.compared.ratio)
    return lambda result: figure(result.measured)


def table(ranking):
    """(titles, rows of texts) of what is ranked in a Ranking; without the columns in which nothing stands."""
    rows = [_row(place, ranking) for place in ranking.ranked]
    titles = [title.replace("quality", ranking.division.quality) for title in TITLES]
    filled = [number for number in range(len(TITLES)) if any(row[number] for row in rows)]
    return [titles[number] for number in filled], [[row[number] for number in filled] for row in rows]


def _row(place, ranking):
    """The texts of a Place under TITLES."""
    one, division = place.result.measured, ranking.division
    size = "" if division.name == "small" and one.timing else f"{one.bytes:,}"  # which is its figure
    return [str(place.place), _who(place.result), one.title, *_figures(one, division), size]


def _who(result):
    return result.who or f"{result.at[:16].replace('T', ' ')}, {result.measured.submission[:HASH]}"


def _figures(one, division):
    timing = one.timing
    quality = "" if one.quality is None else shown_quality(one, division)
    if timing is None:
        return ["", quality, "", "", ""]
    compared = timing.compared
    figure = {
        "small": f"{one.bytes:,} bytes",
        "fast": f"{1000 * timing.own:.3g} ms",
        "tokens": f"{1 / timing.own:,.0f} tokens/s",
        "open": f"{100 * (1 - one.quality):.2f} % wrong",
    }[division.name]
    ratio = f"{compared.ratio:.3g} [{compared.low:.3g}, {compared.high:.3g}]"
    return [figure, quality, ratio, f"{1000 * timing.raw:.3g} ms", f"{1000 * (timing.raw - timing.own):.3g} ms"]


def shown_quality(one, division):
    if division.quality == "accuracy":
        return f"{100 * one.quality:.1f} ± {100 * one.error:.1f} %"
    return f"{one.quality:.3f} ± {one.error:.3f} nats"


def write_page(board, path):
    """Write the board as one HTML file."""
    rankings = [(ranking, *table(ranking)) for ranking in board.rankings]
    atomic_write(path, pages.render("board.html", title="Olympics", rankings=rankings, board=board))
