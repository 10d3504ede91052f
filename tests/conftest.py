"""In CI a skipped parity test is a failure: it has proved nothing. Ctrl-C works in tests, also in the background."""

import os
import re
import signal

import pytest

# a shell starts what it puts into the background deaf to SIGINT, and so would be every child that a test interrupts
signal.signal(signal.SIGINT, signal.default_int_handler)


def _skipped_parity(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter and os.environ.get("CI") else []
    # the report of a whole file that was skipped has no keywords
    marked = [one for one in skipped if "parity" in getattr(one, "keywords", ())]
    return marked or [one for one in skipped if re.search(r"\b(torch|tiktoken)\b", str(one.longrepr))]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    if _skipped_parity(session) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter):
    for report in _skipped_parity(terminalreporter._session):
        terminalreporter.line(f"skipped in CI, where it must run: {report.nodeid or report.fspath}: {report.longrepr}")
