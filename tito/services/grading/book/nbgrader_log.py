"""What nbgrader says while it works: kept, not shown, and asked for the reason where it fails."""

import logging


class NbgraderLog(logging.Logger):
    """A log that is kept. lines: its messages."""

    def __init__(self):
        super().__init__("tito.nbgrader", logging.ERROR)
        self.lines = []
        handler = logging.Handler()
        handler.emit = lambda record: self.lines.append(record.getMessage())
        self.addHandler(handler)

    def reason(self):
        """The first line that names an error, which is the last of the first traceback; "" for none."""
        lines = [line for text in self.lines for line in text.strip().splitlines() if "Error" in line]
        return lines[0].strip() if lines else ""
