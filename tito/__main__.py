"""`python -m tito`."""

import sys

from tito.app import main

sys.exit(main())
