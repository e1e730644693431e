"""Levels of Hamiltonians of conjugate pairs."""

from __future__ import annotations

from typing import Any


def pair_energies(scene: Any, H: Any, k: int, sector: float = 0.0) -> tuple[float, ...]:
    r"""The k lowest levels of $H = f(u) + g(v)$, $[q, \phi]$ as declared, in one sector.

    The sector s is the offset of u in units of its step: $n_g$ for a charge, the flux in $\Phi_0$ for a
    fluxoid; levels have period 1 in it. Exact to rounding: 121 waves are kept.

    Raises:
        SolveError: E616 for a Hamiltonian of another form.
    """
    from qsyncdsl.algebra.conjugates import pair_levels

    node, scope, environment = H
    return tuple(
        map(float, pair_levels(node, scope, environment, int(k), float(sector)))
    )
