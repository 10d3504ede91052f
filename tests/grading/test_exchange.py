"""A JupyterHub's way: released into nbgrader's exchange, fetched and submitted by nbgrader, collected by tito."""

import os
import pwd
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from small_course import StandIn
from tiny_course import REPOSITORY
from week import Week

from tito.services.grading.intake.inbound import Inbound
from tito.services.grading.intake.received import read_submissions
from tito.services.grading.intake.senders import Whose
from tito.services.grading.reports.feedback import feedback
from tito.services.grading.scoring.autograde import autograde

OURSELVES = pwd.getpwuid(os.geteuid()).pw_name
ANYBODY = "c.ExchangeCollect.check_owner = False\n"


class Hub:
    """An exchange for a course, and the folder of a student who works with nbgrader."""

    def __init__(self, week):
        self.week = week
        self.exchange = week.root.parent / "exchange"
        self.exchange.mkdir()
        week.course.prepare()
        settings = week.course.settings
        text = settings.read_text(encoding="utf-8").replace('str(here / "exchange")', repr(str(self.exchange)))
        settings.write_text(text.replace('"tinytorch"', '"tt101"'), encoding="utf-8")
        self.home = week.root.parent / "student"
        self.home.mkdir()
        lines = f"c = get_config()\nc.Exchange.root = {str(self.exchange)!r}\nc.CourseDirectory.course_id = 'tt101'\n"
        (self.home / "nbgrader_config.py").write_text(lines, encoding="utf-8")

    def settings(self, text):
        with self.week.course.settings.open("a", encoding="utf-8") as file:
            file.write(text)

    def nbgrader(self, *arguments, cwd=None):
        home = self.home / "home"
        environment = {**os.environ, "HOME": str(home), "JUPYTER_DATA_DIR": str(home / "data")}
        command = [sys.executable, "-m", "nbgrader", *arguments]
        done = subprocess.run(
            command, cwd=cwd or self.home, env=environment, capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stderr + done.stdout

    def entry(self, user, time, notebook, module="01_alpha", letters="+Ab-_12"):
        """What `nbgrader submit` writes, without running it."""
        folder = self.exchange / "tt101" / "inbound" / f"{user}+{module}+{time}{letters}"
        folder.mkdir(parents=True)
        (folder / "alpha_dev.ipynb").write_bytes(notebook)
        (folder / "timestamp.txt").write_text(time)
        (folder / "submission_secret.txt").write_text(f"secret of {user}")
        return folder


@pytest.fixture
def week(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    return Week(tmp_path / "course", monkeypatch)


@pytest.fixture
def hub(week):
    return Hub(week)


def rows(said):
    return [(row["status"], row["student"], row["module"], row["reason"]) for row in said.document["data"]["files"]]


def test_nbgraders_own_commands_take_what_tito_releases_and_tito_takes_what_they_submit(week, hub):
    # the instructor releases
    said = week.tito("release", "alpha", "--exchange")
    assert said.exit_code == 0 and "released in the exchange" in said.stdout, said.stderr
    assert week.json("release", "alpha", "--exchange").data["exchange"][0]["status"] == "unchanged"
    # the student lists, fetches, solves and submits
    assert "tt101 01_alpha" in hub.nbgrader("list")
    hub.nbgrader("fetch_assignment", "01_alpha")
    fetched = hub.home / "01_alpha" / "alpha_dev.ipynb"
    released = week.course.release / "01_alpha" / "alpha_dev.ipynb"
    assert fetched.read_bytes() == released.read_bytes() and "twofold_of_the_number" not in fetched.read_text()
    fetched.write_bytes(week.notebook(double="#| export\ndef double(number):\n    return 2 * number\n"))
    before = datetime.now(UTC)
    hub.nbgrader("submit", "01_alpha")
    assert f"tt101 {OURSELVES} 01_alpha" in hub.nbgrader("list", "--inbound")
    # the instructor collects: by the owner, at the time of the exchange
    collected = week.json("collect", "--exchange")
    assert collected.exit_code == 0, collected.stdout
    assert rows(collected) == [("collected", OURSELVES, "01_alpha", "")]
    assert week.submitted(OURSELVES) == fetched.read_bytes()
    (folder,) = (hub.exchange / "tt101" / "inbound").iterdir()
    stamp = (folder / "timestamp.txt").read_text()
    entry = read_submissions(week.course)["01_alpha"][OURSELVES]
    assert entry["time"] == datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC).isoformat()
    assert abs(datetime.fromisoformat(entry["time"]) - before) < timedelta(minutes=2)
    assert rows(week.json("collect", "--exchange")) == [("unchanged", OURSELVES, "01_alpha", "")]
    # feedback goes back through nbgrader
    autograde(week.project, week.catalog, week.alpha, executor=StandIn())
    page = feedback(week.project, week.alpha).pages[OURSELVES]
    hub.nbgrader("release_feedback", "01_alpha", cwd=week.course.root)
    hub.nbgrader("fetch_feedback", "01_alpha")
    (back,) = (hub.home / "01_alpha" / "feedback").rglob("*.html")
    assert back.read_bytes() == page.read_bytes()


def test_what_nbgrader_collected_is_taken_with_its_time(week, hub):
    hub.settings(ANYBODY)
    hub.entry("ana", "2026-11-26 10:00:00.000000 UTC", week.notebook(mark="ana"))
    hub.nbgrader("collect", "01_alpha", cwd=week.course.root)
    said = week.json("collect", week.course.submitted)
    assert rows(said)[0][:3] == ("unchanged", "ana", "01_alpha") and said.exit_code == 0
    (attempt,) = read_submissions(week.course)["01_alpha"]["ana"]["attempts"]
    assert (attempt["time"], attempt["secret"]) == ("2026-11-26T10:00:00+00:00", "secret of ana")
    assert (week.course.submission("ana", week.alpha) / "submission_secret.txt").read_text() == "secret of ana"


def test_every_attempt_is_kept_and_the_latest_counts(week, hub):
    hub.settings(ANYBODY)
    hub.entry("ana", "2026-11-26 10:00:00.5 UTC", week.notebook(mark="second"), letters="")
    hub.entry("ana", "2026-11-25 10:00:00.000000 UTC", week.notebook(mark="first"))
    hub.entry("a+b", "2026-11-25 10:00:00.000000 UTC", week.notebook(mark="plus"))
    said = week.json("collect", "--exchange")
    assert said.exit_code == 0, said.stdout
    assert [row[:2] for row in rows(said)] == [("collected", "a-b"), ("kept", "ana"), ("collected", "ana")]
    assert week.submitted("ana") == week.notebook(mark="second")
    assert week.submitted("a-b") == week.notebook(mark="plus")


def test_a_folder_that_another_user_owns_is_nobodys(week, hub):
    hub.entry("ana", "2026-11-26 10:00:00.000000 UTC", week.notebook())
    said = week.json("collect", "--exchange")
    ((status, student, _, reason),) = rows(said)
    assert (said.exit_code, status, student) == (1, "ambiguous", "")
    assert f"says that it is of ana, and belongs to {OURSELVES}" in reason
    assert week.submitted("ana") is None
    hub.settings(ANYBODY)
    assert week.tito("collect", hub.exchange / "tt101" / "inbound").exit_code == 0
    assert week.submitted("ana") == week.notebook()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_one_file_of_another_user_in_it_is_enough(week, hub):
    folder = hub.entry(OURSELVES, "2026-11-26 10:00:00.000000 UTC", week.notebook())
    assert Inbound(folder.parent, check_owner=True).whose(_only(folder), {}).student == OURSELVES
    os.chown(folder / "alpha_dev.ipynb", 65534, 65534)
    found = Inbound(folder.parent, check_owner=True).whose(_only(folder), {})
    assert isinstance(found, Whose) and found.ambiguous and not found.student


def _only(folder):
    (entry,) = Inbound(folder.parent, check_owner=True).entries.values()
    return entry


AS_NOBODY = """
import os, pwd, sys
from pathlib import Path
from tito.services.grading.intake import archives, attempts, inbound
attempts.read_stamp("2026-11-26 10:00:00.000000 UTC")  # loads what nobody else may read on some machines
os.seteuid(65534)
path = Path(sys.argv[1])
inbound.Inbound(path, check_owner=True)
for file in archives.walk(path):
    print(file.path.split("/")[1][:3], len(file.path.split("/")), file.refused or "read")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_folder_that_lets_nobody_look_holds_up_nobody_else(week):
    """A student gives the folder of a submission whatever rights; the instructor is not root."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        for user, rights in (("ana", 0o755), ("bob", 0o000), ("cyd", 0o444), ("dan", 0o333)):
            folder = Path(place) / f"{user}+01_alpha+2026-11-26 10:00:00.000000 UTC+Ab-_12"
            folder.mkdir()
            (folder / "alpha_dev.ipynb").write_bytes(week.notebook())
            folder.chmod(rights)
        command = [sys.executable, "-c", AS_NOBODY, place]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [
        "ana 3 read",
        "bob 2 cannot be read: Permission denied",
        "cyd 3 cannot be read: Permission denied",
        "dan 2 cannot be read: Permission denied",
    ]


def test_a_class_list_says_whose_login_it_is(week, hub):
    hub.settings(ANYBODY)
    week.tito("roster", "import", week.file("class.csv", "id,login,email\ns1,ana,ana@x.y\ns2,bob,bob@x.y\n"))
    hub.entry("ana", "2026-11-26 10:00:00.000000 UTC", week.notebook())
    hub.entry("eve", "2026-11-26 10:00:00.000000 UTC", week.notebook())
    said = week.json("collect", "--exchange")
    assert [row[:2] for row in rows(said)] == [("refused", ""), ("collected", "s1")]
    assert "eve, who is not on the class list" in rows(said)[0][3]
    assert said.document["data"]["missing"] == {"01_alpha": ["s2"]}


def test_what_does_not_belong_into_a_submission(week, hub):
    hub.settings(ANYBODY)
    one = hub.entry("ana", "2026-11-26 10:00:00.000000 UTC", week.notebook(mark="right"))
    (one / "alpha_dev-Copy1.ipynb").write_bytes(week.notebook(mark="copy"))
    hub.entry("bob", "2026-11-26 10:00:00.000000 UTC", week.notebook("beta"))
    hub.entry("cyd", "2026-11-26 10:00:00.000000 UTC", week.notebook(), module="99_other")
    said = week.json("collect", "--exchange")
    found = {row[1]: (row[0], row[3]) for row in rows(said)}
    assert found["ana"] == ("collected", "") and week.submitted("ana") == week.notebook(mark="right")
    assert found["bob"] == ("refused", "was submitted as 01_alpha and is a notebook of 02_beta")
    assert found["cyd"] == ("refused", "was submitted as 99_other and is a notebook of 01_alpha")
    assert said.document["data"]["ignored"] == 4, "the copy, and the secrets"


def test_a_second_file_of_a_module_comes_with_its_own_attempt(week, hub):
    path = week.root / "modules" / "01_alpha" / "module.toml"
    path.write_text('artifact = "submission.npz"\n' + path.read_text(encoding="utf-8"), encoding="utf-8")
    hub.settings(ANYBODY)
    for day, letter in ((25, b"PK first"), (26, b"PK second")):
        folder = hub.entry("ana", f"2026-11-{day} 10:00:00.000000 UTC", week.notebook(mark=f"day {day}"))
        (folder / "submission.npz").write_bytes(letter)
    assert week.tito("collect", "--exchange", "--attempt", "first").exit_code == 0
    assert (week.course.submission("ana", week.alpha) / "submission.npz").read_bytes() == b"PK first"
    assert week.tito("collect", "--exchange", "--attempt", "latest").exit_code == 0
    assert (week.course.submission("ana", week.alpha) / "submission.npz").read_bytes() == b"PK second"
    assert week.submitted("ana") == week.notebook(mark="day 26")


def test_a_time_stamp_that_the_file_system_contradicts_is_named(week, hub):
    hub.settings(ANYBODY)
    due = (datetime.now(UTC) - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M")
    week.tito("due", "alpha", due, "--tz", "UTC")
    early = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S.%f UTC")
    folder = hub.entry("ana", early, week.notebook())
    said = week.tito("collect", "--exchange")
    assert said.exit_code == 0 and "was changed after the due date: ana" in said.stderr
    late = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S.%f UTC")
    (folder / "timestamp.txt").write_text(late)
    (entry,) = Inbound(folder.parent, check_owner=False).entries.values()
    assert entry.time.strftime("%Y-%m-%d %H:%M:%S.%f UTC") == late, "of two times the later one"


def test_another_release_in_the_exchange_is_not_replaced_unasked(week, hub):
    assert week.tito("release", "alpha", "--exchange").exit_code == 0
    place = hub.exchange / "tt101" / "outbound" / "01_alpha" / "alpha_dev.ipynb"
    place.write_text("{}")
    said = week.json("release", "alpha", "--exchange")
    assert (said.exit_code, said.error["code"]) == (3, "released") and place.read_text() == "{}"
    assert week.tito("release", "alpha", "--exchange", "--force").exit_code == 0
    assert place.read_bytes() == (week.course.release / "01_alpha" / "alpha_dev.ipynb").read_bytes()


def test_what_nbgrader_refuses_and_what_is_not_there_is_said(week, hub):
    said = week.json("collect", "--exchange")
    assert (said.exit_code, said.error["code"]) == (3, "exchange") and "nothing was released" in said.error["message"]
    for arguments in ([], ["--exchange", hub.exchange]):
        assert week.tito("collect", *arguments).exit_code == 2
    hub.settings(f"c.Exchange.root = {str(week.file('no folder', ''))!r}\n")
    said = week.json("release", "alpha", "--exchange")
    assert (said.exit_code, said.error["code"]) == (3, "exchange"), said.stdout
    assert "nbgrader does not put 01_alpha into the exchange" in said.error["message"]
    hub.settings("c.ExchangeFactory.collect = 'nbgrader.no_such_exchange'\n")
    said = week.json("collect", "--exchange")
    assert (said.exit_code, said.error["code"]) == (3, "settings"), said.stdout
    hub.settings("from nbgrader.exchange.default import ExchangeCollect\n")
    hub.settings("c.ExchangeFactory.collect = type('Ngshare', (ExchangeCollect,), {})\n")
    said = week.json("collect", "--exchange")
    assert "nbgrader collect M" in said.error["hint"] and said.exit_code == 3
