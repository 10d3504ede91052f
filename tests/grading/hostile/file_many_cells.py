"""A notebook of 20,000 small cells: so many that reading and judging them took tito ten minutes."""

# /// attack
# module = "02"
# status = ["unreadable"]
# file = "many cells"
# earns = "nothing"
# ///
