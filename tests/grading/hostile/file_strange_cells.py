"""A notebook whose cells are numbers."""

# /// attack
# module = "02"
# status = ["unreadable"]
# file = "strange cells"
# earns = "nothing"
# ///
