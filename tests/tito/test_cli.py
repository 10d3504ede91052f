"""The command line itself: exit codes, the form of every error, and who may read stdout."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from tiny_course import Workspace, run_tito

from tito.services.words import numbers

HEAVY = {"rich", "nbformat", "nbclient", "jupytext", "nbdev", "nbgrader", "numpy", "jupyter_client", "asyncio"}
COMMANDS = [
    ("init", "--help"), ("doctor", "--help"), ("module", "list", "--help"), ("module", "status", "--help"),
    ("module", "start", "--help"), ("module", "view", "--help"), ("module", "test", "--help"),
    ("module", "complete", "--help"), ("module", "reset", "--help"), ("export", "--help"), ("test", "--help"),
    ("--version",),
]  # fmt: skip


def start(root, *args, **options):
    """tito as a running process."""
    environment = {**os.environ, "PYTHONPATH": str(root), **options.pop("env", {})}
    return subprocess.Popen(
        [sys.executable, "-m", "tito", *args], cwd=root, env=environment, stderr=subprocess.PIPE, **options
    )


def sabotage(root, statement):
    """Make every command that needs a project run `statement` first."""
    path = root / "tito" / "commands" / "context.py"
    text = path.read_text(encoding="utf-8")
    line = "    project = find_project()\n"
    assert line in text
    path.write_text(text.replace(line, f"    {statement}\n{line}"), encoding="utf-8")


def test_nothing_heavy_is_imported_for_help(mini_course):
    program = (
        "import sys\nfrom tito.app import main\nassert main(['--help']) == 0\n"
        "print(*{name.split('.')[0] for name in sys.modules}, *sys.modules)"
    )
    child = subprocess.run(
        [sys.executable, "-c", program], cwd=mini_course, env={**os.environ, "PYTHONPATH": str(mini_course)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(child.stdout.splitlines()[-1].split())
    assert "tito.commands.module" in loaded
    assert not loaded & HEAVY
    assert not [name for name in loaded if name.startswith("tito.services")]


def test_no_grammar_of_uris_is_compiled_to_read_notebooks(workspace):
    program = "import sys\nfrom tito.app import main\nmain(['module', 'status'])\nprint(*sys.modules)"
    child = subprocess.run(
        [sys.executable, "-c", program], cwd=workspace.root, env={**os.environ, "PYTHONPATH": str(workspace.root)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(child.stdout.splitlines()[-1].split())
    assert "jsonschema" in loaded
    assert "lark" not in loaded


def test_help_answers_in_less_than_three_tenths_of_a_second(tito):
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        assert tito("--help").exit_code == 0
        seconds.append(time.perf_counter() - begin)
    assert min(seconds) < 0.3, seconds


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(tito, command):
    outcome = tito(*command)
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert outcome.stdout.strip()


def test_tito_alone_shows_the_commands(tito):
    outcome = tito()
    assert outcome.exit_code == 0
    assert all(word in outcome.stdout for word in ("init", "doctor", "module", "export", "test"))


def test_the_version_is_that_of_the_project(tito):
    assert tito("--version").stdout == "tito 1.2.3\n"
    assert tito("--version", "--json").document["data"] == {"version": "1.2.3"}


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("nonsense",), "nonsense"),
        (("module",), "Missing command"),
        (("module", "nonsense"), "nonsense"),
        (("module", "test"), "Missing argument 'M'"),
        (("module", "test", "01", "--cell-seconds", "soon"), "--cell-seconds"),
        (("module", "test", "01", "--nonsense"), "--nonsense"),
        (("module", "list", "extra"), "extra"),
        (("module", "test", "99"), "there is no module '99'"),
        (("module", "complete", "nonsense"), "there is no module 'nonsense'"),
        (("export",), "name the modules"),
        (("export", "01", "--all"), "name the modules"),
        (("test",), "name the modules"),
        (("test", "--module", "zeta"), "there is no module 'zeta'"),
        (("init",), "Missing argument 'DEST'"),
    ],
)
def test_wrong_usage_ends_with_2_and_the_next_command(tito, arguments, fragment):
    outcome = tito(*arguments)
    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("error: ")
    assert fragment in outcome.stderr
    assert "\n  next: tito " in outcome.stderr

    machine = tito(*arguments, "--json")
    assert machine.exit_code == 2
    document = machine.document
    assert (document["schema"], document["ok"], document["data"]) == (1, False, None)
    assert document["error"]["code"] == "usage"
    assert fragment in document["error"]["message"]
    assert document["error"]["hint"].startswith("tito ")


def test_without_a_project_every_command_ends_with_3(tito, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for command in (("module", "list"), ("module", "test", "01"), ("export", "--all"), ("test", "--all")):
        outcome = tito(*command, cwd=tmp_path / "elsewhere")
        assert outcome.exit_code == 3, command
        assert "no TinyTorch project here" in outcome.stderr
        document = tito(*command, "--json", cwd=tmp_path / "elsewhere").document
        assert document["error"]["code"] == "no-project"


def test_the_tito_of_another_project_is_refused_with_the_command_that_fixes_it(tito, workspace):
    outcome = tito("module", "status", "--json", cwd=workspace.root / "modules" / "01_alpha")
    assert outcome.exit_code == 3
    error = outcome.document["error"]
    assert error["code"] == "wrong-environment"
    assert str(workspace.root) in error["message"]
    assert error["hint"].startswith(f"cd {workspace.root}") and "pip install -e ." in error["hint"]


def test_every_folder_below_the_root_will_do(tito, mini_course):
    deep = mini_course / "modules" / "02_beta"
    assert tito("module", "list", "--json", cwd=deep).document == tito("module", "list", "--json").document


def test_the_list_holds_what_the_modules_say_of_themselves(tito):
    modules = tito("module", "list", "--json").document["data"]["modules"]
    assert [module["name"] for module in modules] == ["01_alpha", "02_beta", "03_gamma"]
    assert modules[1] == {
        "name": "02_beta", "title": "Beta", "summary": "What beta is for", "hours": 1.5, "difficulty": 2,
        "prerequisites": ["01_alpha"],
    }  # fmt: skip


def test_json_and_verbose_may_stand_anywhere(tito):
    expected = tito("module", "list", "--json").document
    assert tito("--json", "module", "list").document == expected
    assert tito("module", "--json", "-v", "list", "--verbose").document == expected


def test_a_broken_module_toml_ends_with_3(tito, mini_course):
    (mini_course / "modules" / "02_beta" / "module.toml").write_text("title =", encoding="utf-8")
    outcome = tito("module", "list")
    assert outcome.exit_code == 3
    assert "modules/02_beta/module.toml" in outcome.stderr


def test_a_bug_ends_with_70_and_shows_its_traceback_on_request(tito, mini_course):
    sabotage(mini_course, "raise KeyError('secret')")
    outcome = tito("module", "list")
    assert (outcome.exit_code, outcome.stdout) == (70, "")
    assert "this is a bug in tito: KeyError: 'secret'" in outcome.stderr
    assert "Traceback" not in outcome.stderr

    assert "Traceback" in tito("module", "list", "-v").stderr
    document = tito("module", "list", "--json").document
    assert (document["ok"], document["error"]["code"]) == (False, "bug")


def test_what_libraries_print_stays_out_of_the_document(tito, mini_course):
    sabotage(mini_course, "print('noise')")
    outcome = tito("module", "list", "--json")
    assert outcome.document["ok"]
    assert "noise" in outcome.stderr


@pytest.mark.parametrize(
    ("raised", "message", "hint"),
    [
        ("OSError(28, 'No space left', 'a.json')", "the disk is full: a.json could not be written", "free some space"),
        ("OSError(28, 'No space left')", "the disk is full: a file could not be written", "free some space"),
        ("__import__('shutil').Error([('a', 'b', '[Errno 28] No space left')])", "the disk is full", "free some space"),
        ("OSError(30, 'Read-only', 'a.json')", "a.json is on a file system that is read-only", "copy the folder"),
        ("OSError(13, 'Permission', 'a.json')", "a.json: you may not do this here", "look at who owns it"),
        ("OSError(37, 'No locks available')", "a file is on a file system without locks", "move the folder to a disk"),
        ("IsADirectoryError(21, 'Is a directory', 'out')", "out is a folder", "name a file"),
        ("FileNotFoundError(2, 'No usable temporary directory found in [...]')", "temporary files", "free some space"),
        ("__import__('sqlite3').OperationalError('database or disk is full')", "the disk is full", "free some space"),
    ],
)
def test_what_is_wrong_with_the_machine_is_said_as_what_it_is(tito, mini_course, raised, message, hint):
    sabotage(mini_course, f"raise {raised}")
    outcome = tito("module", "list")
    assert outcome.exit_code == 3
    assert message in outcome.stderr
    assert f"  next: {hint}" in outcome.stderr
    assert tito("module", "list", "--json").document["error"]["code"] == "file"


def test_an_error_of_the_machine_that_nobody_knows_stays_a_bug(tito, mini_course):
    sabotage(mini_course, "raise __import__('shutil').Error([('a', 'b', 'no number in it')])")
    assert tito("module", "list").exit_code == 70


def test_an_interruption_says_that_nothing_was_changed(tito, mini_course):
    sabotage(mini_course, "raise KeyboardInterrupt")
    outcome = tito("module", "list")
    assert (outcome.exit_code, outcome.stderr) == (130, "error: interrupted; nothing was changed\n")


def test_an_interruption_that_left_something_does_not_say_so(tito, mini_course):
    path = mini_course / "tito" / "services" / "export.py"
    text = path.read_text(encoding="utf-8")
    changed = text.replace("            replaced.append(path)", "            raise KeyboardInterrupt")
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    outcome = tito("export", "--all")
    assert outcome.exit_code == 130
    assert "nothing was changed" not in outcome.stderr
    assert "tito export --all --check" in outcome.stderr


def test_a_pipe_gets_each_line_when_it_is_said(mini_course):
    sabotage(mini_course, "from tito.console import console; console.line('now'); __import__('time').sleep(60)")
    process = start(mini_course, "module", "list", stdout=subprocess.PIPE, env={"PYTHONUNBUFFERED": ""})
    timer = threading.Timer(20, process.kill)
    timer.start()
    try:
        assert process.stdout.readline() == b"now\n" and process.poll() is None
    finally:
        timer.cancel()
        process.kill()
        process.communicate()


def test_a_reader_that_goes_away_is_no_error(mini_course):
    process = start(mini_course, "module", "list", stdout=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141


def test_a_pipe_gets_utf8_whatever_the_locale(mini_course):
    toml = mini_course / "modules" / "01_alpha" / "module.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace("What alpha is for", "Σ → ∂\\u001B[31m"), encoding="utf-8")
    environment = {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0", "LC_ALL": "C"}
    process = start(mini_course, "module", "list", stdout=subprocess.PIPE, env=environment)
    stdout, stderr = process.communicate()
    text = stdout.decode("utf-8")
    assert (process.returncode, stderr) == (0, b"")
    assert "Σ → ∂" in text
    assert not re.search("[\x00-\x09\x0b-\x1f\u2500-\u257f]", text), "control characters or boxes in a pipe"


# what a terminal of Windows tells Python, and a system without a language; neither holds Σ
NARROW = {"PYTHONIOENCODING": "cp1252", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
EVERY_HELP = """
import typer
from tito.app import app, main

