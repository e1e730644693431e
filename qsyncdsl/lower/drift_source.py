"""The drift of complex fields as source text: loops over sites, over edges, over all pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy

from qsyncdsl.algebra.linear_forms import LinearForm
from qsyncdsl.algebra.phase_space import FieldMonomial
from qsyncdsl.lower.equation_source import NumpyPrinter
from qsyncdsl.lower.field_equations import FieldEquations, Group, WaveDrift
from qsyncdsl.lower.field_source import Lines, Row, joined
from qsyncdsl.lower.kernel_names import KernelNames, sites_of

# Lattices whose sites all have the same few neighbors get them inside the loop over sites.
_STENCIL = 12
# Single fields whose drift is worked out in one loop over the lanes.
_TOGETHER = 16


class DriftSource:
    """Writes `drift(cr, ci, wr, wi, tables, xr, xi, dr, di)`, perhaps by another name."""

    def __init__(
        self, names: KernelNames, equations: FieldEquations, function: str = "drift"
    ) -> None:
        self.names = names
        self.function = function
        self.equations = equations
        self.sums: list[list[str]] = []
        self._gathered: dict[Any, dict[str, np.ndarray]] = {}
        self._totals: dict[Any, int] = {}

    def lines(self) -> list[str]:
        """The function."""
        body = Lines()
        singles, graphs = self._arranged()
        written: set[int] = set()
        for graph, entries in graphs.items():
            self._site_loop(body, graph, entries, written)
        self._singles(body, singles, written)
        self._zeros(body, written)
        late = Lines()
        for group, polynomials in self.equations.drift.items():
            if group.edges:
                self._edge_loops(late, group, polynomials)
        for graph, entries in graphs.items():
            self._reductions(late, graph, entries)
        self._waves(late)
        head = [f"def {self.function}(cr, ci, wr, wi, tables, xr, xi, dr, di):"]
        head += self.names.hoisted()
        sums = [line for total in self.sums for line in total]
        return [*head, *sums, *body.text, *late.text]

    def _arranged(self) -> tuple[dict[int, Any], dict[Any, dict[int, Any]]]:
        """Drift by mode, of single fields and of the sites of each lattice."""
        singles: dict[int, Any] = {}
        graphs: dict[Any, dict[int, Any]] = {}
        for group, polynomials in self.equations.drift.items():
            if group.edges:
                graphs.setdefault(Group(group.graph, False), {})
                continue
            place = singles if group.graph is None else graphs.setdefault(group, {})
            place.update(polynomials)
        return singles, graphs

    def _site_loop(
        self, body: Lines, group: Group, entries: Mapping[int, Any], written: set[int]
    ) -> None:
        """All families of a lattice at one site, with what the neighbors add where they are few."""
        stencils = self._stencils(group)
        local = {k: v for k, v in entries.items() if k in self.names.system.slots}
        targets = sorted(local.keys() | stencils.keys())
        if not targets:
            return
        size = sites_of(group.graph)
        sites = np.arange(size)
        body.add(f"t = lane_rows({2 * len(targets)}, LANES)")
        body.open(f"for s in range({size}):")
        if stencils:
            table, degree = self._neighbors(group.graph)
            for e in range(degree):
                body.add(f"n{e} = tables[{table}][s, {e}]")
        body.open("for l in range(LANES):")
        for position in targets:
            terms = []
            for fields, value in local.get(position, {}).items():
                factor = self.names.factor(
                    self.names.oriented(value, None), {"site": sites}, "s"
                )
                re, im = body.monomial(self.names.factors(fields, ("s", "s")))
                terms.append(body.product(factor, re, im))
            for target, fields, value in stencils.get(position, ()):
                terms.append(self._stencil(body, target, fields, value, degree))
            self._kept(body, targets.index(position), terms)
            written |= self.names.covered(position)
        body.close()
        rows = [self.names.row(position, ("s", "s")).text for position in targets]
        self._copied(body, rows, ["="] * len(rows))
        body.close()

    def _kept(self, body: Lines, place: int, terms: list[tuple[str, str]]) -> None:
        """Results stay in rows of their own first: the compiler knows that these overlap with nothing."""
        body.add(f"t[{2 * place}, l] = {joined([re for re, _ in terms])}")
        body.add(f"t[{2 * place + 1}, l] = {joined([im for _, im in terms])}")

    def _copied(self, body: Lines, rows: list[str], signs: list[str]) -> None:
        for place, (row, sign) in enumerate(zip(rows, signs, strict=True)):
            for part, kept in (("dr", 2 * place), ("di", 2 * place + 1)):
                body.open("for l in range(LANES):")
                body.add(f"{part}[{row}, l] {sign} t[{kept}, l]")
                body.close()

    def _stencil(
        self, body: Lines, target: int, fields: FieldMonomial, value: Any, degree: int
    ) -> tuple[str, str]:
        """A coupling summed over the neighbors of a site."""
        mine, others = self._divided(fields, target)
        found = [
            body.monomial(self.names.factors(others, ("s", f"n{e}"), target))
            for e in range(degree)
        ]
        re = body.named(" + ".join(re for re, _ in found))
        im = (
            None
            if found[0][1] is None
            else body.named(" + ".join(str(im) for _, im in found))
        )
        if mine:
            re, im = body.times(
                body.monomial(self.names.factors(mine, ("s", "s"), target)), (re, im)
            )
        return body.product(self.names.factor(value, {}, ""), re, im)

    def _divided(
        self, fields: FieldMonomial, target: int
    ) -> tuple[FieldMonomial, FieldMonomial]:
        """The factors at the target's own site (and single fields), and those at the other one."""
        other = tuple(
            f
            for f in fields
            if (s := self.names.system.slots.get(f[0])) is not None and s.slot != target
        )
        return tuple(f for f in fields if f not in other), other

    def _singles(
        self, body: Lines, singles: Mapping[int, Any], written: set[int]
    ) -> None:
        """Fields that are no pattern: written out."""
        for first in range(0, len(singles), _TOGETHER):
            chosen = sorted(singles)[first : first + _TOGETHER]
            body.add(f"t = lane_rows({2 * len(chosen)}, LANES)")
            body.open("for l in range(LANES):")
            for place, position in enumerate(chosen):
                terms = []
                for fields, value in singles[position].items():
                    factor = self.names.factor(value, {}, "")
                    re, im = body.monomial(self.names.factors(fields, ()))
                    terms.append(body.product(factor, re, im))
                self._kept(body, place, terms)
            body.close()
            signs = ["+=" if k in written else "=" for k in chosen]
            self._copied(body, [str(k) for k in chosen], signs)
            written.update(chosen)

    def _zeros(self, body: Lines, written: set[int]) -> None:
        """Fields that nothing has been written to."""
        missing = sorted(set(range(self.names.system.count)) - written)
        if not missing:
            return
        table = self.names.table("zeros", np.array(missing)[:, None])
        body.open(f"for e in range({len(missing)}):")
        body.open("for l in range(LANES):")
        body.add(f"dr[tables[{table}][e, 0], l] = 0.0")
        body.add(f"di[tables[{table}][e, 0], l] = 0.0")
        body.close(2)

    def _reductions(
        self, late: Lines, group: Group, entries: Mapping[int, Any]
    ) -> None:
        """What all sites of a lattice add to a single field."""
        for position, polynomial in entries.items():
            if position in self.names.system.slots:
                continue
            size = sites_of(group.graph)
            late.open(f"for s in range({size}):")
            late.open("for l in range(LANES):")
            self._increase(
                late,
                Row(str(position)),
                polynomial,
                ("s", "s"),
                0,
                {"site": np.arange(size)},
                "s",
            )
            late.close(2)

    def _increase(
        self,
        lines: Lines,
        row: Row,
        polynomial: Mapping[FieldMonomial, Any],
        sites: tuple[str, ...],
        target: int,
        gather: Mapping[str, np.ndarray],
        place: str,
    ) -> None:
        terms = []
        for fields, value in polynomial.items():
            factor = self.names.factor(
                self.names.oriented(value, target), gather, place
            )
            re, im = lines.monomial(self.names.factors(fields, sites, target))
            terms.append(lines.product(factor, re, im))
        lines.add(f"dr[{row.text}, l] += {joined([t for t, _ in terms])}")
        lines.add(f"di[{row.text}, l] += {joined([t for _, t in terms])}")

    def _waves(self, late: Lines) -> None:
        """What functions of quadratures add, group by group and row by row."""
        printer = NumpyPrinter()
        places: dict[Any, list[WaveDrift]] = {}
        for item in self.equations.waves:
            places.setdefault((item.group, item.target), []).append(item)
        for (group, position), items in places.items():
            slot = self.names.system.slots.get(position)
            target = slot.slot if slot else 0
            sites, gather, place = self._places(late, group, target)
            late.open("for l in range(LANES):")
            terms = []
            for item in items:
                named = {
                    form.symbol: sympy.Symbol(
                        late.named(self._form(late, form, sites, target)), real=True
                    )
                    for form in item.forms
                }
                parts = sympy.sympify(item.function).as_real_imag()
                re, im = (printer.doprint(x.xreplace(named)) for x in parts)
                wave = (
                    late.named(re),
                    None if parts[1] == 0 else late.named(im),
                )
                factor = self.names.factor(
                    self.names.oriented(item.coefficient, target), gather, place
                )
                fields = late.monomial(self.names.factors(item.fields, sites, target))
                terms.append(late.product(factor, *late.times(fields, wave)))
            row = self.names.row(position, sites, target)
            late.add(f"dr[{row.text}, l] += {joined([t for t, _ in terms])}")
            late.add(f"di[{row.text}, l] += {joined([t for _, t in terms])}")
            late.close(2 if group.graph is not None else 1)

    def _places(
        self, late: Lines, group: Group, target: int
    ) -> tuple[tuple[str, ...], Mapping[str, np.ndarray], str]:
        """A loop over sites or edges, if the group has one; names of the sites in it."""
        if group.graph is None:
            return (), {}, ""
        if not group.edges:
            size = sites_of(group.graph)
            late.open(f"for s in range({size}):")
            return ("s", "s"), {"site": np.arange(size)}, "s"
        edges = np.array(list(group.graph.edges()), dtype=np.int64).reshape(-1, 2) - 1
        table = self.names.table(("edges", id(group.graph)), edges)
        late.open(f"for e in range({len(edges)}):")
        late.add(f"j = tables[{table}][e, 0]")
        late.add(f"k = tables[{table}][e, 1]")
        gather = {"site": edges[:, target], "other": edges[:, 1 - target]}
        return (
            ("j", "k") if target == 0 else ("k", "j"),
            self._shared(gather, target, group),
            "e",
        )

    def _form(
        self, late: Lines, form: LinearForm, sites: tuple[str, ...], target: int
    ) -> str:
        """The value of a linear form."""
        terms = []
        for k, c in form.coefficients:
            row = self.names.row(k, sites, target)
            if c.real:
                terms.append(f"{2 * c.real!r} * {late.named(row.re())}")
            if c.imag:
                terms.append(f"{-2 * c.imag!r} * {late.named(row.im())}")
        return " + ".join(terms)

    def _both_ways(self, polynomials: Mapping[int, Any]) -> dict[int, Any] | None:
        """The drift of slot 0, if that of slot 1 is the same with the indices exchanged."""

        def swapped(fields: FieldMonomial) -> Any:
            return tuple(
                sorted((self._name(key, exchange=True), p, q) for key, p, q in fields)
            )

        def named(fields: FieldMonomial) -> Any:
            return tuple(sorted((self._name(key), p, q) for key, p, q in fields))

        first = {
            self.names.system.slots[k].mode: {named(f): v for f, v in p.items()}
            for k, p in polynomials.items()
            if k in self.names.system.slots and self.names.system.slots[k].slot == 0
        }
        second = {
            self.names.system.slots[k].mode: {swapped(f): v for f, v in p.items()}
            for k, p in polynomials.items()
            if k in self.names.system.slots and self.names.system.slots[k].slot == 1
        }
        if first != second or any(
            k not in self.names.system.slots for k in polynomials
        ):
            return None
        for polynomial in polynomials.values():
            for value in polynomial.values():
                if sympy.sympify(value).free_symbols & self.names.anywhere.keys():
                    return None
        return {
            k: p for k, p in polynomials.items() if self.names.system.slots[k].slot == 0
        }

    def _name(self, position: int, exchange: bool = False) -> tuple[str, int]:
        slot = self.names.system.slots.get(position)
        if slot is None:
            return (str(position), -1)
        return (slot.mode, 1 - slot.slot if exchange else slot.slot)

    def _stencils(
        self, group: Group
    ) -> dict[int, list[tuple[int, FieldMonomial, Any]]]:
        """Couplings along edges that go into the loop over sites, by target."""
        polynomials = self.equations.drift.get(Group(group.graph, True))
        if not polynomials or not self._regular(group.graph):
            return {}
        both = self._both_ways(polynomials)
        if both is None:
            return {}
        return {
            k: [(0, fields, value) for fields, value in p.items()]
            for k, p in both.items()
        }

    def _regular(self, graph: Any) -> bool:
        return graph.name != "complete" and 0 < self._neighbors(graph)[1] <= _STENCIL

    def _neighbors(self, graph: Any) -> tuple[int, int]:
        """Table of the neighbors of every site, and their number; 0 if it differs."""
        lists: list[list[int]] = [[] for _ in range(graph.size)]
        for j, k in graph.edges():
            lists[j - 1].append(k - 1)
            lists[k - 1].append(j - 1)
        degrees = {len(found) for found in lists}
        if len(degrees) != 1 or max(degrees) > _STENCIL:
            return -1, 0
        return self.names.table(
            ("neighbors", id(graph)), np.array(lists)
        ), degrees.pop()

    def _edge_loops(
        self, late: Lines, group: Group, polynomials: Mapping[int, Any]
    ) -> None:
        """Couplings along edges that are not in the loop over sites."""
        both = self._both_ways(polynomials)
        if both is not None and group.graph.name == "complete":
            self._all_to_all(late, group, both)
            return
        if self._stencils(group):
            return
        edges = np.array(list(group.graph.edges()), dtype=np.int64).reshape(-1, 2) - 1
        table = self.names.table(("edges", id(group.graph)), edges)
        late.open(f"for e in range({len(edges)}):")
        late.add(f"j = tables[{table}][e, 0]")
        late.add(f"k = tables[{table}][e, 1]")
        late.open("for l in range(LANES):")
        for position, polynomial in polynomials.items():
            slot = self.names.system.slots.get(position)
            target = slot.slot if slot else 0
            sites = ("j", "k") if target == 0 else ("k", "j")
            gather = {"site": edges[:, target], "other": edges[:, 1 - target]}
            row = self.names.row(position, sites, target)
            self._increase(
                late,
                row,
                polynomial,
                sites,
                target,
                self._shared(gather, target, group),
                "e",
            )
        late.close(2)

    def _shared(
        self, gather: dict[str, np.ndarray], target: int, group: Group
    ) -> dict[str, np.ndarray]:
        """The same arrays for the same lattice, so that coefficients are shared."""
        known = self._gathered
        return known.setdefault((id(group.graph), target), gather)

    def _all_to_all(
        self, late: Lines, group: Group, entries: Mapping[int, Any]
    ) -> None:
        """Sums over all other sites, from the sum over all sites."""
        size = group.graph.size
        for position, polynomial in entries.items():
            for fields, value in polynomial.items():
                mine, others = self._divided(fields, 0)
                k = self._total(others, size)
                late.open(f"for s in range({size}):")
                late.open("for l in range(LANES):")
                re, im = late.monomial(self.names.factors(others, ("s", "s")))
                sr = late.named(f"total[{2 * k}, l] - {re}")
                si = None if im is None else late.named(f"total[{2 * k + 1}, l] - {im}")
                if mine:
                    own = late.monomial(self.names.factors(mine, ("s", "s")))
                    sr, si = late.times(own, (sr, si))
                terms = late.product(self.names.factor(value, {}, ""), sr, si)
                row = self.names.row(position, ("s", "s"))
                late.add(f"dr[{row.text}, l] += {joined([terms[0]])}")
                late.add(f"di[{row.text}, l] += {joined([terms[1]])}")
                late.close(2)

    def _total(self, fields: FieldMonomial, size: int) -> int:
        """The number of the sum of a monomial over all sites."""
        name = tuple(sorted((self._name(key), p, q) for key, p, q in fields))
        known = self._totals
        if name not in known:
            k = known[name] = len(known)
            lines = Lines()
            if k == 0:
                lines.add("total = np.zeros((SUMS, LANES))")
            lines.open(f"for s in range({size}):")
            lines.open("for l in range(LANES):")
            re, im = lines.monomial(self.names.factors(fields, ("s", "s")))
            lines.add(f"total[{2 * k}, l] += {re}")
            if im is not None:
                lines.add(f"total[{2 * k + 1}, l] += {im}")
            self.sums.append(lines.text)
        return int(known[name])
