"""Print the block of README.md that is marked `<!-- ci: NAME -->`."""

import re
import sys
from pathlib import Path

name = sys.argv[1]
readme = Path(__file__).resolve().parents[1] / "README.md"
found = re.search(rf"<!-- ci: {re.escape(name)} -->\n```bash\n(.+?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
if found is None:
    sys.exit(f"{readme} has no block marked <!-- ci: {name} -->")
print(found[1], end="")
