"""Where a submission runs: found by trying it, with limits."""
