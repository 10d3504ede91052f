"""`python -m tito`."""

import sys

from tito import first_aid


def main():
    problem = first_aid.obstacle()
    if problem is not None:
        return first_aid.answer(problem, sys.argv[1:])
    from tito.app import main as run

    return run()


sys.exit(main())
