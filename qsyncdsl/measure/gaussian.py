r"""What measures look at under Gaussian methods: means and a covariance matrix.

Covariances are symmetrized, of quadratures $(q_1, p_1, q_2, \dots)$ with $[q, p] = i$: vacuum has 1/2.
The state is the Gaussian with these moments. The states of a whole run are measured at once: means and covariances
then have the time before their other dimensions, and so have the values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NoReturn, TypeGuard, TypeVar

import numpy as np

from qsyncdsl.algebra.operators import Polynomial, Space
from qsyncdsl.algebra.phase_space import NoPhaseSpace, weyl_symbol
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.measure.ensemble import FieldParts
from qsyncdsl.measure.parts import no_density_matrix
from qsyncdsl.measure.statistics import window_weights
from qsyncdsl.measure.values import PhaseSpaceMap
from qsyncdsl.result import GaussianResult, Part

# Bytes of covariance matrices that are looked at together.
_AT_ONCE = 1 << 25
# Means below which a field has no phase.
_NO_PHASE = 1e-9


@dataclass(frozen=True)
class GaussianScene:
    """A Gaussian state with what is needed to measure it.

    Attributes:
        means: <a_k>, shape (F,), or (T, F) for the states of a whole run.
        covariance: Shape (2F, 2F), or (T, 2F, 2F).
        given: What the solver gave; times are a dimension.
        averaged: Weights of the times where only a mean over a window is asked for, shape (T,).
    """

    means: np.ndarray = field(repr=False)
    covariance: np.ndarray = field(repr=False)
    space: Space
    given: GaussianResult = field(repr=False)
    averaged: np.ndarray | None = field(default=None, repr=False)
    hbar: float = 1.0
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    known: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def result(self) -> GaussianResult | None:
        """The result where times are a dimension."""
        return self.given if len(self.given.times) > 1 else None

    @property
    def samples(self) -> np.ndarray:
        """The means as one trajectory at one time, shape (F, 1, 1)."""
        return self.means[:, None, None]

    def family(self, position: int) -> Any:
        """The declared mode of a field."""
        return next(
            f for f in self.given.families if f.offset <= position < f.offset + f.size
        )

    @cached_property
    def state(self) -> FieldParts:
        """The modes."""
        return FieldParts(
            tuple(Part(m.label, m.kind.name, 0) for m in self.space.modes)
        )

    def at(self, times: slice) -> GaussianScene:
        """The states at some times of the run as one."""
        means, covariance = self.given.means[times], self.given.covariances[times]
        return replace(self, means=means, covariance=covariance, known={})

    def expect(self, operator: Polynomial) -> Any:
        """<O>: the mean of its Weyl symbol over the Gaussian Wigner function; complex, shape (T,) for a whole run.

        Raises:
            SolveError: E610 for an operator without a symbol.
        """
        try:
            symbol = weyl_symbol(operator)
        except NoPhaseSpace as reason:
            message = f"this has no value in a Gaussian state of bosons: {reason}"
            raise SolveError(Diagnostic("E610", message)) from None
        total: Any = np.zeros(self.means.shape[:-1], dtype=complex)[()]
        for fields, value in symbol.items():
            variables = tuple(
                (key, star)
                for key, p, q in fields
                for star in (True,) * p + (False,) * q
            )
            total = total + complex(value) * self._moment(variables)
        return complex(total) if np.ndim(total) == 0 else total

    def _moment(self, variables: tuple[tuple[int, bool], ...]) -> Any:
        """E of a product of fields: the first is its mean, or contracted with another one."""
        if not variables:
            return 1.0 + 0j
        (key, star), rest = variables[0], variables[1:]
        mean = self.means[..., key]
        total = (mean.conjugate() if star else mean) * self._moment(rest)
        for place, other in enumerate(rest):
            pair = self._contraction(key, star, *other)
            if np.any(pair):
                total = total + pair * self._moment(rest[:place] + rest[place + 1 :])
        return total

    def _contraction(self, k: int, star: bool, m: int, other: bool) -> Any:
        """Covariance of two fields, each conjugated or not."""
        c = self.covariance
        s, o = (-1.0 if star else 1.0), (-1.0 if other else 1.0)
        real = c[..., 2 * k, 2 * m] - s * o * c[..., 2 * k + 1, 2 * m + 1]
        imaginary = o * c[..., 2 * k, 2 * m + 1] + s * c[..., 2 * k + 1, 2 * m]
        return 0.5 * real + 0.5j * imaginary

    def letter(self, part: int, name: str) -> Polynomial:
        """A named operator of a part."""
        return self.space.letter(part, name)

    def boson(self, part: int, word: str) -> Polynomial:
        """The annihilation operator of a part."""
        return self.letter(part, "a")

    def block(self, parts: tuple[int, ...]) -> np.ndarray:
        """Covariance matrix of some modes, shape (..., 2n, 2n)."""
        rows = np.array([2 * k + s for k in parts for s in (0, 1)])
        return np.asarray(self.covariance[..., rows[:, None], rows])

    def reduced(self, parts: tuple[int, ...]) -> NoReturn:
        """There is no density matrix here.

        Raises:
            SolveError: E611.
        """
        raise no_density_matrix(
            "here are means and covariances only",
            "solve by 'steadystate' or 'evolve'",
        )


def gaussian(scene: Any) -> TypeGuard[GaussianScene]:
    """Whether a scene is a Gaussian state."""
    return isinstance(scene, GaussianScene)


def scenes(
    result: GaussianResult, space: Space, hbar: float, options: Mapping[str, Any]
) -> tuple[GaussianScene, ...]:
    """A scene for each time; with `time = T` measures are averaged over the window; without times one scene."""
    averaged = None
    window = options.get("window")
    if options.get("time") and "times" not in options:
        window = window or (options.get("burn_in", 0.0), result.times[-1])
        low, high = (float(x) for x in window)
        averaged = window_weights(result.times, low, high)
    return tuple(
        GaussianScene(
            result.means[k],
            result.covariances[k],
            space,
            result,
            averaged,
            hbar,
            {"window": window},
        )
        for k in range(len(result.times))
    )


Measure = TypeVar("Measure", bound=Callable[..., Any])


def of_whole_runs(measure: Measure) -> Measure:
    """A measure that takes the Gaussian states of a whole run at once."""
    measure.of_whole_runs = True  # type: ignore[attr-defined]
    return measure


def whole_run(scenes: tuple[Any, ...]) -> tuple[GaussianScene, ...]:
    """The scenes of all times as few, where they are Gaussian states; else none."""
    first, count = scenes[0], len(scenes)
    if not gaussian(first) or count != len(first.given.times) or count < 2:
        return ()
    size = max(_AT_ONCE // max(first.covariance.nbytes, 1), 1)
    return tuple(first.at(slice(k, k + size)) for k in range(0, count, size))


# ── measures of two modes ────────────────────────────────────────────────────────────────────


def sync_complete(scene: GaussianScene, a: int, b: int) -> Any:
    r"""$S_c = \langle\delta q_-^2 + \delta p_-^2\rangle^{-1}$, means subtracted.

    References:
        A. Mari et al., Phys. Rev. Lett. 111, 103605 (2013), Eq. (2).
    """
    c = scene.block((a, b))
    spread = 0.0
    for s in (0, 1):
        spread += (c[..., s, s] + c[..., 2 + s, 2 + s]) / 2 - c[..., s, 2 + s]
    return 1 / spread


def sync_phase(scene: GaussianScene, a: int, b: int) -> Any:
    r"""$S_p = \tfrac12\langle\delta p_-'^2\rangle^{-1}$ in the frame of the phases of the means.

    Along a run it is nan at times where a mean vanishes.

    Raises:
        SolveError: E602 where a mean vanishes.
    """
    pair = scene.means[..., [a, b]]
    size = np.abs(pair)
    if scene.result is None and np.any(size < _NO_PHASE):
        part = (a, b)[int(np.argmin(size))]
        label = scene.state.parts[part].label
        message = f"sync_phase needs the phase of <{label}>, which is zero here"
        raise SolveError(Diagnostic("E602", message))
    unit = np.where(size < _NO_PHASE, np.nan, pair) / np.where(size > 0, size, 1)
    unit = unit * np.array([1, -1]) / np.sqrt(2)
    direction = np.stack([-unit.imag, unit.real], axis=-1).reshape(*size.shape[:-1], 4)
    c = scene.block((a, b))
    return 0.5 / np.einsum("...i,...ij,...j->...", direction, c, direction)


def discord(scene: GaussianScene, a: int, b: int, measured: int | None) -> Any:
    r"""Gaussian discord, natural logarithm, Gaussian measurements on `measured` (default `b`).

    $D = f(\sqrt B) - f(\nu_-) - f(\nu_+) + f(\sqrt{E_{\min}})$ with $\sigma = 2C$.

    References:
        G. Adesso, A. Datta, Phys. Rev. Lett. 105, 030501 (2010), Eqs. (8)-(10).
    """
    second = b if measured is None else measured
    first = a if second == b else b
    sigma = 2 * scene.block((first, second))
    det = np.linalg.det
    one, two = det(sigma[..., :2, :2]), det(sigma[..., 2:, 2:])
    cross, whole = det(sigma[..., :2, 2:]), det(sigma)
    gap = (two - 1) * (whole - one)
    near = (
        2 * cross**2 + gap + 2 * np.abs(cross) * np.sqrt(np.maximum(cross**2 + gap, 0))
    )
    root = cross**4 + (whole - one * two) ** 2 - 2 * cross**2 * (one * two + whole)
    far = (one * two - cross**2 + whole - np.sqrt(np.maximum(root, 0))) / (2 * two)
    first_kind = (whole - one * two) ** 2 <= (1 + two) * cross**2 * (one + whole)
    first_kind &= two > 1
    least = np.where(first_kind, near / np.where(two > 1, two - 1, 1) ** 2, far)
    values = symplectic_eigenvalues(sigma)
    least = np.sqrt(np.maximum(least, 1.0))
    return _f(np.sqrt(two)) - _f(values).sum(axis=-1) + _f(least)


def log_negativity(scene: GaussianScene, A: tuple[int, ...], B: tuple[int, ...]) -> Any:
    r"""$E_N = \sum_k \max(0, -\ln\tilde\nu_k)$, symplectic eigenvalues after transposing A."""
    sigma = 2 * scene.block((*A, *B))
    flip = np.ones(sigma.shape[-1])
    flip[1 : 2 * len(A) : 2] = -1.0
    values = symplectic_eigenvalues(flip[:, None] * sigma * flip)
    return -np.log(np.minimum(values, 1.0)).sum(axis=-1) + 0.0


def entropy(scene: GaussianScene, parts: tuple[int, ...]) -> Any:
    r"""$S = \sum_k f(\nu_k)$, in nats."""
    chosen = parts or tuple(range(scene.means.shape[-1]))
    return _f(symplectic_eigenvalues(2 * scene.block(chosen))).sum(axis=-1)


def renyi(scene: GaussianScene, parts: tuple[int, ...]) -> Any:
    r"""$S_2 = \tfrac12\ln\det(2C)$."""
    chosen = parts or tuple(range(scene.means.shape[-1]))
    return 0.5 * np.linalg.slogdet(2 * scene.block(chosen))[1]


def symplectic_eigenvalues(sigma: np.ndarray) -> np.ndarray:
    """Of covariance matrices in (q, p) pairs, ascending, each once; shape (..., n)."""
    omega = np.kron(np.eye(sigma.shape[-1] // 2), [[0.0, 1.0], [-1.0, 0.0]])
    values = np.abs(np.linalg.eigvals(1j * omega @ sigma))
    return np.asarray(np.sort(values, axis=-1)[..., ::2])


def _f(x: Any) -> Any:
    """Entropy of modes with symplectic eigenvalues x >= 1 (vacuum 1)."""
    from scipy.special import xlogy

    more, less = (x + 1) / 2, np.maximum((x - 1) / 2, 0)
    return more * np.log(more) - xlogy(less, less)


# ── pictures and distributions ───────────────────────────────────────────────────────────────


def density(
    scene: GaussianScene, a: int, extent: float, points: int, extra: float
) -> PhaseSpaceMap:
    """Gaussian in the plane of alpha: the Wigner function (extra 0) or Husimi's (extra 1/2)."""
    spread = scene.block((a,)) + extra * np.eye(2)
    inverse = np.linalg.inv(spread)
    scale = 1 / (np.pi * np.sqrt(np.linalg.det(spread)))
    axis = np.linspace(-extent, extent, points)

    def on(alpha: np.ndarray) -> np.ndarray:
        shift = np.sqrt(2) * (alpha - scene.means[a])
        r = np.stack([shift.real, shift.imag], axis=-1)
        return np.asarray(
            scale * np.exp(-0.5 * np.einsum("...i,ij,...j->...", r, inverse, r))
        )

    grid = axis[None, :] + 1j * axis[:, None]
    return PhaseSpaceMap(
        axis, axis, on(grid), lambda z: float(on(np.array(complex(z))))
    )
