"""What reads and writes the gradebook is tested twice: on the file gradebook.db, and on a PostgreSQL server."""

import postgres
import pytest
import small_course


@pytest.fixture(params=["sqlite", "postgres"])
def gradebook_on(request, monkeypatch):
    """Where the gradebooks of this test's courses are kept."""
    if request.param == "postgres":
        monkeypatch.setattr(small_course, "SERVER", postgres.server())
    return request.param
