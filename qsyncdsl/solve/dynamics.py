"""What measures ask of a run without noise: its right side with the record it left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qsyncdsl.solve.at_rest import growth_rates
from qsyncdsl.solve.flow import Flow
from qsyncdsl.solve.lyapunov import lyapunov
from qsyncdsl.solve.orbits import (
    FixedPoint,
    Orbit,
    fixed_points,
    periodic_orbit,
    starts_around,
)


@dataclass
class Dynamics:
    """A flow or map with the record of a run.

    Attributes:
        path: y at the times of the run, shape (T, n).
        times: Shape (T,).
        first: y at the start.
        resting: Whether the record is one fixed point.
    """

    flow: Flow
    path: np.ndarray = field(repr=False)
    times: np.ndarray = field(repr=False)
    first: np.ndarray = field(repr=False)
    resting: bool = False
    _known: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def at_rest(cls, flow: Flow, y: np.ndarray, first: np.ndarray) -> Dynamics:
        """A fixed point in place of a record."""
        return cls(flow, y[None], np.zeros(1), first, True)

    def __post_init__(self) -> None:
        self.flow.calibrate(self.path)

    @property
    def span(self) -> float:
        """Length of the record."""
        return float(self.times[-1] - (self.times[0] if len(self.times) > 1 else 0.0))

    def fixed_points(self, starts: int) -> list[FixedPoint]:
        """The fixed points that are found from states of the run and as many random ones."""
        if ("points", starts) not in self._known:
            chosen = starts_around(self.flow, self.path, starts)
            self._known["points", starts] = fixed_points(self.flow, chosen)
        return self._known["points", starts]  # type: ignore[no-any-return]

    def orbit(self) -> Orbit | None:
        """The periodic orbit that the run ends on; None where it does not close."""
        if "orbit" not in self._known:
            end = self.path[-1].copy()
            self._known["orbit"] = periodic_orbit(self.flow, end, self.span)
        return self._known["orbit"]  # type: ignore[no-any-return]

    def lyapunov(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k largest exponents (all for 0) over a run as long as the record, with errors.

        At a fixed point they are the growth rates of deviations.
        """
        count = min(k or self.flow.size, self.flow.size)
        if self.resting:
            found = growth_rates(self.flow, self.path[-1])[:count]
            return found, np.zeros(count)
        return lyapunov(self.flow, self.path[-1].copy(), self.span, count)

    def starts(self, count: int) -> list[np.ndarray]:
        """The start of the run, then random ones."""
        randoms = starts_around(self.flow, self.path, count)[-count:]
        return [self.first, *randoms][: max(count, 1)]
