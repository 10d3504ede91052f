"""JSON that is no notebook."""

# /// attack
# module = "02"
# status = ["unreadable"]
# file = "list"
# earns = "nothing"
# ///
