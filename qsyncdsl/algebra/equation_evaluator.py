"""Right sides of typed equations: indices may stand for any value of a loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import sympy

from qsyncdsl.algebra.fields import NotUniform
from qsyncdsl.algebra.index_loops import Access, IndexValue, Loop, LoopSum, dependence
from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.operators import Polynomial, Space
from qsyncdsl.algebra.separation import Reads, separated
from qsyncdsl.algebra.symbols import Symbols
from qsyncdsl.algebra.system import ParameterKey
from qsyncdsl.model import types
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.evaluate import fail
from qsyncdsl.model.values import Frame, ParameterArray, VariableValue
from qsyncdsl.syntax import tree

# Members from which on a sum is taken apart into sums that are computed once.
_MANY = 16
# Terms of a sum, all sites together, up to which tables of rows are made.
_TERMS = 20_000_000


@dataclass(frozen=True, slots=True)
class NoiseValue:
    """A source of noise, or one site of it."""

    noise: types.Noise
    site: tuple[int, ...] = ()


class EquationEvaluator(OperatorEvaluator):
    """Evaluates right sides; indices may stand for any value of a loop."""

    def __init__(
        self,
        environment: Environment,
        space: Space,
        positions: Mapping[ParameterKey, int],
        symbols: Symbols,
    ) -> None:
        super().__init__(environment, space, positions, symbols)
        self.loop: Loop | None = None
        self.accesses: dict[Any, Access] = {}
        self.sums: dict[Any, LoopSum] = {}
        self.means: dict[Any, Polynomial] = {}
        self._known: dict[Any, Any] = {}

    def expectation(
        self, node: tree.Expectation, scope: types.Scope, frame: Frame
    ) -> Any:
        """A symbol for the mean value of an operator of the modes."""
        operator = self.operand(self.evaluate(node.operand, scope, frame), node.operand)
        if not isinstance(operator, Polynomial) or operator.is_scalar:
            return operator
        key = ("mean", frozenset(operator.terms.items()))
        if key not in self._known:
            text = " ".join(node.span.text.split())
            real = operator.is_hermitian()
            symbol = (
                sympy.Dummy(text, real=True)
                if real
                else sympy.Dummy(text, complex=True)
            )
            self.means[symbol] = operator
            self._known[key] = symbol
        return self._known[key]

    # ── values ───────────────────────────────────────────────────────────────────────────────

    def entity(
        self, entity: types.Entity, instance: tuple[int, ...], node: tree.Expr
    ) -> Any:
        """Noises too have a value here."""
        if isinstance(entity, types.Noise):
            return NoiseValue(entity, instance[: entity.inherited])
        return super().entity(entity, instance, node)

    def operand(self, value: Any, node: tree.Expr) -> Any:
        """Variables, noises and indices become symbols."""
        if isinstance(value, VariableValue):
            return self._element(value.variable, [value.site], None, False, node)
        if isinstance(value, NoiseValue):
            return self._element(value.noise, [value.site], None, False, node)
        if isinstance(value, IndexValue):
            numbers = [float(f[value.key]) for f in value.loop.frames]
            return self._symbol("c", value.name, numbers, value.loop, False, True)
        return super().operand(value, node)

    def _at(self, base: Any, given: tuple[Any, ...], node: tree.Index) -> Any:
        if isinstance(base, NoiseValue):
            site = base.site + self._site(base.noise, base.site, given, node)
            return NoiseValue(base.noise, site)
        return super()._at(base, given, node)

    def index(self, node: tree.Index, scope: types.Scope, frame: Frame) -> Any:
        """An element whose site depends on a loop is read from a table."""
        loop, outer = dependence(node.arguments, frame)
        if loop is None:
            return super().index(node, scope, frame)
        base = self.evaluate(node.base, scope, frame)
        match base:
            case VariableValue(variable=entity, site=had):
                pass
            case NoiseValue(noise=entity, site=had):
                pass
            case ParameterArray(parameter=entity, instance=had):
                pass
            case _:
                raise NotUniform
        sites = [
            had + self._site(entity, had, self._numbers(node, scope, inner), node)
            for inner in loop.numeric(frame, outer)
        ]
        return self._element(entity, sites, loop, outer, node)

    def _numbers(
        self, node: tree.Index, scope: types.Scope, frame: Frame
    ) -> tuple[Any, ...]:
        evaluate = self.environment.numbers.evaluate
        return tuple(
            evaluate(a, scope, frame)
            for a in node.arguments
            if isinstance(a, tree.Expr)
        )

    def rows_of(
        self,
        variable: types.Variable,
        places: tuple[Any, ...],
        equation: types.Equation,
        frame: Frame,
        loop: Loop | None,
    ) -> list[int]:
        """Sites that the left side of an equation means, one for each value of its loop."""
        frames = [frame] if loop is None else loop.numeric(frame, False)
        order = self._order(variable)
        found = []
        for inner in frames:
            given = tuple(
                self.environment.numbers.evaluate(p, equation.scope, inner)
                for p in places
            )
            had = inner.instance[: variable.inherited]
            own = self._site(variable, had, given, equation.place) if given else ()  # type: ignore[arg-type]
            found.append(order[had + own])
        return found

    # ── symbols ──────────────────────────────────────────────────────────────────────────────

    def _order(self, entity: types.Entity) -> dict[tuple[int, ...], int]:
        key = ("order", entity.name)
        if key not in self._known:
            sites = self.environment.sites(entity.index)
            self._known[key] = {site: k for k, site in enumerate(sites)}
        return self._known[key]  # type: ignore[no-any-return]

    def _element(
        self,
        entity: types.Entity,
        sites: list[tuple[int, ...]],
        loop: Loop | None,
        outer: bool,
        node: tree.Expr,
    ) -> Any:
        """The symbol of a variable, a noise or a parameter at sites."""
        if len(sites[0]) != len(entity.index):
            fail("E304", node, f"'{entity.written}' needs an index")
        order = self._order(entity)
        rows = [order[site] for site in sites]
        text = " ".join(node.span.text.split()) if entity.index else entity.written
        if isinstance(entity, types.Variable):
            real = entity.kind != "complex"
            kind = "y"
        elif isinstance(entity, types.Noise):
            kind, real = "xi", True
        else:
            assert isinstance(entity, types.Parameter)
            kind = "q"
            values = [self.environment.peek(entity, site) for site in order]
            real = all(not isinstance(v, complex) or v.imag == 0 for v in values)
        return self._symbol(
            kind, entity.name, rows, loop, outer, real, text, len(order)
        )

    def _symbol(
        self,
        kind: str,
        family: str,
        rows: list[Any],
        loop: Loop | None,
        outer: bool,
        real: bool,
        text: str = "",
        extent: int = 0,
    ) -> Any:
        table = np.array(rows, dtype=float if kind == "c" else np.int64)
        key = (kind, family, id(loop), outer, table.tobytes())
        if key not in self._known:
            label = text or family
            symbol = (
                sympy.Dummy(label, real=True)
                if real
                else sympy.Dummy(label, complex=True)
            )
            self.accesses[symbol] = Access(
                kind, family, table, loop, outer, real, extent
            )
            self._known[key] = symbol
        return self._known[key]

    # ── sums ─────────────────────────────────────────────────────────────────────────────────

    def instances(
        self, binders: list[tree.Each], scope: types.Scope, frame: Frame
    ) -> tuple[tuple[str, ...], list[dict[str, int]]]:
        """Names and values of binders whose domains are known."""
        names: tuple[str, ...] = ()
        for each in binders:
            items: Any = getattr(each.pattern, "items", (each.pattern,))
            names += tuple(item.key for item in items)
        found = []
        numbers = self.environment.numbers
        for inner, weight in numbers.frames(binders, scope, frame):
            values = [inner.bindings[name] for name in names]
            if weight != 1 or not all(isinstance(v, int) for v in values):
                raise NotUniform
            found.append(dict(zip(names, values, strict=True)))
            if len(found) > _TERMS:
                self._too_many(binders[0])
        return names, found

    def _too_many(self, node: tree.Node) -> None:
        fail(
            "E431",
            node,
            f"this sum has more than {_TERMS} terms",
            help="a sum without the outer index is computed once: write"
            " sum(k in sites, exp(i*phi[k])) and multiply",
        )

    def entered(self, frame: Frame, loop: Loop) -> Frame:
        """A frame in which the names of a loop are bound."""
        bound = {name: IndexValue(name, loop) for name in loop.names}
        return replace(frame, bindings={**frame.bindings, **bound})

    def sum(self, node: tree.Call, scope: types.Scope, frame: Frame) -> Any:
        """`sum(k in sites.neighbors(j), x)`: a loop where its members are sites."""
        binders = [a for a in node.arguments if isinstance(a, tree.Each)]
        if not binders:
            return super().sum(node, scope, frame)
        parts = [p for b in binders for p in (b.domain, b.condition) if p is not None]
        around, _ = dependence(tuple(parts), frame)
        try:
            loop = (
                self._free_loop(binders, scope, frame)
                if around is None
                else self._bound_loop(binders, scope, frame)
            )
        except NotUniform:
            if self.loop is not None:
                raise
            return super().sum(node, scope, frame)
        if not loop.frames:
            return self.number(0)
        found = self._separated(node, scope, frame, loop)
        return self._summed(node, scope, frame, loop) if found is None else found

    def _separated(
        self, node: tree.Call, scope: types.Scope, frame: Frame, loop: Loop
    ) -> Any:
        """The sum from sums that are computed once; None where that saves nothing.

        Where few members of a common set are missing for each outer index, they are subtracted.
        """
        parted = (loop, None) if loop.start is None else self._completed(loop)
        if parted is None or self.loop is None or parted[0].own < _MANY:
            return None
        whole, missing = parted
        body = self._body(node, scope, frame, whole)
        own = self._own(body, whole)
        if own and missing is None:
            return None
        parts = {body: 1} if own else separated(body, partial(self._reads, loop=whole))
        if parts is None:
            return None
        total = sympy.Integer(0)
        binders = ", ".join(whole.names)
        for factor, around in parts.items():
            shown = factor.xreplace(
                {s: sympy.Symbol(s.name) for s in factor.atoms(sympy.Dummy)}
            )
            text = f"sum({binders}, {shown})"
            total += around * self._total(factor, whole, text, node.span.start, frame)
        if missing is not None and missing.frames:
            total -= self._summed(node, scope, frame, missing)
        return total

    def _completed(self, loop: Loop) -> tuple[Loop, Loop] | None:
        """A loop over all members that a bound loop has for any outer index, and one over what is missing."""
        assert loop.start is not None
        assert loop.parent is not None
        keys = [f"{name}#{loop.depth}" for name in loop.names]
        members = [tuple(f[key] for key in keys) for f in loop.frames]
        union = sorted(set(members))
        outer = loop.parent.flat_frames()
        if 2 * len(members) < len(union) * len(outer):
            return None
        flat, start = [], [0]
        for k, around in enumerate(outer):
            here = set(members[loop.start[k] : loop.start[k + 1]])
            if len(here) < loop.start[k + 1] - loop.start[k]:
                return None
            flat += [
                {**around, **dict(zip(keys, m, strict=True))}
                for m in union
                if m not in here
            ]
            start.append(len(flat))
        frames = [dict(zip(loop.names, m, strict=True)) for m in union]
        whole = Loop.of(loop.names, frames, loop.parent, None, loop.depth)
        rest = np.array(start, np.int64)
        return whole, Loop(loop.names, tuple(flat), loop.parent, rest, loop.depth)

    def _reads(self, symbol: Any, loop: Loop) -> Reads:
        """What a symbol reads, seen from a loop."""
        inner = self.sums.get(symbol)
        if inner is not None:
            return Reads.NEITHER if inner.hoisted else Reads.BOTH
        access = self.accesses.get(symbol)
        if access is None or access.loop is None:
            return Reads.NEITHER
        # a noise must stay where the search for noises finds it
        if access.kind == "xi" or (access.loop is loop and access.outer):
            return Reads.BOTH
        return Reads.MEMBER if access.loop is loop else Reads.AROUND

    def _free_loop(
        self, binders: list[tree.Each], scope: types.Scope, frame: Frame
    ) -> Loop:
        """A loop over the same members whatever the outer indices are."""
        plain = {
            k: v for k, v in frame.bindings.items() if not isinstance(v, IndexValue)
        }
        names, frames = self.instances(binders, scope, replace(frame, bindings=plain))
        depth = 0 if self.loop is None else self.loop.depth + 1
        return Loop.of(names, frames, self.loop, None, depth)

    def _bound_loop(
        self, binders: list[tree.Each], scope: types.Scope, frame: Frame
    ) -> Loop:
        """A loop whose members depend on the outer indices."""
        parent = self.loop
        assert parent is not None
        start, flat = [0], []
        names: tuple[str, ...] = ()
        for outer, inner in zip(
            parent.flat_frames(), parent.numeric(frame, True), strict=True
        ):
            names, found = self.instances(binders, scope, inner)
            depth = parent.depth + 1
            flat += [
                {**outer, **{f"{n}#{depth}": v for n, v in f.items()}} for f in found
            ]
            start.append(len(flat))
            if len(flat) > _TERMS:
                self._too_many(binders[0])
        return Loop(
            names, tuple(flat), parent, np.array(start, np.int64), parent.depth + 1
        )

    def _summed(
        self, node: tree.Call, scope: types.Scope, frame: Frame, loop: Loop
    ) -> Any:
        body = self._body(node, scope, frame, loop)
        text = " ".join(node.span.text.split())
        return self._total(body, loop, text, node.span.start, frame)

    def _body(
        self, node: tree.Call, scope: types.Scope, frame: Frame, loop: Loop
    ) -> Any:
        """A term of a sum, the indices of its loop open."""
        body_node = node.arguments[-1]
        before, self.loop = self.loop, loop
        try:
            inner = self.entered(frame, loop)
            body = self.operand(self.evaluate(body_node, scope, inner), body_node)  # type: ignore[arg-type]
        finally:
            self.loop = before
        return sympy.sympify(body)

    def _total(self, body: Any, loop: Loop, text: str, place: int, frame: Frame) -> Any:
        """The symbol of a sum; one that reads nothing of the loops around is the same for all."""
        hoisted = loop.start is None and self._own(body, loop)
        key = ("sum", place, frame.instance, body) if hoisted else None
        if key in self._known:
            return self._known[key]
        real = bool(body.is_extended_real)
        symbol = (
            sympy.Dummy(text, real=True) if real else sympy.Dummy(text, complex=True)
        )
        self.sums[symbol] = LoopSum(loop, body, real, hoisted)
        if key is not None:
            self._known[key] = symbol
        return symbol

    def _own(self, body: Any, loop: Loop) -> bool:
        """Whether a body reads nothing of the loops around."""
        for symbol in body.free_symbols:
            access = self.accesses.get(symbol)
            around = None if access is None else access.loop
            if around is not None and (around is not loop or access.outer):  # type: ignore[union-attr]
                return False
            inner = self.sums.get(symbol)
            if inner is not None and not inner.hoisted:
                return False
        return True

    def coordination(self, node: tree.Call, scope: types.Scope, frame: Frame) -> Any:
        """`z(j)` of any site is a table of numbers."""
        loop, outer = dependence(tuple(node.arguments), frame)
        if loop is None:
            return super().coordination(node, scope, frame)
        values = [
            float(self.environment.numbers.coordination(node, scope, inner))
            for inner in loop.numeric(frame, outer)
        ]
        text = " ".join(node.span.text.split())
        return self._symbol("c", text, values, loop, outer, True, text)
