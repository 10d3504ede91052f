"""JSON nested 200,000 deep."""

# /// attack
# module = "02"
# status = ["unreadable"]
# file = "deep"
# earns = "nothing"
# ///
