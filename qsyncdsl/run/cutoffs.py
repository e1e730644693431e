"""How many levels of each boson: what is open, the ladder of numbers tried, what a tail asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import ModelError
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Mode, Model, Override

# Error of a measure that is aimed at where a model leaves its levels open and says no accuracy.
ACCURACY = 1e-6
# Populations above the levels kept, in units of the accuracy.
_TAIL = 1e-2
_MOST = 20_000
# How numbers of a trust report begin that are populations of the highest level of a mode.
TOP = "top_population_"
# Deviations of a number that are kept at first.
_DEVIATIONS = 5.0


def bosons(model: Model) -> tuple[Mode, ...]:
    """The modes whose levels are cutoffs."""
    return tuple(mode for mode in model.modes.values() if mode.kind == "boson")


def option(mode: Mode) -> str:
    """The name that sets the levels of a mode."""
    return "levels_" + mode.name.replace(".", "_")


def option_of(label: str) -> str:
    """The name that sets the levels of a mode or of one of its sites."""
    return "levels_" + _bare(label).replace(".", "_")


def layer(levels: Mapping[str, int]) -> tuple[Override, ...]:
    """Cutoffs as settings, by the name of the option."""
    return tuple(Override(name, float(count)) for name, count in levels.items())


def declared(environment: Environment) -> dict[str, int | None]:
    """The levels of every boson by the name of its option; None where they are open."""
    return {option(m): environment.levels(m) for m in bosons(environment.model)}


def rungs() -> Iterator[int]:
    """Numbers of levels that are tried: 4, 6, 8, 10, 12, 15, 18, 22, ...; ratios near 1.2.

    A fixed ladder makes the cutoffs, and so the numbers, the same from wherever a search starts.
    """
    count = 4
    while count <= _MOST:
        yield count
        count = max(count + 2, int(np.ceil(1.2 * count)))


def at_least(wanted: float) -> int:
    """The lowest rung that is not below a number."""
    return next((r for r in rungs() if r >= wanted), _MOST)


def above(count: int, steps: int = 1) -> int:
    """The rung some steps above a number of levels."""
    for _ in range(steps):
        count = at_least(count + 1)
    return count


def by_option(
    model: Model, populations: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Populations of levels by option: the largest over the sites of a mode."""
    found: dict[str, np.ndarray] = {}
    for mode in bosons(model):
        own = [p for label, p in populations.items() if same(label, mode)]
        if own:
            found[option(mode)] = np.max(np.array(own), axis=0)
    return found


def highest(numbers: Mapping[str, float]) -> float:
    """The largest population of a highest level among the numbers of a trust report."""
    found = (v for n, v in numbers.items() if n.startswith(TOP))
    return max(found, default=0.0)


def needed(populations: np.ndarray, accuracy: float) -> int | None:
    """The lowest rung whose lost population is below the accuracy; None if more levels are needed.

    The two highest levels decide, since a parity may leave one of them empty.
    """
    tail = np.cumsum(np.abs(populations[::-1]))[::-1]
    small = _TAIL * accuracy
    if tail[max(len(tail) - 2, 0)] > small:
        return None
    enough = int(np.argmax(np.append(tail, 0.0) <= small))
    return at_least(max(enough, 2))


def grown(populations: np.ndarray, accuracy: float) -> int:
    """A larger number of levels, by the decay of the populations."""
    count = len(populations)
    tail = np.cumsum(np.abs(populations[::-1]))[::-1]
    back = min(4, count - 2)
    high, low = float(tail[count - 2]), float(tail[count - 2 - back])
    slope = np.log(low / high) / back if back > 0 and high > 0 and low > 0 else 0.0
    missing = np.log(max(high, 1e-300) / (_TAIL * accuracy))
    extra = missing / slope if slope > 0 else np.inf
    # A distribution that has not turned over yet says nothing of its tail.
    largest = 1.6 if high > 1e-2 else 1.9
    return at_least(max(count + 1, min(count + extra, largest * count)))


def estimate(model: Model, environment: Environment) -> dict[str, int]:
    r"""Levels for a number about the classical $|\alpha|^2$, as wide as that of a van der Pol oscillator.

    A gain of one and a loss of two photons at a time make the variance 3/2 of the mean: of the rates
    g and g/2, $\langle\Delta n^2\rangle = (g + 4g/2)/(2\lambda)$ with $g = \lambda n$.
    """
    from qsyncdsl.algebra.amplitudes import amplitudes
    from qsyncdsl.algebra.build import examine

    least = 6 if len(bosons(model)) < 3 else 4
    found = {option(mode): least for mode in bosons(model)}
    try:
        system = examine(model, environment)
        fields = amplitudes(system)
        reached = fields.reached()
    except (ModelError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return found
    labels = [system.space.modes[k].label for k in fields.modes]
    for mode in bosons(model):
        for label, size in zip(labels, reached, strict=True):
            if same(label, mode):
                n = float(min(size, 200.0)) ** 2
                wanted = at_least(n + _DEVIATIONS * np.sqrt(1.5 * n) + 4)
                found[option(mode)] = max(found[option(mode)], wanted)
    return found


def same(label: str, mode: Mode) -> bool:
    """Whether a label is that of a mode or of one of its sites."""
    return _bare(label) == _bare(mode.name)


def _bare(label: str) -> str:
    """`b[2, 3]` and `osc[1].a` without their indices."""
    kept: list[str] = []
    depth = 0
    for letter in label:
        depth += letter == "["
        if depth == 0:
            kept.append(letter)
        depth -= letter == "]"
    return "".join(kept)


def text(levels: Mapping[str, Any]) -> str:
    """`levels_a = 12, levels_b = 30`."""
    return ", ".join(f"{name} = {count}" for name, count in levels.items())


def worst(numbers: Iterable[float]) -> float:
    """The largest of some errors; 0 if there are none."""
    return max(numbers, default=0.0)
