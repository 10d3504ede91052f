"""Examines the environment and the project, also where neither is in order."""

import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import tomllib
import uuid
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tito import first_aid
from tito.catalog import read_catalog
from tito.errors import TitoError, machine_problem
from tito.project import enclosing_project, require_own_tito
from tito.services import pristine, views

PROBE_BYTES = 65_536
NATIVE = "python3"  # the kernel that every notebook of the course names
OWN_ROOT = Path(__file__).resolve().parents[2]
# in place of "tito doctor", which others say to those who shall come here
FIXES = {
    "tinytorch": 'python -c "import tinytorch"   (in the project; its last lines name the file to fix)',
    "kernel": "pip install --force-reinstall ipykernel",
    "sandbox": "run it again with -v to see where",
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. detail: what was found; fix: the command that fixes it, "" where it is in order.

    kind: "package" of what pip installs, else "".
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""
    kind: str = ""


def examine(start=None):
    """All checks, in the order in which they are worth fixing."""
    try:
        project = enclosing_project(start)
        problem = None
    except TitoError as error:
        project, problem = None, error
    root = project.root if project else OWN_ROOT
    return [
        *_environment(root),
        *(Check(*found) for found in first_aid.surroundings(root, project is None or project.is_course)),
        _found(project, problem),
        *(_in_project(project) if project else []),
    ]


def _in_project(project):
    checks = [
        _try("tito", lambda: _own_tito(project)),
        _try("write access", lambda: _writable(project)),
        _try("modules", lambda: f"{len(read_catalog(project))} modules"),
        _try("tinytorch", lambda: _child(project)),
    ]
    if all(check.ok for check in checks if check.name in ("tito", "tinytorch")):  # else these say why
        checks.append(_try("installed", lambda: _installed(project)))
    checks += [_try("kernel", lambda: _kernel(project)), _try("kernelspecs", lambda: _kernelspecs(project))]
    if project.is_course:
        checks.append(_try("sandbox", lambda: _sandbox(project)))
    else:
        checks.append(_try("untouched notebooks", lambda: _stubs(project)))
    return checks


def _try(name, look):
    """The check that `look` makes: it returns what it found, or raises what is wrong with the command that fixes it."""
    try:
        return Check(name, True, look())
    except TitoError as error:
        return Check(name, False, error.message, FIXES[name] if error.hint == "tito doctor" else error.hint)
    except OSError as error:
        problem = machine_problem(error)
        if problem is None:
            raise
        return Check(name, False, *problem)
    except ImportError as error:
        return Check(name, False, str(error), "pip install -e .")


def _environment(root):
    """Python, and each dependency of this system, as the project's pyproject.toml wants them."""
    try:
        from packaging.requirements import InvalidRequirement, Requirement
        from packaging.specifiers import InvalidSpecifier, SpecifierSet
    except ImportError:
        return [Check("packaging", False, "not installed", "pip install packaging")]

    table = _project_table(root)
    try:
        python = SpecifierSet(table.get("requires-python", ">=3.11"))
        wanted = [Requirement(text) for text in table.get("dependencies", [])]
    except (InvalidRequirement, InvalidSpecifier) as error:
        reason = " ".join(str(error).split())
        return [Check("pyproject.toml", False, f"{root / 'pyproject.toml'}: {reason}", "restore the file")]
    return [_python(python), *(_package(one) for one in wanted if one.marker is None or one.marker.evaluate())]


def _python(wanted):
    found = platform.python_version()
    ok = wanted.contains(found, prereleases=True)
    fix = "" if ok else f"install a Python that is {wanted}, and make a new environment with it"
    return Check("Python", ok, f"{found} (needs {wanted})", fix)


def _package(requirement):
    name, bound = requirement.name, str(requirement.specifier)
    needs = f" (needs {bound})" if bound else ""
    fix = f'pip install "{name}{bound}"'
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, False, f"not installed{needs}", fix, "package")
    ok = requirement.specifier.contains(found, prereleases=True)
    return Check(name, ok, f"{found}{needs}", "" if ok else fix, "package")


def _project_table(root):
    try:
        return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):
        return {}


def _found(project, problem):
    if problem is not None:
        return Check("project", False, problem.message, problem.hint)
    if project is None:
        return Check("project", False, f"none in {Path.cwd()} or above", "cd into your workspace, or: tito init DEST")
    return Check("project", True, f"{project.role} {project.version} in {project.root}")


def _own_tito(project):
    require_own_tito(project)
    return f"the project's own, in {OWN_ROOT / 'tito'}"


