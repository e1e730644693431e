"""What measures look at under `floquet`: states before the kicks, and states inside the periods."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from qsyncdsl.algebra.operators import Polynomial, Space
from qsyncdsl.algebra.windows import space_at
from qsyncdsl.measure.scene import Scene
from qsyncdsl.result import FloquetResult, PlacedState


@dataclass(frozen=True)
class StrobeScene(Scene):
    """A state just before a kick; time averages are taken over `cycle`.

    Attributes:
        cycle: The states inside the periods with their weights.
    """

    cycle: Cycle | None = field(default=None, repr=False)


@dataclass(frozen=True)
class MixedScene(StrobeScene):
    """Stroboscopic states at many quasi-momenta: mean values are means over all."""

    members: tuple[Scene, ...] = field(default=(), repr=False)
    weights: tuple[float, ...] = field(default=(), repr=False)

    def expect(self, operator: Polynomial) -> complex:
        """<O>, averaged over the quasi-momentum."""
        values = (member.expect(operator) for member in self.members)
        return sum((w * v for w, v in zip(self.weights, values, strict=True)), start=0j)


@dataclass(frozen=True)
class Cycle:
    """The states inside the periods of a result."""

    result: FloquetResult = field(repr=False)
    base: Scene = field(repr=False)

    @cached_property
    def scenes(self) -> tuple[Scene, ...]:
        """One scene for each state."""
        times = self.times
        given = SimpleNamespace(times=times, generator=None)
        return tuple(placed(self.base, p, given) for p in self.result.inside)

    @property
    def times(self) -> np.ndarray:
        """Times of the states; in a steady state only their order means anything."""
        inner = self.result.inner_times
        return np.arange(len(self.result.inside)) if inner is None else inner

    def weights(self, window: Any) -> np.ndarray:
        """Weights of the states in a window of time; sum 1."""
        weights, inner = self.result.weights, self.result.inner_times
        if window and inner is not None:
            low, high = (float(np.real(x)) for x in window)
            weights = np.where((inner >= low) & (inner <= high), weights, 0.0)
        return weights / weights.sum()


def placed(base: Scene, state: PlacedState, result: Any) -> Scene:
    """A scene of a state in its window."""
    space = space_at(base.space, state.place)
    return Scene(state.state, space, result, {}, base.hbar, base.parameters)


def scenes(
    result: FloquetResult, space: Space, hbar: float, options: Any
) -> tuple[Scene, ...]:
    """The steady state, or one scene for each instant of a record."""
    window = options.get("window")
    if not window and options.get("burn_in") and result.times is not None:
        window = (options["burn_in"], result.times[-1])
    first = result.strobe[0]
    base = Scene(first.state, space, None, {}, hbar, {"window": window})
    cycle = Cycle(result, base)
    here = [placed(base, p, result) for p in result.strobe]
    if result.mixture is not None:
        one = here[-1]
        mixed = MixedScene(
            one.state, one.space, result, {}, hbar, base.parameters, cycle,
            tuple(here), tuple(result.mixture.tolist()),
        )  # fmt: skip
        return (mixed,)
    return tuple(
        StrobeScene(s.state, s.space, result, s.matrices, hbar, s.parameters, cycle)
        for s in here
    )


def placed_scenes(
    result: FloquetResult, space: Space, hbar: float, options: Any
) -> tuple[Scene, ...]:
    """States at times; with `time = T` all together, weighted by the trapezoidal rule in the window."""
    times = result.times
    assert times is not None
    first = result.strobe[0]
    base = Scene(first.state, space, None, {}, hbar, {"window": options.get("window")})
    averaged = "time" in options and "times" not in options
    given = result if len(times) > 1 and not averaged else None
    found = tuple(placed(base, p, given) for p in result.strobe)
    if not averaged:
        return found
    low, high = options.get("window") or (options.get("burn_in", 0.0), times[-1])
    inside = (times >= float(low) - 1e-12) & (times <= float(high) + 1e-12)
    if inside.sum() < 2:
        return (found[-1],)
    kept = times[inside]
    weights = np.zeros(len(times))
    weights[inside] = np.gradient(kept)
    weights[np.flatnonzero(inside)[[0, -1]]] /= 2
    weights /= weights.sum()
    last = found[-1]
    return (
        MixedScene(
            last.state, last.space, None, {}, hbar, base.parameters, None,
            found, tuple(weights.tolist()),
        ),
    )  # fmt: skip
