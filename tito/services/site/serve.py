"""The built site over HTTP, for this machine only."""

import errno
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from tito.errors import ProjectError, UsageError
from tito.services.site.build import MARK

HOST = "127.0.0.1"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def server(folder, port):
    """A server of `folder` that listens on `port` (0: any that is free), not yet serving.

    Raises ProjectError where no site was built there, UsageError where the port is not to be had.
    """
    if not (folder / MARK).is_file() or not (folder / "index.html").is_file():
        raise ProjectError(f"there is no site in {folder}", "tito site build", code="no-site")
    try:
        return ThreadingHTTPServer((HOST, port), partial(_Quiet, directory=str(folder)))
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        reason = "is in use" if error.errno == errno.EADDRINUSE else "may not be used by you"
        raise UsageError(
            f"port {port} {reason}", "tito site serve --port 0   (any that is free)", code="port"
        ) from error


def address(server):
    return f"http://{HOST}:{server.server_address[1]}/"
