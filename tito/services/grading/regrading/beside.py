"""Two scores of one submission beside each other: which questions differ, why, and which of both counts."""

from dataclasses import dataclass, replace

from tito.services.grading.book.results import counted

STAYS = "these points were published and stay; with version"  # of the course


@dataclass(frozen=True)
class ScoreDifference:
    """A question of a student whose points differ. old: as recorded; new: of the second run; stays: the old points
    count, because they were published and the new ones are fewer.

    tests: of this question, those that are not as they were, in words; reference: what else of the course changed, its
    answers, provided cells and files; outcomes: what became of each test, in words.
    """

    student: str
    question: str
    old: float
    new: float
    max_points: float
    stays: bool
    tests: tuple = ()
    reference: tuple = ()
    outcomes: tuple = ()

    @property
    def counts(self):
        return self.old if self.stays else self.new


@dataclass(frozen=True)
class Beside:
    """One student's two scores. result: the SubmissionResult that counts; differences: the questions that differ;
    by_person: the tests whose points would differ, had no person given them others.
    """

    result: object
    differences: tuple
    by_person: tuple = ()


def lay(old, new, grades, told, changed, *, second_try, also_lower, after):
    """Beside of `old` and `new`, the SubmissionResults of one file. Question by question the new points count, but
    where they are fewer than what was published.

    grades: {name: gradebook.Grade}, whose points of a person stay; told: {test: points that were published}, {} where
    none were; changed: versions.Changes; after: the name of the new version.
    """
    was, cells, differences, by_person = {one.grade_id: one for one in old.cells}, [], [], []
    for question, fresh in _by_question(new).items():
        former = [was[one.grade_id] for one in fresh if one.grade_id in was]
        settled = {name for name, grade in grades.items() if grade.by_person is not None}
        less, more = (
            sum(counted(one, second_try) for one in some if one.grade_id not in settled) for some in (former, fresh)
        )
        floor = sum(_told(told, grades, one.grade_id) for one in fresh if one.grade_id not in settled)
        stays = more < floor and not also_lower
        cells += [_kept(was[one.grade_id], one, second_try, after) for one in fresh] if stays else fresh
        by_person += [one.grade_id for one in fresh if one.grade_id in settled and _differs(was, one, second_try)]
        if less != more:
            differences.append(
                ScoreDifference(
                    student=new.student,
                    question=question or "the module as a whole",
                    old=less,
                    new=more,
                    max_points=sum(one.max_points for one in fresh),
                    stays=stays,
                    tests=tuple(changed.tests[one.grade_id] for one in fresh if one.grade_id in changed.tests),
                    reference=changed.others(question),
                    outcomes=tuple(
                        _outcome(was.get(one.grade_id), one) for one in fresh if _differs(was, one, second_try)
                    ),
                )
            )
    return Beside(replace(new, cells=tuple(cells)), tuple(differences), tuple(by_person))


def _by_question(result):
    found = {}
    for one in result.cells:
        found.setdefault(one.question, []).append(one)
    return found


def _differs(was, one, second_try):
    former = was.get(one.grade_id)
    return former is None or counted(former, second_try) != counted(one, second_try)


def _outcome(former, one):
    return f"{one.grade_id} {former.status if former else 'not there'}, now {one.status}"


def _told(told, grades, name):
    """What was published for a test, without the extra credit that a person gave."""
    return told.get(name, 0) - (grades[name].extra if name in told and name in grades else 0)


def _kept(former, fresh, second_try, after):
    """The cell that was published, worth what it is worth now."""
    if counted(former, second_try) == counted(fresh, second_try):
        return fresh
    own = former.message.partition(STAYS)[0].rstrip()
    note = f"{STAYS} {after}: {fresh.message or fresh.status}"
    return replace(former, max_points=fresh.max_points, message="\n".join(filter(None, (own, note))))
