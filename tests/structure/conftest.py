"""What the tests of the house's order look at: the real repository."""

from pathlib import Path

import pytest

from tito.catalog import read_catalog
from tito.project import read_project


@pytest.fixture(scope="session")
def project():
    return read_project(Path(__file__).resolve().parents[2])


@pytest.fixture(scope="session")
def catalog(project):
    return read_catalog(project)
