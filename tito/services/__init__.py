"""The work: functions that neither print nor parse, each returning dataclasses or raising a TitoError."""

import sys

# nbformat imports jsonschema, which imports this optional package where it is installed, and that compiles a grammar
# of URIs for a second at every start. No notebook needs it; None makes jsonschema do without.
sys.modules.setdefault("rfc3987_syntax", None)
