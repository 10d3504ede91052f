"""The gradebook, read."""

# /// attack
# module = "02"
# status = ["graded"]
# ///

# %% first
import sqlite3
for path in ("@GRADEBOOK@", "@PROJECT@/assignments/gradebook.db", "../gradebook.db", "../../gradebook.db", "gradebook.db"):
    try:
        print(open(path, "rb").read())
        print(sqlite3.connect(path).execute("select * from sqlite_master").fetchall())
    except (OSError, sqlite3.Error) as error:
        print(error)
