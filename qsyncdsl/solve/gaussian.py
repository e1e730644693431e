r"""Classical trajectory and covariance matrix, integrated together.

$$ \dot\alpha = A(\alpha), \qquad \dot C = J C + C J^T + D , $$

with real quadratures $R = (q_1, p_1, q_2, \dots)$, $a = (q + ip)/\sqrt2$, J the Jacobian of A and D the
diffusion at $\alpha(t)$; vacuum has $C = \tfrac12$.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import GaussianProblem, Point
from qsyncdsl.result import GaussianResult, Trust
from qsyncdsl.solve import at_rest
from qsyncdsl.solve.back_action import with_pairs
from qsyncdsl.solve.fields import numbers
from qsyncdsl.solve.kernels import run_integrator
from qsyncdsl.solve.polynomials import (
    Sum,
    derivative,
    integrator,
    real_form,
    with_numbers,
)
from qsyncdsl.solve.times import sampling_of_moments
from qsyncdsl.solve.translation import Translation, translation

_RELATIVE, _ABSOLUTE = 1e-10, 1e-10
# Tolerance of a run that only tells how far off another one is.
_ROUGH = 1e-7
# No moments of pairs in the equations.
_NONE = np.zeros((0, 4), dtype=np.int64)
# Decay times of fluctuations after which a state that they act back on is stationary.
_SETTLED = 40.0
# Bytes of covariance matrices that are kept.
_ROOM = 1 << 30


class GaussianSolver:
    """Solves for means and covariances of one problem at many points.

    With the option `back_action` fluctuations act back on the means, and on themselves, see `back_action`.
    """

    def __init__(self, problem: GaussianProblem) -> None:
        self.problem = problem

    def solve(self, point: Point) -> GaussianResult:
        """Integrate from a product of coherent or thermal states; without times, the fixed point they run to.

        With `relax = T` the mean fields run for a time T before; then the covariance starts as that
        of coherent or thermal states, and times count from there.

        Raises:
            SolveError: E510-E512 for times, E514 where the integration fails; E520, E521 and E527 where there is
                no stationary state.
        """
        assert point.initial is not None
        count, options = self.problem.count, point.options
        flow = _Flow(self.problem, point)
        alpha = point.initial[0].astype(complex)
        if point.previous is not None:
            alpha = np.array(point.previous["means"])
        relax = float(options.get("relax", 0) or 0)
        if relax < 0:
            raise SolveError(Diagnostic("E511", "relax must not be negative"))
        if relax > 0:
            alpha = flow.means(alpha, 0.0, relax)
        if at_rest.asked(options):
            return self._stationary(flow, alpha)
        chosen = sampling_of_moments(options, 8 * (2 * count) ** 2, _ROOM)
        widths = np.repeat(point.initial[1].real, 2)
        alike = flow.translation(alpha, widths)
        if alike is None:
            means, covariances = flow.moments(alpha, np.diag(widths), relax, chosen)
        else:
            means, covariances = flow.waves(alike, alpha, widths, chosen)
        trust = _trust(covariances, flow, means[-1])
        if alike is not None:
            trust.facts["symmetry"] = f"translations of {alike.sites} sites"
        return GaussianResult(self.problem.families, chosen, means, covariances, trust)

    def _stationary(self, flow: _Flow, alpha: np.ndarray) -> GaussianResult:
        """The fixed point, with the stationary covariance about it."""
        if flow.values.moving:
            raise SolveError(at_rest.never("coefficients depend on time"))
        y = at_rest.fixed_point(flow, alpha.view(float), self.problem.linear)
        alpha = np.ascontiguousarray(y).view(complex)
        means, covariances = alpha[None], at_rest.covariance(flow, y)[None]
        if flow.acts_back:
            end = np.array([_SETTLED / at_rest.slowest(flow, y)])
            means, covariances = flow.moments(alpha, covariances[0], 0.0, end)
        trust = _trust(covariances, flow, means[0])
        trust.facts["scheme"] = "fixed point, Lyapunov equation"
        times = np.zeros(1)
        return GaussianResult(self.problem.families, times, means, covariances, trust)


class _Flow:
    """The right sides with the numbers of one point."""

    def __init__(self, problem: GaussianProblem, point: Point) -> None:
        self.problem = problem
        self.count = problem.count
        relative = max(_RELATIVE * point.coarser, 1e-13)
        self.tolerance = relative, _ABSOLUTE * point.coarser
        self.acts_back = bool(point.options.get("back_action", False))
        if self.acts_back:
            self.tolerance = max(relative, _ROUGH), max(self.tolerance[1], _ROUGH)
        self.values = numbers(problem, point)
        self._sums: tuple[Sum, ...] = ()
        self._closed: tuple[tuple[Sum, ...], np.ndarray] = ((), _NONE)
        self._at(0.0)

    def _at(self, time: float) -> None:
        """Coefficients at a time."""
        if self._sums and not self.values.moving:
            return
        c = self.values.at(time) if self.values.moving else self.values.c
        problem, w = self.problem, self.values.w
        drift = with_numbers(problem.drift, c, w)
        self._sums = (
            drift,
            derivative(drift, self.count, False),
            derivative(drift, self.count, True),
            with_numbers(problem.normal, c, w),
            with_numbers(problem.anomalous, c, w),
        )
        if self.acts_back:
            self._closed = with_pairs(self._sums, self.count)
        else:
            self._closed = self._sums, _NONE

    def means(self, alpha: np.ndarray, start: float, end: float) -> np.ndarray:
        """The mean fields alone, from one time to another."""
        times = np.array([end - start])
        found = self._integrate("means_right", 1, alpha.view(float), times, start)
        return np.ascontiguousarray(found[-1]).view(complex)

    def moments(
        self, alpha: np.ndarray, covariance: np.ndarray, start: float, times: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Means, shape (T, F), and covariances, shape (T, 2F, 2F), at `start + times`."""
        n = self.count
        first = np.concatenate([alpha.view(float), covariance.reshape(-1)])
        found = self._integrate("moments_right", 5, first, times, start)
        means = np.ascontiguousarray(found[:, : 2 * n]).view(complex)
        return means, found[:, 2 * n :].reshape(-1, 2 * n, 2 * n)

    def translation(self, alpha: np.ndarray, widths: np.ndarray) -> Translation | None:
        """The lattice on which everything is the same on all sites."""
        if self.values.moving or self.acts_back:
            return None
        return translation(self.problem.families, self._sums, alpha, widths)

    def waves(
        self,
        alike: Translation,
        alpha: np.ndarray,
        widths: np.ndarray,
        times: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Means and covariances as of `moments`, by wave vectors."""
        found = run_integrator(
            integrator("waves_right"), alike.start(alpha, widths), times,
            lambda _: alike.data, False, self.tolerance, 0.0, "waves_right",
        )  # fmt: skip
        return alike.expanded(found)

    def _integrate(
        self, name: str, sums: int, first: np.ndarray, times: np.ndarray, start: float
    ) -> np.ndarray:
        def data(time: float) -> Any:
            self._at(time)
            return self._data(sums)

        source, moving = integrator(name), self.values.moving
        return run_integrator(
            source,
            first,
            times,
            data,
            moving,
            self.tolerance,
            start,
            name,
            self.values.at,
        )

    def _data(self, sums: int) -> Any:
        if sums == 1:
            return self._sums[0].arrays
        closed, pairs = self._closed
        return (*(s.arrays for s in closed), pairs)

    # ── of real and imaginary parts y of the mean fields in turn, shape (2F,) ────────────────

    discrete = False

    def at(self, y: np.ndarray, times: np.ndarray) -> np.ndarray:
        """y after some times, shape (T, 2F)."""
        return self._integrate("means_right", 1, y, times, 0.0)

    def rate(self, y: np.ndarray) -> np.ndarray:
        """A at some mean fields."""
        found = np.ascontiguousarray(self._sums[0].at(y.view(complex)))
        return found.view(float)

    def noise(self, y: np.ndarray) -> np.ndarray:
        """D at some mean fields, in quadratures, shape (2F, 2F)."""
        alpha = y.view(complex)
        found = real_form(self._sums[3].at(alpha), self._sums[4].at(alpha))
        return (found + found.T) / 2

    def jacobian(self, y: np.ndarray) -> np.ndarray:
        """J at some mean fields, shape (2F, 2F), the same in quadratures."""
        alpha = y.view(complex)
        return real_form(self._sums[1].at(alpha), self._sums[2].at(alpha))


def _trust(covariances: np.ndarray, flow: _Flow, alpha: np.ndarray) -> Trust:
    """Heisenberg's relation at the end, and directions in which fluctuations are not bound."""
    n = flow.count
    omega = np.kron(np.eye(n), [[0.0, 1.0], [-1.0, 0.0]])
    smallest = float(np.linalg.eigvalsh(covariances[-1] + 0.5j * omega).min())
    y = np.ascontiguousarray(alpha).view(float)
    growth = float(np.linalg.eigvals(flow.jacobian(y)).real.max())
    warnings = []
    scale = float(np.abs(covariances[-1]).max())
    if smallest < -1e-7 * max(scale, 1.0):
        warnings.append(
            Diagnostic(
                "W520",
                f"the covariance violates the uncertainty relation by {-smallest:.2g}",
                help="the linearized noise is too weak here; compare with 'steadystate'",
            )
        )
    if len(covariances) > 2:
        third = max(len(covariances) // 3, 1)
        before, after = (
            float(np.trace(c)) for c in (covariances[-third], covariances[-1])
        )
        if after > 1.1 * before and after > 2 * n:
            warnings.append(
                Diagnostic(
                    "W521",
                    f"the variances still grow: {after / before:.3g} times over the last third of the run",
                    help="along a limit cycle the common phase is not bound (a neutral direction):"
                    " averages depend on their window; state it",
                )
            )
    return Trust(
        {
            "tolerance": flow.tolerance[0],
            "uncertainty_margin": smallest,
            "largest_growth_rate": growth,
        },
        {"scheme": "DOP853", "start": "product of coherent or thermal states"},
        tuple(warnings),
    )
