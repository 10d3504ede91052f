"""A notebook without a list of cells."""

# /// attack
# module = "02"
# status = ["unreadable"]
# file = "no cells"
# earns = "nothing"
# ///
