"""Archives that `npm pack` has fetched into `.tito`; the version and the hash of what is run stand in the tests."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from chromium import missing

FOLDER = Path(__file__).resolve().parents[2] / ".tito"


@dataclass(frozen=True)
class Package:
    """A package as it was published. sha512: of the archive, in base64, as npm says it."""

    name: str
    version: str
    sha512: str

    @property
    def install(self):
        return f"mkdir -p .tito && npm pack {self.name}@{self.version} --pack-destination .tito"

    def archive(self, folder=FOLDER):
        """The archive's bytes. A test ends here where it is missing; another file is a failure."""
        path = folder / f"{self.name}-{self.version}.tgz"
        if not path.is_file():
            missing(self.install)
        data = path.read_bytes()
        digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
        assert digest == self.sha512, (
            f"{path} is not {self.name} {self.version} as it was published; remove it, then: {self.install}"
        )
        return data
