"""The class at a glance: one HTML page for the instructor about a module, without any student's code."""

from collections import Counter
from dataclasses import dataclass
from statistics import median

from tito.services.files import atomic_write
from tito.services.grading.book.course import require_course
from tito.services.grading.book.results import STATUSES, counted
from tito.services.grading.reports.pages import escape, number, page, table, terms
from tito.services.grading.reports.standing import standings
from tito.services.words import duration

BINS = 10
MESSAGES = 15
MESSAGE_LENGTH = 160


@dataclass(frozen=True)
class Report:
    module: str
    path: object
    statuses: dict
    mean: float | None


def report(project, module, output=None):
    """Write the page about `module`; to assignments/reports/ unless `output` names a file."""
    course = require_course(project)
    found = standings(course, module)
    scored = [one for one in found if one.points is not None]
    parts = [
        _summary(module, found, scored),
        _statuses(found),
        _distribution(scored),
        _questions(scored),
        _messages(scored),
    ]
    parts += [_written(scored), _times(scored), _open_ones(found)]
    path = output or course.root / "reports" / f"{module.name}.html"
    atomic_write(path, page(f"{module.title}: the class at a glance", "\n".join(part for part in parts if part)))
    shares = [_share(one) for one in scored]
    counts = Counter(one.status for one in found)
    return Report(module.name, path, dict(counts), sum(shares) / len(shares) if shares else None)


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
    return terms(pairs)


def _statuses(found):
    counts = Counter(one.status for one in found)
    order = [*STATUSES, "waiting"]
    rows = [[status, counts[status]] for status in order if counts[status]]
    return "<h2>Statuses</h2>\n" + table("What became of the submissions", ["Status", ">Students"], rows)


# The distribution of scores.


def _distribution(scored):
    if not scored:
        return ""
    counts = [0] * BINS
    for one in scored:
        counts[min(BINS - 1, max(0, int(_share(one) * BINS)))] += 1
    labels = [f"{100 * low // BINS}–{100 * (low + 1) // BINS} %" for low in range(BINS)]
    rows = [[label, count] for label, count in zip(labels, counts, strict=True)]
    return "\n".join([
        "<h2>Scores</h2>",
        _bars(labels, counts),
        table("Students by the part of all points that they have", ["Part", ">Students"], rows),
    ])  # fmt: skip


def _bars(labels, counts):
    """A bar for each count, as an inline picture that a screen reader reads as a sentence."""
    width, height, bottom = 600, 220, 190
    step, most = width / len(counts), max(counts)
    said = "; ".join(f"{label}: {count}" for label, count in zip(labels, counts, strict=True) if count)
    shapes = []
    for place, (label, count) in enumerate(zip(labels, counts, strict=True)):
        tall = (bottom - 30) * count / most
        left, middle = place * step, (place + 0.5) * step
        shapes.append(f'<rect x="{left + 6:.0f}" y="{bottom - tall:.1f}" width="{step - 12:.0f}" height="{tall:.1f}"/>')
        shapes.append(f'<text x="{middle:.0f}" y="{bottom - tall - 6:.1f}" text-anchor="middle">{count or ""}</text>')
        shapes.append(f'<text x="{middle:.0f}" y="{bottom + 18}" text-anchor="middle">{escape(label)}</text>')
    shapes.append(f'<line x1="0" y1="{bottom}" x2="{width}" y2="{bottom}"/>')
    return (
        f'<svg role="img" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'aria-labelledby="scores-title scores-text"><title id="scores-title">Distribution of scores</title>'
        f'<desc id="scores-text">Students by the part of all points that they have: {escape(said)}.</desc>\n'
        + "\n".join(shapes)
        + "\n</svg>"
    )


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
    if not worth:
        return ""
    order = sorted(worth, key=lambda question: earned[question] / (worth[question] or 1))
    rows = [
        [question or "the module as a whole", _percent(earned[question] / (worth[question] or 1)), full[question],
         none[question]]
        for question in order
    ]  # fmt: skip
    columns = ["Question", ">Points earned", ">All points", ">No points"]
    return "<h2>Questions</h2>\n" + table("Questions, the most missed first", columns, rows) + "\n" + _tests(scored)


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
    if not rows:
        return "<p>Nobody lost a point in a test.</p>"
    return table("Tests in which points were lost", ["Test", ">Students", ">Of the class", "Because"], rows)


def _messages(scored):
    counts = Counter()
    for score, second in _scores(scored):
        if counted(score, second) < score.max_points and score.message:
            counts[score.grade_id, score.message.splitlines()[0][:MESSAGE_LENGTH]] += 1
    rows = [[name, message, count] for (name, message), count in counts.most_common(MESSAGES)]
    if not rows:
        return ""
    return "<h2>Messages</h2>\n" + table("The most frequent messages", ["Test", "Message", ">Students"], rows)


def _written(scored):
    names = {}
    for one in scored:
        for grade in one.submission.grades.values():
            if grade.written:
                names.setdefault(grade.name, []).append(grade)
    rows = []
    for name, grades in names.items():
        done = [grade for grade in grades if not grade.waiting or grade.by_person is not None]
        worth = sum(grade.max_points for grade in done)
        share = _percent(sum(grade.points for grade in done) / worth) if worth else ""
        rows.append([name, len(done), len(grades) - len(done), share])
    if not rows:
        return ""
    columns = ["Answer", ">Graded", ">Open", ">Points earned"]
    return "<h2>Answers in words</h2>\n" + table("What a person grades", columns, rows)


def _times(scored):
    seconds = sorted(one.record.result.seconds for one in scored)
    if not seconds:
        return ""
    slowest = max(scored, key=lambda one: one.record.result.seconds).student.name
    pairs = [
        ("Median", f"{seconds[len(seconds) // 2]:.1f} s"),
        ("Fastest", f"{seconds[0]:.1f} s"),
        ("Slowest", f"{seconds[-1]:.1f} s ({slowest})"),
    ]
    return "<h2>Time to grade a submission</h2>\n" + terms(pairs)


def _open_ones(found):
    """Those of whom there is something else to know than a score, by name."""
    rows = []
    for one in found:
        if one.status != "graded":
            detail = one.record.result.detail if one.record and one.status not in ("missing", "waiting") else ""
            rows.append([one.student.name, one.status, detail])
    if not rows:
        return ""
    return "<h2>Students to look at</h2>\n" + table("All but the graded", ["Student", "Status", "Why"], rows)
