"""The documentation gate: what any page points to is there."""

import re
import subprocess
import sys
import unicodedata

from tito.errors import ProjectError, WorkError
from tito.services.check.gates import Breach, NotHere, failed_tests, line_of

LINK = re.compile(r"(?<!\!)\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *$", re.M)
FENCED = re.compile(r"^```.*?^```", re.M | re.S)
# a command at the start of a line or of a piece of code
COMMAND = re.compile(r"(?:^(?: {4}|\$ )?|`|&& )tito (?P<words>[a-z][^\n`#]*)", re.M)
OPTION = re.compile(r"(?<!\S)(--[a-z][a-z-]*|-[a-z])\b")
COMMON = {"--json", "-v", "--verbose", "--help", "--version", "--install-completion", "--show-completion"}
# Chromium, what drives it, and the rules of tests/support/axe.py
BROWSER = (
    "apt-get install chromium chromium-driver; pip install -e '.[browser]'; "
    "mkdir -p .tito && npm pack axe-core@4.14.1 --pack-destination .tito"
)


def links(checked):
    pages = _pages(checked)
    texts = {path: checked.text(path) for path in pages}
    anchors = {path: set(_anchors(text)) for path, text in texts.items()}
    for path, text in texts.items():
        plain = FENCED.sub(lambda found: "\n" * found[0].count("\n"), text)
        for found in LINK.finditer(plain):
            if problem := _problem(path, found["target"], anchors):
                yield Breach(
                    checked.label(path), line_of(plain, found), f"{found['target']}: {problem}", "fix the link"
                )
    known = {}
    for path, text in texts.items():
        for found in COMMAND.finditer(text):
            if problem := _command_problem(checked, found["words"].split(), known):
                yield Breach(
                    checked.label(path),
                    line_of(text, found),
                    f"tito {found['words'].strip()}: {problem}",
                    "fix the text",
                )


def site(checked):
    """The site builds, from what cells showed last, and its browser test passes. Raises NotHere without a browser."""
    from tito.services.site import build

    try:
        build.build(checked.project, checked.catalog, run=False)  # the browser test looks at these pages
    except WorkError as error:
        yield Breach("tito site build", None, error.message, error.hint or "tito site build   (says more)")
        return
    except ProjectError as error:
        raise NotHere(f"{error.message}: {error.hint}") from error
    tests = checked.project.root / "tests" / "integration" / "test_site_browser.py"
    failed, skipped = failed_tests(checked, tests)
    for line in failed:
        yield Breach(checked.label(tests), None, line, f"python -m pytest {checked.label(tests)}")
    if skipped and not failed:
        raise NotHere(f"there is no Chromium or no axe-core: {BROWSER}")


def _pages(checked):
    root = checked.project.root
    found = [*root.glob("*.md"), *root.glob("docs/*.md"), root / "modules" / "README.md", *root.glob("benchmarks/*.md")]
    found += [one.folder / "README.md" for one in (*checked.catalog, *checked.milestones)]
    found += root.glob("tito/templates/*.md")
    return [path for path in dict.fromkeys(found) if path.is_file()]


def _anchors(text):
    """The anchors that a heading of `text` gets where Markdown is shown."""
    for found in HEADING.finditer(FENCED.sub("", text)):
        title = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", found["text"]).lower()
        kept = (letter for letter in title if letter in " -_" or unicodedata.category(letter)[0] in "LN")
        yield "".join(kept).replace(" ", "-")


def _problem(path, target, anchors):
    if re.match(r"[a-z]+:", target):
        return ""
    file, _, anchor = target.partition("#")
    place = (path.parent / file).resolve() if file else path
    if not place.exists():
        return "there is no such file"
    if anchor and place in anchors and anchor not in anchors[place]:
        return "there is no such heading"
    return ""


def _command_problem(checked, words, known):
    """What is wrong with the command `tito *words`; "" where it exists with its options."""
    names = []
    for word in words[:3]:
        if not re.fullmatch(r"[a-z][a-z-]*", word):
            break
        names.append(word)
    help_text = None
    while names and help_text is None:
        key = tuple(names)
        if key not in known:
            known[key] = _help(checked, names)
        help_text = known[key]
        if help_text is None:
            names.pop()
    if help_text is None:
        return f"there is no command {words[0]}"
    if is_group(help_text) and words[len(names) :] and re.fullmatch(r"[a-z][a-z-]+", words[len(names)]):
        return f"there is no command {' '.join([*names, words[len(names)]])}"
    for option in OPTION.findall(" ".join(words)):
        if option not in COMMON and not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", help_text):
            return f"there is no option {option}"
    return ""


def is_group(help_text):
    return "COMMAND [ARGS]" in help_text


def _help(checked, names):
    command = [sys.executable, "-m", "tito", *names, "--help"]
    done = subprocess.run(command, cwd=checked.project.root, capture_output=True, encoding="utf-8", check=False)
    return done.stdout if done.returncode == 0 else None
