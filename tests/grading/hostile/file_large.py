"""A notebook of 50 MB, most of it no notebook's: read or refused, nothing else."""

# /// attack
# module = "02"
# status = ["graded"]
# file = "large"
# ///
