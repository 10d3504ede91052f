"""The class at a glance: one HTML page for the instructor about a module, without any student's code."""

from collections import Counter
from dataclasses import dataclass
from statistics import median

from tito.services.files import atomic_write
from tito.services.grading.book.course import require_course
from tito.services.grading.book.results import STATUSES, counted
from tito.services.grading.reports.rules import read_rules
from tito.services.grading.reports.standing import standings
from tito.services.grading.reports.term import DROPPED, TermSoFar
from tito.services.pages import render
from tito.services.words import duration, number

BINS = 10
MESSAGES = 15
MESSAGE_LENGTH = 160


@dataclass(frozen=True)
class ClassReport:
    module: str
    path: object
    statuses: dict
    mean: float | None


def report(project, module, output=None):
    """Write the page about `module`; to assignments/reports/ unless `output` names a file."""
    course = require_course(project)
    found = standings(course, module)
    scored = [one for one in found if one.points is not None]
    labels, counts = _distribution(scored)
    page = render(
        "class.html",
        title=f"{module.title}: the class at a glance",
        summary=_summary(module, found, scored),
        said="; ".join(f"{label}: {count}" for label, count in zip(labels, counts, strict=True) if count),
        sections=[
            _statuses(found),
            _scores_section(labels, counts) if scored else _section(),
            _questions(scored),
            _tests(scored) if scored else _section(),
            _messages(scored),
            _written(scored),
            _times(scored),
            _term(course, module, found),
            _open_ones(found),
        ],
    )
    path = output or course.root / "reports" / f"{module.name}.html"
    atomic_write(path, page)
    shares = [_share(one) for one in scored]
    counts = Counter(one.status for one in found)
    return ClassReport(module.name, path, dict(counts), sum(shares) / len(shares) if shares else None)


def _section(title="", caption="", columns=(), rows=(), terms=(), nothing="", bars=()):
    """A part of the page: a table, or pairs of `terms`, or the sentence `nothing`; left out where it is none."""
    return {"title": title, "caption": caption, "columns": columns, "rows": rows, "terms": terms, "nothing": nothing,
            "bars": bars}  # fmt: skip


def _share(one):
    """The part of all points that a student has."""
    return one.points / one.submission.max_points if one.submission.max_points else 0.0


def _percent(share):
    return f"{100 * share:.0f} %"


def _summary(module, found, scored):
    pairs = [("Module", module.name), ("Students", len(found)), ("With a score", len(scored))]
    points = [one.points for one in scored]
    if points:
        most = scored[0].submission.max_points
        pairs += [
            ("Mean", f"{number(sum(points) / len(points))} of {number(most)}"),
            ("Median", f"{number(median(points))} of {number(most)}"),
            ("From, to", f"{number(min(points))}, {number(max(points))}"),
        ]
    late = [one.late for one in scored if one.late]
    if late:
        pairs.append(("Late", f"{len(late)}, by up to {duration(max(late))}"))
    waiting = sum(1 for one in scored if one.submission.waiting)
    if waiting:
        pairs.append(("With an answer that a person has to look at", waiting))
    tried = [one.record.result for one in scored]
    helped = [result for result in tried if result.second_points > result.points]
    if helped:
        gained = sum(result.second_points - result.points for result in helped) / len(helped)
        pairs.append(("Better in the second try", f"{len(helped)}, by {number(gained)} points on average"))
    return pairs


def _statuses(found):
    counts = Counter(one.status for one in found)
    order = [*STATUSES, "waiting"]
    rows = [[status, counts[status]] for status in order if counts[status]]
    return _section("Statuses", "What became of the submissions", ["Status", ">Students"], rows)


# The distribution of scores.


def _distribution(scored):
    """(a label, how many students have this part of all points) for each part, as two lists."""
    counts = [0] * BINS
    for one in scored:
        counts[min(BINS - 1, max(0, int(_share(one) * BINS)))] += 1
    return [f"{100 * low // BINS}–{100 * (low + 1) // BINS} %" for low in range(BINS)], counts


def _scores_section(labels, counts):
    rows = list(zip(labels, counts, strict=True))
    caption = "Students by the part of all points that they have"
    return _section("Scores", caption, ["Part", ">Students"], rows, bars=_bars(labels, counts))


def _bars(labels, counts):
    """Where each bar stands in a picture of 600 by 220, above a line at 190."""
    step, most = 600 / len(counts), max(counts)
    for place, (label, count) in enumerate(zip(labels, counts, strict=True)):
        tall = 160 * count / most
        yield {
            "left": round(place * step + 6),
            "middle": round((place + 0.5) * step),
            "width": round(step - 12),
            "top": round(190 - tall, 1),
            "above": round(184 - tall, 1),
            "height": round(tall, 1),
            "label": label,
            "count": count,
        }


