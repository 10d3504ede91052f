"""`tito module start` and `tito module view`: they open a module's notebook."""

import sys
from typing import Annotated

import typer

from tito.commands.context import Name, open_project
from tito.console import console
from tito.errors import WorkError

Open = Annotated[
    bool | None, typer.Option("--open/--no-open", help="Open it or not; without a terminal and with --json: not.")
]
Editor = Annotated[
    str | None, typer.Option("--editor", metavar="COMMAND", help="Not JupyterLab, but for example: code")
]
Port = Annotated[
    int | None, typer.Option("--port", metavar="N", min=1, max=65535, help="JupyterLab's; else 8888 or a free one.")
]


def register(app):
    app.command()(start)
    app.command()(view)


def start(module: Name, wanted: Open = None, editor: Editor = None, port: Port = None):
    """Check the prerequisites, create the notebook where it is absent, and open it in JupyterLab."""
    from tito.services import modules

    project, catalog = open_project()
    started = modules.start(project, catalog, catalog.find(module))
    data = {"module": started.module, "path": project.relative(started.path), "created": started.created}
    _open(project, started.path, data, _standing(project, started), wanted, editor, port)


def _standing(project, started):
    path = project.relative(started.path)
    if started.created:
        return f"{path} was created"
    if project.is_course:
        return f"{path} is the source of this module"
    return f"{path} is as it was handed out" if started.untouched else f"{path} is there, as you left it"


def view(module: Name, wanted: Open = None, editor: Editor = None, port: Port = None):
    """Open the notebook that is there, whatever is complete; never create one."""
    project, catalog = open_project()
    found = catalog.find(module)
    path = found.source(project)
    if not path.is_file():
        hint = f"tito module start {found.name}"
        raise WorkError(f"{project.relative(path)} does not exist", hint, code="no-notebook")
    data = {"module": found.name, "path": project.relative(path)}
    _open(project, path, data, project.relative(path), wanted, editor, port)


def _open(project, path, data, standing, wanted, editor, port):
    """Say how the notebook stands; open it where that is wanted; and wait for JupyterLab where this started it."""
    from tito.services import jupyter

    terminal = not console.json and (sys.stdin.isatty() or sys.stdout.isatty())
    opening = terminal if wanted is None else wanted
    console.show({**data, "opened": opening, "url": None}, lambda: console.line(standing))
    if not opening:
        if wanted is None:
            console.line("not opened: this is no terminal, and JupyterLab would run on; --open opens it")
        return
    if editor:
        jupyter.edit(project, path, editor)
        return
    server = jupyter.running(project)
    lab = None
    if server is None:
        console.line(f"starting JupyterLab, whose log is {project.relative(project.state / 'jupyter.log')}")
        lab = jupyter.launch(project, port=port)
        server = lab.server
        _explain(port, server)
    else:
        console.line("JupyterLab is running here already, so it opens there")
    address = server.address(project, path)
    console.data["url"] = address
    _show(project, address, server)
    if lab:
        console.line("Leave this running while you work. Ctrl-C twice ends it, and your notebooks' kernels with it.")
        console.stays()
        lab.wait(lambda: _warn(address))


def _explain(port, server):
    """What a person may wonder about this server."""
    from tito.services import jupyter

    if port is None and server.port != jupyter.USUAL_PORT and jupyter.is_taken(jupyter.USUAL_PORT):
        console.line(f"port {jupyter.USUAL_PORT} is taken by another program, so this one is {server.port}")
    if jupyter.is_root():
        console.line("you are root, so JupyterLab and what runs in it is root too")


def _show(project, address, server):
    from tito.services import jupyter

    obstacle = jupyter.no_browser()
    tunnel = jupyter.tunnel(server)
    if obstacle:
        console.line(f"{obstacle}: open this address in a browser" + (", after the command below" if tunnel else ""))
    console.line(f"\n    {address}\n")
    if tunnel:
        console.line(f"from your own machine, first: {tunnel}")
    if not obstacle:
        jupyter.browse(project, address)
    sys.stdout.flush()


def _warn(address):
    console.line("\nJupyterLab still runs. Save your notebooks, then press Ctrl-C again to end it.")
    sys.stdout.flush()
