"""A file without a byte."""

# /// attack
# module = "02"
# status = ["unreadable"]
# file = "empty"
# earns = "nothing"
# ///