# What was missed.


def _scores(scored):
    """Yield (CellScore, which try counts) of every test of every student."""
    for one in scored:
        for score in one.record.result.cells:
            yield score, one.record.recorded == "second"


def _questions(scored):
    earned, worth, full, none = Counter(), Counter(), Counter(), Counter()
    for one in scored:
        second = one.record.recorded == "second"
        mine = {}
        for score in one.record.result.cells:
            points, most = mine.get(score.question, (0, 0))
            mine[score.question] = points + counted(score, second), most + score.max_points
        for question, (points, most) in mine.items():
            earned[question] += points
            worth[question] += most
            full[question] += points == most
            none[question] += points == 0
    order = sorted(worth, key=lambda question: earned[question] / (worth[question] or 1))
    rows = [
        [question or "the module as a whole", _percent(earned[question] / (worth[question] or 1)), full[question],
         none[question]]
        for question in order
    ]  # fmt: skip
    columns = ["Question", ">Points earned", ">All points", ">No points"]
    return _section("Questions", "Questions, the most missed first", columns, rows)


def _tests(scored):
    lost, statuses = Counter(), {}
    for score, second in _scores(scored):
        if counted(score, second) < score.max_points:
            lost[score.grade_id] += 1
            statuses.setdefault(score.grade_id, Counter())[score.status] += 1
    rows = [
        [name, count, _percent(count / len(scored)),
         ", ".join(f"{status} {times}" for status, times in statuses[name].most_common())]
        for name, count in lost.most_common()
    ]  # fmt: skip
    columns = ["Test", ">Students", ">Of the class", "Because"]
    return _section("", "Tests in which points were lost", columns, rows, nothing="Nobody lost a point in a test.")


def _messages(scored):
    counts = Counter()
    for score, second in _scores(scored):
        if counted(score, second) < score.max_points and score.message:
            counts[score.grade_id, score.message.splitlines()[0][:MESSAGE_LENGTH]] += 1
    rows = [[name, message, count] for (name, message), count in counts.most_common(MESSAGES)]
    return _section("Messages", "The most frequent messages", ["Test", "Message", ">Students"], rows)


def _written(scored):
    names = {}
    for one in scored:
        for grade in one.submission.grades.values():
            if grade.written:
                names.setdefault(grade.name, []).append(grade)
    rows = []
    for name, grades in names.items():
        done = [grade for grade in grades if not grade.empty and (not grade.waiting or grade.by_person is not None)]
        empty = sum(grade.empty for grade in grades)
        worth = sum(grade.max_points for grade in done)
        share = _percent(sum(grade.points for grade in done) / worth) if worth else ""
        rows.append([name, len(done), len(grades) - len(done) - empty, empty, share])
    columns = ["Answer", ">Graded", ">Open", ">Empty", ">Points earned"]
    return _section("Answers in words", "What a person grades", columns, rows)


def _times(scored):
    seconds = sorted(one.record.result.seconds for one in scored)
    if not seconds:
        return _section()
    slowest = max(scored, key=lambda one: one.record.result.seconds).student.name
    pairs = [
        ("Median", f"{seconds[len(seconds) // 2]:.1f} s"),
        ("Fastest", f"{seconds[0]:.1f} s"),
        ("Slowest", f"{seconds[-1]:.1f} s ({slowest})"),
    ]
    return _section("Time to grade a submission", terms=pairs)


def _term(course, module, found):
    """The sums of what was published until now, where the course says how a term is summed up."""
    if not read_rules(course.project).stated:
        return _section()
    so_far = TermSoFar(course, module)
    sums = [(one.student.name, so_far.of(one.student.id)) for one in found]
    percents = [summed.percent for _, summed in sums if summed.percent is not None]
    rows = [
        [name, "" if summed.percent is None else f"{number(summed.percent)} %", summed.slip_days,
         ", ".join(summed.names(DROPPED))]
        for name, summed in sums
    ]  # fmt: skip
    half = f"; the median is {number(median(percents))} %" if percents else ""
    caption = f"Sums of all that was published so far{half}"
    return _section("The term so far", caption, ["Student", ">Sum", ">Slip days spent", "Left out"], rows)


def _open_ones(found):
    """Those of whom there is something else to know than a score, by name."""
    rows = []
    for one in found:
        if one.status != "graded":
            detail = one.record.result.detail if one.record and one.status not in ("missing", "waiting") else ""
            rows.append([one.student.name, one.status, detail])
    return _section("Students to look at", "All but the graded", ["Student", "Status", "Why"], rows)
