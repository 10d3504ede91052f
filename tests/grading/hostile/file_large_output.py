"""A notebook with an output of 50 MB."""

# /// attack
# module = "02"
# status = ["graded"]
# file = "large output"
# ///
