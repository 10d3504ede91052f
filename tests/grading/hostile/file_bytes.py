"""Bytes that are no text."""

# /// attack
# module = "02"
# status = ["unreadable"]
# file = "bytes"
# earns = "nothing"
# ///
