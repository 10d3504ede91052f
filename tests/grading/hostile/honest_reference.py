"""Nothing is tried: the reference's answers earn full points."""

# /// attack
# module = "02"
# status = ["graded"]
# ///