def _writable(project):
    _require_there(project, project.modules, project.package)
    for folder in (project.root, project.modules, project.package):
        probe = folder / f".tito-{uuid.uuid4().hex}"
        try:
            probe.write_bytes(b"x" * PROBE_BYTES)  # a full disk still makes an empty file
        except PermissionError as error:
            fix = f"make {folder} writable" + ("" if os.name == "nt" else f": chmod -R u+w {folder}")
            raise TitoError(f"{folder} cannot be written to: {error.strerror}", fix) from error
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)
    return str(project.root)


def _require_there(project, *folders):
    for folder in folders:
        if not folder.exists():
            raise TitoError(f"{folder} is missing", project.restoring(folder))


def _child(project):
    _require_there(project, project.package)
    views.check_child(project.root)
    return f"a new process imports {project.package}"


def _installed(project):
    """What a program in another folder imports, as the kernels of VS Code do, whose folder is not the project's."""
    program = "import tinytorch; print(tinytorch.__path__[0])"
    with tempfile.TemporaryDirectory() as elsewhere:
        child = subprocess.run(
            [sys.executable, "-c", program],
            cwd=elsewhere,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
    found = child.stdout.strip()
    if child.returncode == 0 and Path(found).resolve() == project.package.resolve():
        return "a program in any folder imports the same"
    imports = f"imports {found}" if found else "does not find it"
    fix = first_aid.in_turn(f"cd {first_aid.quoted(project.root)}", "pip install -e .")
    raise TitoError(f"a program in another folder {imports}: the environment belongs to another project", fix)


def _kernel(project):
    from tito.services import kernel

    _require_there(project, project.modules, project.package)
    # no view: nothing has to be written to look
    kernel.run_cells(["pass"], folder=project.root, cwd=project.modules, limits=kernel.TimeLimits())
    return "a Jupyter kernel starts and imports the package"


def _kernelspecs(project):
    """The Pythons behind the names of kernels that JupyterLab starts for this project's notebooks."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    from traitlets import TraitError

    manager, asking = KernelSpecManager(), {NATIVE: ""}
    for module in read_catalog(project):
        if name := _kernel_named(module.notebook):
            asking.setdefault(name, project.relative(module.notebook))
    for name, notebook in asking.items():
        try:
            spec = manager.get_kernel_spec(name)
        except NoSuchKernel:  # JupyterLab asks which one to take
            continue
        except (ValueError, TypeError, TraitError) as error:
            folder = manager.find_kernel_specs()[name.lower()]
            reason = " ".join(str(error).split())
            raise TitoError(f"{Path(folder, 'kernel.json')} is damaged: {reason}", _kernel_fix(folder, name)) from error
        if spec.argv and _is_foreign(spec.argv[0]):
            told = f"{notebook} asks for" if notebook else "new notebooks get"
            raise TitoError(
                f"{told} the kernel {name}, which is the Python {spec.argv[0]}: see {spec.resource_dir}",
                _kernel_fix(spec.resource_dir, name),
            )
    return "notebooks get this environment's Python"


def _kernel_named(notebook):
    try:
        name = json.loads(notebook.read_bytes())["metadata"]["kernelspec"]["name"]
    except (OSError, ValueError, LookupError, TypeError):
        return ""
    return name if isinstance(name, str) else ""


def _is_foreign(program):
    """Whether a kernel's program is of another environment. A bare `python` is the one that runs Jupyter."""
    folder = Path(program).parent
    return folder != Path() and os.path.normcase(folder.parent) != os.path.normcase(sys.prefix)


def _kernel_fix(folder, name):
    """The command that puts right the kernel of that name, whose kernel.json is in `folder`."""
    if Path(sys.prefix) in Path(folder).parents or name != NATIVE:
        return f"python -m ipykernel install --sys-prefix --name {name}"
    return f"jupyter kernelspec remove -y {name}"


def _stubs(project):
    catalog = read_catalog(project)
    for module in catalog:
        pristine.stub_bytes(project, module)
    return f"all {len(catalog)} as they came"


def _sandbox(project):
    """Only grading needs one, so a machine without is in order."""
    from tito.services.grading.sandbox import find as sandbox

    found = sandbox.find(project, allow_none=True, build=False)
    detail = f" ({found.detail})" if found.detail else ""
    if found.kind == "none":
        return f"not isolated{detail}; tito grade needs one: {sandbox.installation()}"
    return f"submissions run in {found.kind}{detail}"
