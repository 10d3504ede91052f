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
    """A row for each check; packages that are in order have one together."""
    packages = [check for check in checks if check.kind == "package" and check.ok]
    rows = [_row(check) for check in checks if check not in packages]
    if packages:
        rows.insert(1, ("ok", "packages", f"{len(packages)} are as pyproject.toml wants them"))
    console.table(["", "check", "found"], rows)


def _row(check):
    if check.ok:
        return "ok", check.name, check.detail
    return "wrong", check.name, "\n".join([check.detail, *(f"fix: {line}" for line in check.fix.splitlines())])
