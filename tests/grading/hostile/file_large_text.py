"""A notebook with 25 MB of text, which are no outputs."""

# /// attack
# module = "02"
# status = ["unreadable"]
# file = "large text"
# earns = "nothing"
# ///
