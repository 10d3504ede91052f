"""Run in a container of container.py: attacks of the hostile corpus, scored with a kit in /autograder/source/kit.

Arguments: the names of the attacks. Prints {name: problems}. What an attack must not reach lies below /autograder.
"""

import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

from tito.services.grading.proof import attacks
from tito.services.grading.rehearsal import selftest
from tito.services.grading.sandbox import find
from tito.services.grading.scoring import kits, scorer


def main():
    home = Path("/autograder")
    home.chmod(0o700)
    sandbox = find.in_container()
    tempfile.tempdir = tempfile.mkdtemp(dir=home)  # of the traps
    project = SimpleNamespace(root=home / "corpus", relative=str)
    kit = kits.load(home / "source" / "kit", sandbox)
    corpus = {attack.name: attack for attack in attacks.read_corpus(project)}

    def held(name):
        for patience in (1, selftest.PATIENCE):
            found = selftest.run_attack(project, corpus[name], kit, scorer.score, patience=patience)
            if not found.problems:
                break
        return name, found.problems

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = dict(pool.map(held, sys.argv[1:]))
    print(json.dumps({"isolation": sandbox.kind, "problems": problems}))
    kit.readers.close()
    kit.testing.close()


if __name__ == "__main__":
    main()
