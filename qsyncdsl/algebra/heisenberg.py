r"""Equations of motion of operators, $d\langle O\rangle/dt = \langle\mathcal{L}^\dagger[O]\rangle$."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qsyncdsl.algebra.operators import Polynomial


def drift(
    observable: Polynomial,
    hamiltonian: Polynomial,
    dissipators: Iterable[tuple[Any, Polynomial]],
    hbar: Any = 1,
) -> Polynomial:
    r"""Return $\mathcal{L}^\dagger[O]$ in normal order.

    With each dissipator written $\gamma\,\mathcal{D}[L]$,

    $$ \mathcal{L}^\dagger[O] = \frac{i}{\hbar}[H, O] + \sum_k \frac{\gamma_k}{2}
       \left( L_k^\dagger [O, L_k] + [L_k^\dagger, O] L_k \right). $$

    Only terms that share modes with the observable are multiplied.

    >>> from qsyncdsl.algebra.operators import Space, SystemMode
    >>> from qsyncdsl.model.modes import boson
    >>> space = Space((SystemMode("a", boson),))
    >>> a = space.letter(0, "a")
    >>> print(drift(a, a.dag() * a * 2, [(1, a)]))
    ((-0.5-2j)) a
    """
    ring = observable.space.ring
    total = hamiltonian.commutator(observable) * ring.imaginary / hbar
    half = ring.number(1) / ring.number(2)
    for rate, jump in dissipators:
        recycled = jump.dag() * observable.commutator(jump)
        recycled = recycled + jump.dag().commutator(observable) * jump
        total = total + recycled * (rate * half)
    return total
