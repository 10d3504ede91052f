"""The Shakespeare text comes with the package, wherever that is copied to, and needs no module."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

from one_notebook import HandedIn, notebook

from tinytorch import datasets
from tito.catalog import read_catalog
from tito.project import read_project
from tito.services import views

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "tinytorch" / "data" / "shakespeare.txt.gz"
README = ROOT / "tinytorch" / "data" / "README.md"
PROJECT = read_project(ROOT)
CATALOG = read_catalog(PROJECT)


def test_the_text_is_the_one_that_others_measured_on():
    text = datasets.load_shakespeare()
    assert (len(text), text.count("\n"), len(set(text))) == (1_115_394, 40_000, 65)
    assert text.startswith("First Citizen:\nBefore we proceed any further, hear me speak.\n")
    assert hashlib.sha256(text.encode()).hexdigest() == re.search("[0-9a-f]{64}", README.read_text()).group()


def test_the_file_is_small_and_said_to_be_public_domain():
    assert FILE.stat().st_size < 500_000
    assert "public domain" in README.read_text(encoding="utf-8")
    assert "public domain" in datasets.load_shakespeare.__doc__
    assert "load_shakespeare" in dir(datasets)


def test_it_loads_in_a_view_without_module_08():
    code = "from tinytorch.datasets import load_shakespeare; print(len(load_shakespeare()))"
    with views.view(PROJECT, [CATALOG["01_tensor"]]) as folder:
        environment = views.child_environment(folder, is_view=True)
        done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True)
    assert done.stdout == "1115394\n", done.stderr


def test_it_loads_where_submissions_run(tmp_path):
    answer = """
from tinytorch.datasets import load_shakespeare

def total(values):
    assert len(load_shakespeare()) == 1115394
    return sum(double(value) for value in values)
"""
    with notebook(tmp_path) as kit:
        result = HandedIn(kit).score({"total": answer}, second_try=False)
    assert result.points == 8, result.cells
