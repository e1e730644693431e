"""Canonical substitutions of conjugate pairs, verified with numbers.

A substitution is held against what it must do: keep the commutator, and take one Hamiltonian to the
other once the parameters are mapped. Nothing symbolic is needed: linear images are known from their values
at three points, and Hamiltonians are compared as functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.evaluate import Evaluator
from qsyncdsl.model.numbers import show
from qsyncdsl.model.types import Conjugate, Define, Duality, Entity, Model, Override
from qsyncdsl.syntax import tree

# Where functions of (q, phi) are compared.
_POINTS = ((0.31, 0.72), (-0.83, 0.44), (1.27, -0.91), (0.05, 1.63), (-1.9, -0.6))
_CLOSE = 1e-9


class PairEvaluator(Evaluator):
    """Evaluates expressions with numbers in place of conjugate variables."""

    def __init__(self, environment: Any, values: Mapping[str, Any]) -> None:
        super().__init__(environment)
        self.values = values

    def entity(self, entity: Entity, instance: tuple[int, ...], node: Any) -> Any:
        """A conjugate variable has the value given."""
        if isinstance(entity, Conjugate):
            return self.values[entity.name]
        return super().entity(entity, instance, node)


def verify_dualities(model: Model, environment: Environment) -> None:
    """Hold every `duality` against its commutator and its Hamiltonians.

    Raises:
        ModelError: E360 for what is no pair or no Hamiltonian, E361 for a substitution that is not
            linear, E362 where it is not canonical, E363 where it takes one Hamiltonian to something
            else than the other, E364 for a product of q and phi.
    """
    for duality in model.dualities:
        _Verification(model, environment, duality).run()


class _Verification:
    """One substitution."""

    def __init__(
        self, model: Model, environment: Environment, duality: Duality
    ) -> None:
        self.model = model
        self.environment = environment
        self.duality = duality

    def run(self) -> None:
        q, phi = self.pair()
        source, target = (
            self.define(n) for n in (self.duality.source, self.duality.target)
        )
        images = self.images(q, phi)
        self.linear(q, phi, images)
        for define in (source, target):
            self.separate(define, q, phi)
        self.same(source, target, q, phi, images)

    def fail(self, code: str, node: tree.Node, message: str, label: str = "", help: str = "") -> Any:  # fmt: skip
        raise ModelError([Diagnostic(code, message, node.span, label, help=help)])

    def pair(self) -> tuple[Conjugate, Conjugate]:
        """The pair that the substitution is of, in its declared order."""
        found: list[Conjugate] = []
        for step in self.duality.steps:
            entity = self.model.scope.find(step.place.name.key)
            if not isinstance(entity, Conjugate):
                written = step.place.name.written
                help = "declare it: conjugate q, phi : -i"
                self.fail(
                    "E360", step, f"'{written}' is not a conjugate variable", "", help
                )
            assert isinstance(entity, Conjugate)
            found.append(entity)
        if len(found) != 2 or found[0].partner != found[1].name:
            node = self.duality.steps[0]
            self.fail("E360", node, "a substitution gives both variables of one pair")
        declared = found[0].commutator
        value = complex(self.environment.numbers.evaluate(declared, found[0].scope))
        if abs(value.real) > _CLOSE or abs(value.imag) < _CLOSE:
            message = "the commutator of two real variables is imaginary, and not zero"
            help = "write conjugate q, phi : -i"
            self.fail("E360", declared, message, "", help)
        return (found[0], found[1]) if found[0].first else (found[1], found[0])

    def define(self, name: tree.Name) -> Define:
        """A Hamiltonian."""
        entity = self.model.scope.find(name.key)
        if not isinstance(entity, Define) or entity.parameters is not None:
            self.fail(
                "E360",
                name,
                f"'{name.written}' is not a Hamiltonian of the pair",
                help=f"write define {name.written} = ... in terms of the two variables",
            )
        assert isinstance(entity, Define)
        return entity

    def images(self, q: Conjugate, phi: Conjugate) -> Any:
        """The images of q and phi as a function of their values."""
        steps = {}
        for step in self.duality.steps:
            entity = self.model.scope.find(step.place.name.key)
            assert entity is not None
            steps[entity.name] = step.value
        scope = self.model.scope

        def at(x: float, y: float) -> tuple[complex, complex]:
            work = PairEvaluator(self.environment, {q.name: x, phi.name: y})
            return tuple(complex(work.evaluate(steps[v.name], scope)) for v in (q, phi))  # type: ignore[return-value]

        return at

    def linear(self, q: Conjugate, phi: Conjugate, images: Any) -> None:
        """E361 and E362: linear images (a q + b phi, c q + d phi) with ad - bc = 1."""
        node = self.duality.steps[0]
        zero, right, up = images(0, 0), images(1, 0), images(0, 1)
        (a, c), (b, d) = (
            tuple(x - z for x, z in zip(one, zero, strict=True)) for one in (right, up)
        )
        for x, y in _POINTS:
            expected = (zero[0] + a * x + b * y, zero[1] + c * x + d * y)
            gaps = zip(expected, images(x, y), strict=True)
            if any(abs(e - v) > _CLOSE * (1 + abs(v)) for e, v in gaps):
                self.fail("E361", node, "only linear substitutions can be verified")
        factor = a * d - b * c
        if abs(factor - 1) < _CLOSE:
            return
        shown = show(factor.real if abs(factor.imag) < _CLOSE else factor)
        help = (
            "change the sign of one image"
            if abs(factor + 1) < _CLOSE
            else f"divide one image by {shown}"
            if abs(factor) > _CLOSE
            else "the images are not independent"
        )
        names = f"[{q.written}, {phi.written}]"
        self.fail(
            "E362",
            node,
            f"the substitution is not canonical: it takes {names} to {shown} times {names}",
            "does not keep the commutator",
            help,
        )

    def value(self, define: Define, at: Mapping[str, Any], environment: Any) -> complex:
        """A Hamiltonian as a function."""
        return complex(
            PairEvaluator(environment, at).evaluate(define.value, define.scope)
        )

    def separate(self, define: Define, q: Conjugate, phi: Conjugate) -> None:
        """E364 unless H = f(q) + g(phi): else the order of the two would matter."""

        def h(x: float, y: float) -> complex:
            return self.value(define, {q.name: x, phi.name: y}, self.environment)

        for (x1, y1), (x2, y2) in pairwise(_POINTS):
            mixed = h(x1, y1) + h(x2, y2) - h(x1, y2) - h(x2, y1)
            if abs(mixed) > _CLOSE * (1 + abs(h(x1, y1))):
                message = f"'{define.written}' multiplies {q.written} and {phi.written}"
                help = "a Hamiltonian of a pair is f(q) + g(phi): no order to be chosen"
                raise ModelError(
                    [Diagnostic("E364", message, define.value.span, help=help)]
                )

    def same(
        self, source: Define, target: Define, q: Conjugate, phi: Conjugate, images: Any
    ) -> None:
        """E363 unless H(q', phi') is the other Hamiltonian with its parameters mapped."""
        mapped = mapped_environment(self.model, self.environment, self.duality)
        for x, y in _POINTS:
            first, second = images(x, y)
            left = self.value(
                source, {q.name: first, phi.name: second}, self.environment
            )
            right = self.value(target, {q.name: x, phi.name: y}, mapped)
            if abs(left - right) > _CLOSE * (1 + abs(left)):
                where = f"{q.written} = {x}, {phi.written} = {y}"
                self.fail(
                    "E363",
                    self.duality.target,
                    f"the substitution does not take '{source.written}' to '{target.written}'",
                    f"at {where}: {left.real:.6g} against {right.real:.6g}",
                    "are all parameters mapped, 'with EL = EC, ES = EJ'?",
                )


def mapped_environment(
    model: Model, environment: Environment, duality: Duality
) -> Environment:
    """The numbers with the parameters of the target set to their images."""
    overrides = [*environment.overrides.values()]
    for setting in duality.settings:
        assert isinstance(setting.place, tree.Place)
        value = environment.numbers.evaluate(setting.value, model.scope)
        overrides.append(Override(setting.place.name.key, value))
    return Environment(model, [overrides], environment.seed, environment.draw)
