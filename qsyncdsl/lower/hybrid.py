r"""Bosons and classical variables together: equations of amplitudes beside typed ones.

H and the rates may read the variables, and the typed equations mean values of the modes: a mean field
(Ehrenfest). Under `classical` moments factorize. Under `langevin` the modes start from samples of their Wigner
functions and variables may drive them, noise and all; a mean value is that over all realizations, which
one trajectory does not know: put in its own symbol, and a variable would drain the vacuum fluctuations.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import sympy

from qsyncdsl.algebra.equations import (
    EquationSystem,
    KickRules,
    NoiseFamily,
    QuantumPart,
    Rule,
)
from qsyncdsl.algebra.heisenberg import drift as heisenberg_drift
from qsyncdsl.algebra.index_loops import Access
from qsyncdsl.algebra.linear_forms import LinearForm, split
from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.algebra.phase_space import (
    FieldPolynomial,
    NoPhaseSpace,
    normal_symbol,
    phase_space_equation,
    weyl_symbol,
)
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.lower.field_equations import Group
from qsyncdsl.lower.phase_space import wave_drifts


def with_modes(system: EquationSystem, symmetric: bool) -> EquationSystem:
    """The system with an equation for the amplitude of every mode.

    Args:
        symmetric: Whether with the noise and the ordering of the Wigner function.

    Raises:
        ModelError: E435 for what has no such equations.
    """
    quantum = system.quantum
    if quantum is None:
        return system
    _refuse(system)
    if symmetric and quantum.means:
        text = ", ".join(str(getattr(s, "name", s)) for s in quantum.means)
        message = f"a trajectory does not know the mean over all realizations: {text}"
        help = "solve by 'classical', where the mode is its mean amplitude"
        reading = [
            rule.span
            for rule in system.rules
            if rule.value.free_symbols & set(quantum.means)
        ]
        span = reading[0] if reading else None
        raise ModelError([Diagnostic("E435", message, span, help=help)])
    work = _Amplitudes(system, quantum)
    try:
        return work.completed(symmetric)
    except NoPhaseSpace as reason:
        message = f"no phase-space form: {reason}"
        help = "only polynomials in a and a' of bosons have one"
        raise ModelError([Diagnostic("E435", message, help=help)]) from None


def _refuse(system: EquationSystem) -> None:
    """E435 for modes that are no bosons, and for maps."""
    reason = ""
    for mode in system.space.modes:
        if mode.kind.name != "boson":
            reason = f"'{mode.label}' is of kind {mode.kind.name}: beside classical variables only bosons are solved"
    if system.discrete:
        reason = "maps of variables have no modes beside them"
    if reason:
        raise ModelError([Diagnostic("E435", reason)])


class _Amplitudes:
    """Symbols of the amplitudes, and what they make of operators."""

    def __init__(self, system: EquationSystem, quantum: QuantumPart) -> None:
        self.system = system
        self.quantum = quantum
        self.accesses = dict(system.accesses)
        self.fields: list[Any] = []
        self.places: list[tuple[str, int]] = []
        for family in quantum.families:
            for row in range(family.size):
                label = system.space.modes[len(self.fields)].label
                symbol = sympy.Dummy(label, complex=True)
                access = Access(
                    "y", family.name, np.array([row]), None, False, False, family.size
                )
                self.accesses[symbol] = access
                self.fields.append(symbol)
                self.places.append((family.name, row))
        self.noises: list[NoiseFamily] = []

    def completed(self, symmetric: bool) -> EquationSystem:
        """All rules, with those of the modes first."""
        symbol = weyl_symbol if symmetric else normal_symbol
        means = {
            mean: self.value(symbol(operator))
            for mean, operator in self.quantum.means.items()
        }
        rules = tuple(
            replace(rule, value=rule.value.xreplace(means))
            for rule in self.system.rules
        )
        sums = {
            key: replace(item, body=item.body.xreplace(means))
            for key, item in self.system.sums.items()
        }
        own = self._rules(symmetric)
        kicks = tuple(
            KickRules(period, self._kick(generator, span, symmetric))
            for period, generator, span in self.quantum.kicks
        )
        return replace(
            self.system,
            variables=(*self.quantum.families, *self.system.variables),
            noises=(*self.system.noises, *self.noises),
            rules=(*own, *rules),
            accesses=self.accesses,
            sums=sums,
            quantum=None,
            kicks=kicks,
        )

    def value(self, polynomial: FieldPolynomial) -> Any:
        """A polynomial of amplitudes as an expression."""
        total = sympy.Integer(0)
        for powers, coefficient in polynomial.items():
            product = sympy.sympify(coefficient)
            for k, p, q in powers:
                z = self.fields[k]
                common = min(p, q)
                product *= (sympy.re(z) ** 2 + sympy.im(z) ** 2) ** common
                product *= z ** (q - common) * sympy.conjugate(z) ** (p - common)
            total += product
        return total

    def _rules(self, symmetric: bool) -> tuple[Rule, ...]:
        hamiltonian, hbar = self.quantum.hamiltonian, self.quantum.hbar
        jumps = [(rate, operator) for rate, operator, _ in self.quantum.jumps]
        drift: dict[int, Any] = {}
        if symmetric:
            equation = phase_space_equation(hamiltonian, jumps, hbar)
            drift = {k: self.value(p) for k, p in equation.drift.items()}
            self._add_noise(drift, equation.diffusion)
        else:
            for k in range(len(self.fields)):
                motion = self._motion(k, hamiltonian, jumps, hbar)
                drift[k] = self.value(normal_symbol(motion))
        found = []
        for k, (name, row) in enumerate(self.places):
            label = self.system.space.modes[k].label
            right = sympy.sympify(drift.get(k, 0))
            span = self.system.rules[0].span
            found.append(Rule(name, (row,), None, right, label, span))
        return tuple(found)

    def _kick(
        self, generator: Polynomial, span: Any, symmetric: bool
    ) -> tuple[Rule, ...]:
        """The flow of a generator for a unit of time."""
        hbar = self.quantum.hbar
        plain, others = split(generator)
        if symmetric:
            equation = phase_space_equation(plain, (), hbar)
            drift = {k: self.value(p) for k, p in equation.drift.items()}
        else:
            drift = {
                k: self.value(normal_symbol(self._motion(k, plain, [], hbar)))
                for k in range(len(self.fields))
            }
        ordering = "symmetric" if symmetric else "naive"
        none = Group(None, False)
        for item in wave_drifts(generator, others, none, ordering, hbar, span):
            values = {form.symbol: self._form(form) for form in item.forms}
            fields = self.value({item.fields: item.coefficient})
            more = fields * sympy.sympify(item.function).xreplace(values)
            drift[item.target] = drift.get(item.target, 0) + more
        found = []
        for k, right in drift.items():
            name, row = self.places[k]
            label = self.system.space.modes[k].label
            found.append(Rule(name, (row,), None, sympy.sympify(right), label, span))
        return tuple(found)

    def _form(self, form: LinearForm) -> Any:
        """The value of a linear form."""
        total = sympy.Integer(0)
        for k, c in form.coefficients:
            z = self.fields[k]
            total += 2 * (c.real * sympy.re(z) - c.imag * sympy.im(z))
        return total

    def _motion(
        self, k: int, hamiltonian: Polynomial, jumps: list[Any], hbar: Any
    ) -> Polynomial:
        letter = self.system.space.letter(k, "a")
        return heisenberg_drift(letter, hamiltonian, jumps, hbar)

    def _add_noise(self, drift: dict[int, Any], diffusion: Any) -> None:
        """Noise of each mode alone, E|d alpha|^2 = D dt.

        Raises:
            ModelError: E435 for noise that modes share, or that differs in the quadratures.
        """
        # the modes are samples also where nothing is lost
        self._noise("vacuum", sympy.Integer(0))
        for (k, other, conjugated), polynomial in diffusion.items():
            if k != other or not conjugated:
                label = self.system.space.modes[k].label
                message = (
                    f"the noise of '{label}' is shared, or differs in its quadratures"
                )
                help = "beside classical variables each mode has a noise of its own"
                raise ModelError([Diagnostic("E435", message, help=help)])
            strength = self.value(polynomial)
            label = self.system.space.modes[k].label
            parts = [self._noise(f"{label} {part}", sympy.S.Half) for part in "qp"]
            # where it would be negative, there is none
            size = sympy.sqrt(sympy.Max(sympy.re(strength), 0))
            if not strength.free_symbols & set(self.accesses):
                size = sympy.sqrt(strength)
            drift[k] = drift.get(k, 0) + size * (parts[0] + sympy.I * parts[1])

    def _noise(self, name: str, strength: Any) -> Any:
        symbol = sympy.Dummy(name, real=True)
        self.accesses[symbol] = Access("xi", name, np.array([0]), None, False, True, 1)
        self.noises.append(NoiseFamily(name, "white", 1, (strength,)))
        return symbol
