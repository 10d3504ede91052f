"""The program behind `tito module start`: JupyterLab with a stylesheet of the course's.

JupyterLab looks for one in the user's own configuration only, which is not ours to write. All else in which this
JupyterLab differs is configuration: see tito/jupyter.
"""

from pathlib import Path

STYLE = Path(__file__).resolve().parents[1] / "jupyter" / "custom"


def main():
    import jupyter_server.serverapp
    from jupyterlab.labapp import LabApp
    from traitlets import default

    class ServerApp(jupyter_server.serverapp.ServerApp):  # the same name: options and configuration files use it
        @default("static_custom_path")
        def _the_course_first(self):
            return [str(STYLE), *super()._default_static_custom_path()]

    LabApp.serverapp_class = ServerApp
    LabApp.launch_instance()


if __name__ == "__main__":
    main()
