"""`tito doctor`: what is installed, what is missing, and the command that fixes it."""

from tito.console import console
from tito.errors import ProjectError


def register(app):
    app.command()(doctor)


def doctor():
    """Say what is installed, which project this is, what is missing and the command that fixes it."""
    from tito.services import doctor as service

    checks = service.examine()
    wrong = [check for check in checks if not check.ok]
    console.show({"checks": checks}, lambda: _print(checks))
    if wrong:
        raise ProjectError(f"{len(wrong)} of {len(checks)} checks failed: {wrong[0].name}", wrong[0].fix, code="doctor")


def _print(checks):
    rows = [("ok" if check.ok else "missing", check.name, _with_fix(check)) for check in checks]
    console.table(["", "check", "found"], rows)


def _with_fix(check):
    return check.detail if check.ok else f"{check.detail}\nmend it: {check.fix}"
