"""Seeds of realizations that run side by side."""

from __future__ import annotations

import numpy as np


def streams(seed: int, first: int, lanes: int) -> np.ndarray:
    """States of the generators of realizations `first .. first + lanes - 1`, shape (2, 4, lanes).

    A realization has the same streams however the work is split: one for its even steps, one for
    its odd ones, so that a run with twice the step can see the same noise.
    """
    found = np.empty((2, 4, lanes), dtype=np.uint64)
    for lane in range(lanes):
        sequence = np.random.SeedSequence([seed, first + lane])
        words = sequence.generate_state(8, dtype=np.uint64)
        found[:, :, lane] = words.reshape(2, 4)
    return found
