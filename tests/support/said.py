"""What tito says: its exit code and its two streams, typed in a process of its own or in this one."""

import contextlib
import io
import json
from dataclasses import dataclass

from tito import app


@dataclass(frozen=True)
class Said:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self):
        """The one document that --json prints."""
        return json.loads(self.stdout)

    @property
    def data(self):
        assert self.document["ok"], self.stdout
        return self.document["data"]

    @property
    def error(self):
        return self.document["error"]


class Stream(io.StringIO):
    """Where tito prints, in place of the process's own streams."""

    def reconfigure(self, **_):
        pass


def typed(folder, *arguments):
    """`tito *arguments` typed in `folder`, in this process."""
    out, err = Stream(), Stream()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = app.main([*map(str, arguments)])
    return Said(code, out.getvalue(), err.getvalue())
