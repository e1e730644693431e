"""Random parameters: the same numbers for the same seed, draw, name and site, in any order."""

from __future__ import annotations

import math
import random


def generator(seed: int, draw: int, name: str, site: tuple[int, ...]) -> random.Random:
    """A generator of its own for each number that is drawn."""
    return random.Random(f"{seed}:{draw}:{name}:{','.join(map(str, site))}")


def normal(rng: random.Random, mean: float, deviation: float) -> float:
    """Gaussian with a standard deviation."""
    return rng.gauss(mean, deviation)


def uniform(rng: random.Random, low: float, high: float) -> float:
    """Flat between two ends."""
    return rng.uniform(low, high)


def lorentzian(rng: random.Random, center: float, width: float) -> float:
    """Cauchy distribution; `width` is the half width at half maximum."""
    return center + width * math.tan(math.pi * (rng.random() - 0.5))
