"""The package gate: what is built installs and imports, and no answer leaves the repository."""

import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

from tito.errors import TitoError
from tito.services import leaks, notebooks, strip, workspace
from tito.services.check.gates import Breach, NotHere

OLDEST = re.compile(r"^(?P<name>[\w.-]+)(?:\[[\w,]+\])?>=(?P<version>[\w.]+)")
# the extras but dev, which is PyTorch, and what to import of each
EXTRAS = {
    "browser": "selenium",
    "postgres": "psycopg",
    "cluster": "distributed",
    "release": "build",
    "docs": "sphinx, myst_parser, pydata_sphinx_theme",
}
NEEDED = ("Name", "Version", "Summary", "Requires-Python", "License-Expression", "Description-Content-Type")


def builds(checked):
    if changed := _uncommitted(checked):
        what = (
            f"not committed: {', '.join(changed[:5])}{' …' * (len(changed) > 5)}; a wheel of it would be of no version"
        )
        yield Breach(".", None, what, "git commit, or git stash")
        return
    made = _built(checked)
    if isinstance(made, Breach):
        yield made
        return
    wheel, sdist = next(made.glob("*.whl")), next(made.glob("*.tar.gz"))
    yield from _metadata(wheel)
    yield from _installs(checked, wheel, "newest", [], sdist=sdist)
    yield from _installs(checked, wheel, "oldest", _oldest(checked))
    yield from _numpy_alone(checked, wheel)


def _built(checked):
    """The folder with wheel and sdist, made once in a run; a Breach where they cannot be made."""
    made = checked.work / "dist"
    if made.is_dir():
        return made
    for name, install in {"build": "pip install -e '.[release]'", "pip": "python -m ensurepip"}.items():
        if _python(sys.executable, "-m", name, "--version").returncode:
            raise NotHere(f"the package `{name}` is not installed: {install}")
    done = _python(sys.executable, "-m", "build", "--outdir", made, checked.project.root)
    if done.returncode:
        shutil.rmtree(made, ignore_errors=True)
        return Breach("pyproject.toml", None, f"it does not build: {_last(done)}", "python -m build   (says more)")
    return made


def _uncommitted(checked):
    """The files that git would commit; none where this is no repository."""
    done = subprocess.run(
        ["git", "status", "--porcelain"], cwd=checked.project.root, capture_output=True, encoding="utf-8", check=False
    )
    return [line[3:] for line in done.stdout.splitlines()] if done.returncode == 0 else []


def _metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        text = archive.read(name).decode("utf-8").partition("\n\n")[0]
    said = {line.partition(":")[0] for line in text.splitlines()}
    for field in NEEDED:
        if field not in said:
            yield Breach("pyproject.toml", None, f"the wheel's metadata have no {field}", "say it in [project]")


def _oldest(checked):
    """The requirements at the lower bounds that pyproject.toml gives, those of the extras among them."""
    project = tomllib.loads(checked.text(checked.project.root / "pyproject.toml"))["project"]
    extras = project.get("optional-dependencies", {}).values()
    found = (OLDEST.match(one) for one in [*project["dependencies"], *(one for extra in extras for one in extra)])
    return [f"{one['name']}=={one['version']}.*" for one in found if one]


def _environment(checked, name):
    """The interpreter of a new environment that holds nothing, not even pip."""
    folder = checked.work / name
    venv.create(folder)
    return folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"


def _installs(checked, wheel, name, constraints, sdist=None):
    """Install the wheel with all EXTRAS into an empty environment, and the sdist behind it; then import everything."""
    python = _environment(checked, name)
    file = checked.work / f"{name}.txt"
    file.write_text("\n".join(constraints), encoding="utf-8")
    steps = {wheel: [f"{wheel}[{','.join(EXTRAS)}]", "-c", file]}
    if sdist:
        steps[sdist] = ["--no-deps", "--force-reinstall", sdist]
    for path, arguments in steps.items():
        done = _pip(python, *arguments)
        if done.returncode:
            what = f"{path.name} does not install ({name}): {_last(done)}"
            yield Breach("pyproject.toml", None, what, "fix its bounds")
            return
    done = _python(python, "-c", f"import tinytorch, tito.app, {', '.join(EXTRAS.values())}", cwd=checked.work)
    if done.returncode:
        yield Breach("pyproject.toml", None, f"{name}: it does not import: {_last(done)}", "fix its bounds")


def _numpy_alone(checked, wheel):
    """tinytorch imports with NumPy and nothing else installed."""
    python = _environment(checked, "numpy-alone")
    for arguments in (["numpy"], ["--no-deps", wheel]):
        done = _pip(python, *arguments)
        if done.returncode:
            yield Breach("pyproject.toml", None, f"{arguments[-1]} does not install: {_last(done)}", "try it again")
            return
    done = _python(
        python, "-c", "import tinytorch, tinytorch.nn, tinytorch.optim, tinytorch.nn.functional", cwd=checked.work
    )
    if done.returncode:
        yield Breach(
            "tinytorch/__init__.py", None, f"it does not import with NumPy alone: {_last(done)}", "import it later"
        )


def _pip(python, *arguments):
    """Install into the environment of `python`. What is imported there once need not be compiled beforehand."""
    options = ["-q", "--disable-pip-version-check", "--no-compile"]
    return _python(sys.executable, "-m", "pip", "--python", python, "install", *options, *arguments)


def _python(*command, cwd=None):
    return subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, encoding="utf-8", check=False)


def _last(done):
    return ((done.stderr.strip() or done.stdout.strip()).splitlines() or ["it says nothing"])[-1][:300]


def answers(checked):
    secrets = leaks.secrets(checked.project, checked.catalog)
    try:
        workspace.init(checked.project, checked.work / "workspace")
    except TitoError as error:
        yield Breach("tito init", None, error.message, error.hint)
    released = checked.work / "release"
    for module in checked.catalog:
        source = checked.source(module)
        notebooks.write(strip.strip(source.node, source), released / module.name / module.notebook.name)
    yield from _leaks(released, secrets, "release")
    made = _built(checked)
    if isinstance(made, Breach):
        yield made
        return
    with zipfile.ZipFile(next(made.glob("*.whl"))) as archive:
        archive.extractall(checked.work / "wheel")
    yield from _leaks(checked.work / "wheel", secrets, "wheel")


def _leaks(folder, secrets, what):
    for leak in leaks.scan(folder, secrets):
        file = Path(leak.path).as_posix()
        yield Breach(f"{what}: {file}", leak.line, f"it gives away {leak.origin}: {leak.statement}", "take it out")
