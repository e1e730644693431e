"""Equations of complex fields: stochastic, deterministic, linearized, and of their density."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qsyncdsl.problem.common import Coefficients, Varying

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class FieldFamily:
    """The fields of one declared mode: rows `offset .. offset + size - 1` of every state.

    Attributes:
        shape: Numbers of sites along the coordinates of its lattice; empty for a single mode.
        periodic: Whether these coordinates wrap.
        free: Whether its phase is: nothing in the equations fixes it.
    """

    label: str
    offset: int
    size: int
    shape: tuple[int, ...] = ()
    periodic: bool = False
    free: bool = False


@dataclass(frozen=True, slots=True)
class NoiseChannel:
    r"""A bath that drives several fields at once, with constant strength.

    $E[dz\,dz^T] = C\,dt$ for the real components $z = (\mathrm{Re}, \mathrm{Im})$ of its fields.

    Attributes:
        table: Index of the table whose columns are the fields, one row a bath.
        entries: `(row, column, c, coefficient)`: $E[d\alpha_r\,d\alpha_c^*]$ (c = 1) or
            $E[d\alpha_r\,d\alpha_c]$ (c = 0), as an index of the f_k.
    """

    table: int
    entries: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class FieldKick:
    r"""The flow of fields for a unit of time at t = 0, T, 2T, ...

    Attributes:
        period: T, as an index of the f_k.
        source: Python for numba: `kick_drift(...)`, with the arguments of `drift`.
        sums: Number of sums over whole lattices that it needs.
    """

    period: int
    source: str
    sums: int


@dataclass(frozen=True, slots=True)
class FieldProblem:
    r"""Stochastic or deterministic equations for complex fields, $d\alpha = A\,dt + dW$.

    Attributes:
        source: Python for numba: `drift(...)` and `advance(...)`, parameters as arguments.
        coefficients: The f_k(p, t); some parameters are arrays over sites.
        varying: Coefficients that differ from site to site, in the order of the source.
        tables: Fields that a loop of the source goes through, one row for each turn.
        sums: Number of sums over whole lattices that the drift needs.
        noisy: Whether there is any noise.
        dropped: Terms of the Wigner equation that truncated Wigner leaves out, as text.
        equations: Drift and diffusion for the reader: `(left side, right side)`.
        latex: The same in LaTeX.
        clippable: Whether the diffusion can become negative.
        shared: Whether covariances of noises shared by several fields are factored at every step.
        kicks: In the order written.
    """

    families: tuple[FieldFamily, ...]
    coefficients: Coefficients
    source: str
    varying: tuple[Varying, ...]
    tables: tuple[np.ndarray, ...]
    channels: tuple[NoiseChannel, ...]
    sums: int
    noisy: bool
    clippable: bool
    dropped: tuple[str, ...] = ()
    equations: tuple[tuple[str, str], ...] = ()
    latex: str = ""
    title: str = ""
    shared: bool = False
    kicks: tuple[FieldKick, ...] = ()

    @property
    def count(self) -> int:
        """Number of fields F."""
        return sum(family.size for family in self.families)


@dataclass(frozen=True, slots=True)
class Terms:
    r"""Sums of monomials, $y_t = \sum_{n: t_n = t} c_n \prod_f (z_f^*)^{p_f} z_f^{q_f}$, as flat arrays.

    Attributes:
        target: t_n, shape (n,).
        coefficient: Index of the function f_k that c_n is; -1 where it differs from site to site.
        varying: Row and column in the coefficients that differ from site to site, shape (2, n).
        start: The factors of term n are `start[n] .. start[n + 1] - 1`, shape (n + 1,).
        fields, p, q: The factors.
        shape: Of y: (F,) for a drift, (F, F) for a diffusion matrix.
    """

    target: np.ndarray = field(repr=False)
    coefficient: np.ndarray = field(repr=False)
    varying: np.ndarray = field(repr=False)
    start: np.ndarray = field(repr=False)
    fields: np.ndarray = field(repr=False)
    p: np.ndarray = field(repr=False)
    q: np.ndarray = field(repr=False)
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GaussianProblem:
    r"""Mean fields and their fluctuations to second order.

    $\dot\alpha = A(\alpha)$; the fluctuations obey the equations linearized about $\alpha(t)$, with
    $E[d\xi_k d\xi_l^*] = N_{kl}\,dt$ and $E[d\xi_k d\xi_l] = M_{kl}\,dt$, symmetrically ordered.

    Attributes:
        drift: A, shape (F,).
        normal, anomalous: N and M, shape (F, F).
        equations, latex: For the reader.
    """

    families: tuple[FieldFamily, ...]
    coefficients: Coefficients
    varying: tuple[Varying, ...]
    drift: Terms
    normal: Terms
    anomalous: Terms
    equations: tuple[tuple[str, str], ...] = ()
    latex: str = ""
    title: str = ""
    noisy: bool = False

    @property
    def count(self) -> int:
        """Number of fields F."""
        return sum(family.size for family in self.families)

    @property
    def linear(self) -> bool:
        """Whether Gaussian states stay Gaussian, so that nothing is left out."""
        return all(
            (part.start[1:] - part.start[:-1] <= 1).all()
            and (part.p + part.q <= 1).all()
            for part in (self.drift, self.normal, self.anomalous)
        )


@dataclass(frozen=True, slots=True)
class DensityTerm:
    r"""A term $c\,\alpha^{*p}\alpha^q$ of one field, perhaps times the mean field $x = \langle\alpha\rangle$.

    Attributes:
        coefficient: Index of the function f_k that c is.
        row: Row of the coefficients that differ from site to site; -1 for the others.
        mean: 0, or 1 for a factor x, -1 for a factor x*.
        weight: Number that multiplies c.
    """

    p: int
    q: int
    coefficient: int
    row: int = -1
    mean: int = 0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class DensityProblem:
    r"""Fokker-Planck equation of one field, or of each of many that feel the mean of all.

    $$ \partial_t W = -\partial_\alpha (A W) - \partial_{\alpha^*}(A^* W)
       + \partial_\alpha\partial_{\alpha^*}(D W)
       + \tfrac12[\partial_\alpha^2 (S W) + \partial_{\alpha^*}^2 (S^* W)] . $$

    Attributes:
        drift, diffusion, squeezing: A, D and S.
        coupled: Whether the fields are the sites of a lattice that feel their mean.
        free: Whether the phase is free: the equations are the same for all fields turned alike.
        dropped: What truncated Wigner leaves out.
    """

    families: tuple[FieldFamily, ...]
    coefficients: Coefficients
    varying: tuple[Varying, ...]
    drift: tuple[DensityTerm, ...]
    diffusion: tuple[DensityTerm, ...]
    squeezing: tuple[DensityTerm, ...]
    coupled: bool = False
    free: bool = False
    dropped: tuple[str, ...] = ()
    equations: tuple[tuple[str, str], ...] = ()
    latex: str = ""
    title: str = ""
    noisy: bool = True

    @property
    def label(self) -> str:
        """The mode."""
        return self.families[0].label

    @property
    def count(self) -> int:
        """Number of fields."""
        return self.families[0].size
