"""The work: functions that neither print nor parse, each returning dataclasses or raising a TitoError."""
