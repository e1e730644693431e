"""Any right side, of a flow or of a map, with its Jacobian: what fixed points, cycles and exponents need.

How to use it: `Flow(source, size, data, angles, discrete, ...)` for a source with a function
`right(y, data, out)`: the rates of a flow, or the next values of a map. Then `solve.orbits` finds
fixed points and periodic orbits and their stability, `solve.folds` continues them to their folds,
`solve.lyapunov` gives exponents. Solvers keep theirs in `FieldResult.extra["flow"]`; whatever stands
there, typed equations, bosons under `classical`, or a kicked map, serves all measures of dynamics.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.solve import tangent
from qsyncdsl.solve.drivers import Driver
from qsyncdsl.solve.pulses import Changes, changes


class Flow:
    """A flow $\\dot y = F(y)$ or a map $y \\to F(y)$ at one point of parameter space.

    Args:
        source: Python for numba with `right(y, data, out)`.
        size: Length of y.
        data: What `right` takes.
        angles: Entries of y that are angles: they are integrated without wrapping and compared
            modulo 2 pi.
        discrete: Whether it is a map.
        timed: Whether the last entry of y is the time.
        labels: Names of the entries.
        sums: Room for sums over lattices, where the source was generated with some.
        shared: Compiled functions of this source, kept for other points.
    """

    tolerance = 1e-9

    def __init__(
        self,
        source: str,
        size: int,
        data: Any,
        angles: tuple[int, ...],
        discrete: bool,
        timed: bool,
        labels: tuple[str, ...],
        sums: int = 0,
        shared: dict[str, Driver] | None = None,
    ) -> None:
        self.size = size
        self.data = data
        self.angles = np.array(angles, dtype=np.int64)
        self.discrete = discrete
        self.timed = timed
        self.labels = labels
        self.scale = np.ones(size)
        self._text = source
        self._sums = sums
        self._shared = {} if shared is None else shared

    @property
    def driver(self) -> Driver:
        """Runs of y."""
        if "plain" not in self._shared:
            self._shared["plain"] = Driver([self._text], self.data, 1, self._sums)
        return self._shared["plain"]

    @property
    def tangent_driver(self) -> Driver:
        """Runs of y with tangent vectors."""
        if "tangent" not in self._shared:
            pieces = [
                f"SIZE = {self.size}\n",
                self._text.replace("def right(", "def plain("),
                inspect.getsource(tangent.right),
            ]
            data = (self.data, self.scale)
            self._shared["tangent"] = Driver(pieces, data, 1, self._sums)
        return self._shared["tangent"]

    # ── runs ─────────────────────────────────────────────────────────────────────────────────

    def at(
        self, y: np.ndarray, times: np.ndarray, longest: float = np.inf
    ) -> np.ndarray:
        """y at times, shape (T, n); for a map after numbers of steps.

        Raises:
            SolveError: E514 where values leave the real numbers.
        """
        return self._run(self.driver, y, times, self.data, self.tolerance, longest)

    def _run(
        self, driver: Driver, y: np.ndarray, times: Any, data: Any, tolerance: float,
        longest: float = np.inf,
    ) -> np.ndarray:  # fmt: skip
        start = np.ascontiguousarray(y, dtype=float)
        if not (np.isfinite(start).all() and np.isfinite(times).all()):
            raise SolveError(Diagnostic("E514", "a run begins at no finite values"))
        if not self.discrete:
            chosen = np.asarray(times, float)
            return driver.integrate(start, chosen, data, tolerance, longest)
        counts = np.round(np.asarray(times)).astype(np.int64)
        found, reached = driver.call("iterate", start, counts, data)
        if reached < len(counts):
            raise SolveError(
                Diagnostic(
                    "E514",
                    f"the map left the real numbers before step {counts[reached]}",
                    help="does it grow without bound?",
                )
            )
        return np.asarray(found)

    def changes(self, y: np.ndarray, duration: float) -> Changes:
        """How the rates near y change by themselves, from the time of y on, so that no step passes over a pulse."""
        if not self.timed or self.discrete:
            return Changes(np.inf, 0.0, np.zeros(0))
        places = np.stack([y, y + 1.0])

        def rates(time: float) -> np.ndarray:
            places[:, -1] = time
            return np.concatenate([self.rate(place)[:-1] for place in places])

        return changes(rates, float(y[-1]), float(y[-1]) + duration)

    def rate(self, y: np.ndarray) -> np.ndarray:
        """F(y)."""
        out = np.empty(self.size)
        self.driver.right(np.ascontiguousarray(y), self.data, out)
        return out

    def after(self, y: np.ndarray, duration: float) -> np.ndarray:
        """y after a time, or after a number of steps, to 1e-12."""
        return self._run(self.driver, y, [duration], self.data, 1e-12)[-1]

    def with_tangent(
        self, y: np.ndarray, vectors: np.ndarray, duration: float, tolerance: float = 1e-11
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """y and tangent vectors, shape (n, m), after a time."""
        # differences of large angles would lose the digits that tangent vectors need
        lift = np.zeros(self.size)
        lift[self.angles] = 2 * np.pi * np.round(y[self.angles] / (2 * np.pi))
        z = np.concatenate([y - lift, vectors.T.ravel()])
        data = (self.data, self.scale)
        found = self._run(self.tangent_driver, z, [duration], data, tolerance)[-1]
        columns = found[self.size :].reshape(-1, self.size).T
        return found[: self.size] + lift, columns

    def jacobian(self, y: np.ndarray) -> np.ndarray:
        """dF/dy, shape (n, n)."""
        z = np.concatenate([y, np.eye(self.size).ravel()])
        out = np.empty(len(z))
        self.tangent_driver.right(z, (self.data, self.scale), out)
        return out[self.size :].reshape(-1, self.size).T

    def apart(self, difference: np.ndarray) -> np.ndarray:
        """A difference of states with angles taken modulo 2 pi."""
        found = np.array(difference, dtype=float)
        turns = found[..., self.angles]
        found[..., self.angles] = (turns + np.pi) % (2 * np.pi) - np.pi
        return found

    def fastest(self, y: np.ndarray) -> float:
        """The fastest rate near a state: of tangent vectors, and of angles."""
        base = self.rate(y)
        rng = np.random.default_rng(0)
        v = rng.standard_normal(self.size)
        best = float(np.abs(base[self.angles]).max()) if len(self.angles) else 0.0
        size = 1.0 + float(np.abs(y).max())
        for _ in range(8):
            v /= np.linalg.norm(v) or 1.0
            v = (self.rate(y + 1e-6 * size * v) - base) / (1e-6 * size)
            best = max(best, float(np.linalg.norm(v)))
        return best if np.isfinite(best) and best > 1e-9 else 1.0

    def calibrate(self, path: np.ndarray) -> None:
        """Scales of the variables from a record, shape (T, n); angles have 1."""
        size = np.abs(path).max(axis=0)
        spread = path.max(axis=0) - path.min(axis=0)
        scale = np.clip(np.maximum(size, spread), 1e-6, 1e6)
        scale[self.angles] = 1.0
        # a variable at rest has no scale of its own
        scale[spread < 1e-9 * (1 + size)] = np.clip(
            scale[spread < 1e-9 * (1 + size)], 1e-2, None
        )
        self.scale = scale