def paths(command, words=()):
    yield words
    for name, one in getattr(command, "commands", {}).items():
        yield from paths(one, (*words, name))

for words in paths(typer.main.get_command(app)):
    assert main([*words, "--help"]) == 0
"""
IN_A_WORKSPACE = [
    ("module", "list"), ("module", "status"), ("module", "start", "01", "--no-open"), ("module", "view", "01"),
    ("module", "test", "01"), ("hint", "01"), ("module", "complete", "01"), ("module", "reset", "01", "double"),
    ("module", "reset", "01"), ("milestone", "list"), ("data", "list"), ("benchmark", "board"), ("test", "01"),
    ("update", "."), ("no-such-command",), ("module", "test", "Σ"),
]  # fmt: skip
IN_THE_COURSE = [
    ("doctor",), ("module", "complete", "01"), ("export", "--all", "--check"), ("check", "--list"), ("init", "../Σ"),
    ("grade", "release", "01"), ("grade", "history", "01"), ("grade", "autograde", "01"), ("grade", "report", "01"),
]  # fmt: skip


@pytest.mark.kernel
def test_no_command_stops_where_the_terminal_cannot_show_a_character(mini_course, workspace):
    toml = "modules/01_alpha/module.toml"
    for root, commands in ((workspace.root, IN_A_WORKSPACE), (mini_course, IN_THE_COURSE)):
        text = (root / toml).read_text(encoding="utf-8")
        (root / toml).write_text(text.replace("What alpha is for", "Σ → ∂").replace('"Alpha"', '"Σ"'), encoding="utf-8")
        if root == workspace.root:
            workspace.solve("01_alpha")
        for command in commands:
            process = start(root, *command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=NARROW)
            said = b"".join(process.communicate()).decode("utf-8")
            assert process.returncode in (0, 1, 2, 3), f"{command}: {said}"
            assert "Traceback" not in said and "codec can't" not in said, f"{command}: {said}"


def test_the_help_of_every_command_shows_where_the_terminal_cannot_show_a_character(mini_course):
    environment = {**os.environ, "PYTHONPATH": str(mini_course), **NARROW}
    child = subprocess.run([sys.executable, "-c", EVERY_HELP], cwd=mini_course, env=environment, capture_output=True)
    assert child.returncode == 0, child.stderr.decode("utf-8", "replace")
    assert child.stdout.count(b"Usage: ") > 50


@pytest.mark.kernel
def test_a_path_with_spaces_simply_works(make_course, tmp_path):
    """The course and the workspace, and what is printed to be typed."""
    courses = (tmp_path / "My Courses (2026)" / "Σ term").resolve()
    course = make_course(courses / "tiny torch")
    run_tito(course, "module", "complete", "01")
    made = run_tito(course, "init", courses / "my tiny torch")
    assert made.exit_code == 0, made.stderr
    student = Workspace(courses / "my tiny torch")
    if os.name != "nt":
        go = next(line for line in made.stdout.splitlines() if line.startswith("  cd "))
        there = subprocess.run(["bash", "-c", f"{go} && pwd"], capture_output=True, encoding="utf-8", check=True)
        assert there.stdout.strip() == str(student.root)
    student.solve("01_alpha")
    for command in (
        ("doctor",),
        ("module", "test", "01"),
        ("module", "complete", "01"),
        ("test", "01"),
        ("update", course),
    ):
        outcome = student.tito(*command)
        assert outcome.exit_code == 0, f"{command}: {outcome.stdout}{outcome.stderr}"
    refused = run_tito(course, "module", "status", cwd=student.root / "modules")
    assert f"next: cd '{student.root}' && " in refused.stderr


def on_terminal(root, *args, columns):
    """What tito writes to a terminal so wide, without colours, and its exit code."""
    import pty

    ours, theirs = pty.openpty()
    environment = {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": str(columns)}
    options = {"stdout": theirs, "stdin": theirs, "env": {**os.environ, "PYTHONPATH": str(root), **environment}}
    process = subprocess.Popen([sys.executable, "-m", "tito", *args], cwd=root, stderr=theirs, **options)
    os.close(theirs)
    text = b""
    try:
        while piece := os.read(ours, 4096):
            text += piece
    except OSError:  # Linux's way of saying that the other end is closed
        pass
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", text.decode("utf-8").replace("\r\n", "\n")), process.wait()


needs_terminal = pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")


@needs_terminal
def test_a_terminal_gets_a_table_with_what_a_pipe_gets(mini_course):
    text, code = on_terminal(mini_course, "module", "list", columns=120)
    assert code == 0
    assert "─" in text
    assert "What gamma is for" in text


@needs_terminal
def test_the_list_has_one_line_for_a_module_in_eighty_columns(mini_course):
    toml = mini_course / "modules" / "03_gamma" / "module.toml"
    toml.write_text(toml.read_text("utf-8").replace('["02_beta"]', '["01_alpha", "02_beta"]'), encoding="utf-8")
    text, _ = on_terminal(mini_course, "module", "list", columns=80)
    lines = [line.split() for line in text.splitlines() if re.match(r" *\d\d_", line)]
    assert lines == [
        ["01_alpha", "1.5", "2", "of", "5", "–"],
        ["02_beta", "1.5", "2", "of", "5", "01"],
        ["03_gamma", "1.5", "2", "of", "5", "01,", "02"],
    ]
    assert max(map(len, text.splitlines())) <= 80
    assert "modules/README.md" in text


def test_three_modules_in_a_row_are_written_as_a_range():
    assert numbers([]) == "–"
    assert numbers(["01_a", "02_b", "03_c", "05_e", "06_f"]) == "01–03, 05, 06"


@needs_terminal
def test_a_sentence_is_broken_between_words_and_what_is_copied_is_not(mini_course):
    sentence = "one of the words of this sentence stands where a narrow terminal ends"
    address = "http://localhost:8888/lab/tree/modules/01_alpha/alpha_dev.ipynb?token=0123"
    sabotage(mini_course, f"from tito.console import console; console.line({sentence!r}); console.line({address!r})")
    text, _ = on_terminal(mini_course, "module", "list", columns=40)
    assert text.startswith(f"one of the words of this sentence stands\nwhere a narrow terminal ends\n{address}\n")
    sabotage(mini_course, f"raise __import__('tito.errors').errors.WorkError({sentence!r}, {'type this ' * 9!r})")
    text, _ = on_terminal(mini_course, "module", "list", columns=40)
    assert "error: one of the words of this sentence\nstands where a narrow terminal ends\n" in text
    assert f"  next: {'type this ' * 9}\n" in text


# Completion.


def completed_words(root, line, cwd=None):
    """What a shell offers after `line`, through the script that Typer gives it."""
    environment = {"_TITO_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    child = subprocess.run(
        [sys.executable, "-m", "tito"], cwd=cwd or root, env={**os.environ, "PYTHONPATH": str(root), **environment},
        capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert child.stderr == ""
    return child.stdout.split()


def test_the_shell_completes_commands_options_and_modules(mini_course, tmp_path):
    assert completed_words(mini_course, "tito mod") == ["module"]
    assert completed_words(mini_course, "tito module st") == ["status", "start"]
    assert completed_words(mini_course, "tito module start 01 --ed") == ["--editor"]
    assert completed_words(mini_course, "tito module test ") == ["01_alpha", "02_beta", "03_gamma"]
    assert completed_words(mini_course, "tito export be") == ["beta"]
    assert completed_words(mini_course, "tito module test ", cwd=tmp_path) == [], "no project, no word and no error"


def test_completion_is_installed_in_the_users_shell_on_request(mini_course, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    process = start(mini_course, "--install-completion", "bash", stdout=subprocess.PIPE, env=environment)
    stdout, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, b"")
    assert b"bash completion installed in" in stdout
    assert "_TITO_COMPLETE" in (home / ".bash_completions" / "tito.sh").read_text("utf-8")


@pytest.mark.kernel
@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send Ctrl-C to one process")
def test_ctrl_c_ends_the_kernel_and_says_that_nothing_was_changed(workspace):
    pid_file = workspace.root / "pid"
    write_pid = f"import os, pathlib\npathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))\n"
    workspace.edit("01_alpha", "double", f"{write_pid}while True: pass")
    process = start(workspace.root, "module", "test", "01", "--json", stdout=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    kernel = int(pid_file.read_text())
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(stdout)["error"] == {
        "code": "interrupted", "message": "interrupted; nothing was changed", "hint": "",
    }  # fmt: skip
    with pytest.raises(ProcessLookupError):
        os.kill(kernel, 0)
