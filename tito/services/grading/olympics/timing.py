"""Ratios of times that were measured in pairs, with a bootstrap interval: what module 19 teaches, for tito itself.

tito does not import a student's package, so this is its own small implementation.
"""

import math
from dataclasses import dataclass

RESAMPLES = 2_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Compared:
    """The median of the pairs' ratios (one's time by the reference's), and the interval that holds it.

    verdict: "faster" or "slower" where the whole interval is below or above 1, else "not decided".
    """

    ratio: float
    low: float
    high: float
    pairs: int

    @property
    def verdict(self):
        return "faster" if self.high < 1 else "slower" if self.low > 1 else "not decided"


def compare(times, reference, seed=0):
    """Compared for `times` and `reference`, seconds of the same length, measured in pairs."""
    import numpy as np

    ratios = np.divide(times, reference)
    if len(ratios) < 2 or not (np.isfinite(ratios) & (ratios > 0)).all():
        raise ValueError(f"{len(ratios)} pairs of times, from which no ratio follows")
    drawn = np.random.default_rng(seed).integers(len(ratios), size=(RESAMPLES, len(ratios)))
    medians = np.median(ratios[drawn], axis=1)
    low, high = np.quantile(medians, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Compared(float(np.median(ratios)), float(low), float(high), len(ratios))


def calls_for(seconds, call, most):
    """How many calls of `call` seconds make a reading of `seconds`, between 1 and `most`."""
    return min(most, max(1, math.ceil(seconds / call))) if call > 0 else most
