"""A notebook that ends in the middle."""

# /// attack
# module = "02"
# status = ["unreadable"]
# file = "truncated"
# earns = "nothing"
# ///
