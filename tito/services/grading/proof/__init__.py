"""Are the tests strong, and does the sandbox hold: mutants, the audit, the hostile corpus."""
