"""A Python file under a notebook's name."""

# /// attack
# module = "02"
# status = ["unreadable"]
# file = "text"
# earns = "nothing"
# ///
