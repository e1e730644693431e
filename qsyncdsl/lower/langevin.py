r"""Truncated Wigner: stochastic equations for the fields, as a problem with generated source.

The Wigner equation without its derivatives of third and higher order is a Fokker-Planck equation;
its Ito form is $d\alpha_k = A_k\,dt + d\xi_k$, $E[d\xi_k\,d\xi_l^*] = D_{kl}\,dt$.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import sympy

from qsyncdsl.algebra.fields import AnySite, FieldSystem
from qsyncdsl.algebra.phase_space import FieldMonomial
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.lower.codegen import coefficient_source
from qsyncdsl.lower.field_source import Factor, Lines, Row, joined, parts
from qsyncdsl.lower.field_text import dropped_texts, equation_latex, equation_texts
from qsyncdsl.lower.lindblad import Lowered
from qsyncdsl.lower.phase_space import Bath, FieldEquations, Group, field_equations
from qsyncdsl.model.lattices import Graph
from qsyncdsl.problem import FieldFamily, FieldProblem, NoiseChannel, Varying

# Lattices whose sites all have the same few neighbors get them inside the loop over sites.
_STENCIL = 12


def langevin(system: FieldSystem, title: str, options: Mapping[str, Any]) -> Lowered:
    """Lower a system to its Langevin equations.

    Raises:
        ModelError: E410-E412.
    """
    equations = field_equations(
        system,
        options.get("ordering", "symmetric"),
        options.get("diffusion", "exact"),
    )
    return _Source(system, equations, title).lowered()


def classical(system: FieldSystem, title: str, options: Mapping[str, Any]) -> Lowered:
    """Lower a system to the equations of its mean values, moments factorized, without noise.

    Raises:
        ModelError: E410.
    """
    equations = field_equations(system, "naive", "exact", noise=False)
    return _Source(system, equations, title).lowered()


class _Source:
    """Gathers coefficients, tables and lines of one problem."""

    def __init__(
        self, system: FieldSystem, equations: FieldEquations, title: str
    ) -> None:
        self.system = system
        self.equations = equations
        self.title = title
        self.expressions: list[Any] = []
        self._found: dict[Any, int] = {}
        self.tables: list[np.ndarray] = []
        self._table_of: dict[Any, int] = {}
        self.varying: list[Varying] = []
        self._varying_of: dict[Any, int] = {}
        self.sums: list[Any] = []
        self.used: set[int] = set()
        self.anywhere = {
            system.symbols[key]: key
            for key in system.symbols
            if any(isinstance(k, AnySite) for k in key[1])
        }
        self.clippable = False

    def lowered(self) -> Lowered:
        """The problem and the parameters its coefficients depend on."""
        drift = self._drift()
        noise = self._increments()
        channels = tuple(self._channel(bath) for bath in self.equations.baths)
        source = "\n".join([*drift, "", "", *noise]) + "\n"
        coefficients, keys = coefficient_source(self.expressions, self._sortable())
        keys = tuple(self._plain(key) for key in keys)
        families = tuple(
            FieldFamily(f.name, f.offset, f.size, *_shape(f.domain))
            for f in self.system.families
        )
        noisy = any(self.equations.local.values()) or bool(channels)
        problem = FieldProblem(
            families,
            coefficients,
            source,
            tuple(self.varying),
            tuple(self.tables),
            channels,
            len(self.sums),
            noisy,
            self.clippable,
            dropped_texts(self.system, self.equations),
            equation_texts(self.system, self.equations),
            equation_latex(self.system, self.equations),
            self.title,
        )
        return Lowered(problem, keys)

    # ── coefficients ─────────────────────────────────────────────────────────────────────────

    def _sortable(self) -> dict[Any, Any]:
        """Symbols by keys that can be sorted: an index that stands for any site is a text."""
        return {
            (
                name,
                tuple(k.name if isinstance(k, AnySite) else f"{k:09d}" for k in index),
            ): symbol
            for (name, index), symbol in self.system.symbols.items()
        } | {
            (str(s).split("[")[0], (str(s).split("[")[1][:-1],)): s
            for s in self._roles.values()
        }

    @property
    def _roles(self) -> dict[tuple[str, str], Any]:
        return self.__dict__.setdefault("_role_symbols", {})

    def _plain(self, key: Any) -> Any:
        """A parameter key with numbers as indices; `("omega", None)` for all sites."""
        name, index = key
        if not index or all(k.isdecimal() for k in index):
            return (name, tuple(int(k) for k in index))
        return (name, None)

    def _index(self, expression: Any) -> int:
        expression = sympy.sympify(expression)
        if expression not in self._found:
            self._found[expression] = len(self.expressions)
            self.expressions.append(expression)
        return self._found[expression]

    def _oriented(self, expression: Any, target: int | None) -> Any:
        """Parameters at any site by their role: at the site of the target, or at the other one."""
        changes = {}
        for symbol in sympy.sympify(expression).free_symbols & self.anywhere.keys():
            name, index = self.anywhere[symbol]
            slot = getattr(index[0], "slot", 0)
            role = "site" if target is None or slot == target else "other"
            if (name, role) not in self._roles:
                self._roles[name, role] = sympy.Symbol(
                    f"{name}[{role}]", real=symbol.is_real
                )
            changes[symbol] = self._roles[name, role]
        return expression.xreplace(changes)

    def _factor(
        self, expression: Any, sites: Mapping[str, np.ndarray], place: str
    ) -> Factor:
        """A coefficient in the source: hoisted, or from a table where it differs by site."""
        index = self._index(expression)
        real, imaginary = parts(expression)
        roles = {
            role: name
            for (name, role), symbol in self._roles.items()
            if symbol in sympy.sympify(expression).free_symbols
        }
        if not roles:
            self.used.add(index)
            return Factor(
                f"c{index}r" if real else None, f"c{index}i" if imaginary else None
            )
        gather = {
            str(symbol): sites[role]
            for (name, role), symbol in self._roles.items()
            if symbol in sympy.sympify(expression).free_symbols
        }
        key = (index, tuple(sorted((n, id(v)) for n, v in gather.items())))
        if key not in self._varying_of:
            self._varying_of[key] = len(self.varying)
            self.varying.append(Varying(index, gather))
        k = self._varying_of[key]
        return Factor(
            f"wr[{k}, {place}]" if real else None,
            f"wi[{k}, {place}]" if imaginary else None,
        )

    def _table(self, key: Any, rows: np.ndarray) -> int:
        if key not in self._table_of:
            self._table_of[key] = len(self.tables)
            self.tables.append(np.ascontiguousarray(rows, dtype=np.int64))
        return self._table_of[key]

    # ── rows ─────────────────────────────────────────────────────────────────────────────────

    def _row(self, position: int, sites: tuple[str, ...], target: int = 0) -> Row:
        """The row of a mode; `sites` are the names of the target's site and of the other one."""
        slot = self.system.slots.get(position)
        if slot is None:
            return Row(str(position))
        offset = self.system.family(slot.mode).offset
        site = sites[0] if slot.slot == target else sites[1]
        return Row(f"{offset} + {site}" if offset else site)

    def _factors(
        self, fields: FieldMonomial, sites: tuple[str, ...], target: int = 0
    ) -> list[tuple[Row, int, int]]:
        return [(self._row(key, sites, target), p, q) for key, p, q in fields]

    # ── drift ────────────────────────────────────────────────────────────────────────────────

    def _drift(self) -> list[str]:
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
        head = ["def drift(cr, ci, wr, wi, tables, xr, xi, dr, di):"]
        head += self._hoisted()
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
        local = {k: v for k, v in entries.items() if k in self.system.slots}
        targets = sorted(local.keys() | stencils.keys())
        if not targets:
            return
        size = _size(group.graph)
        sites = np.arange(size)
        body.open(f"for s in range({size}):")
        if stencils:
            table, degree = self._neighbors(group.graph)
            for e in range(degree):
                body.add(f"n{e} = tables[{table}][s, {e}]")
        body.open("for l in range(LANES):")
        for position in targets:
            terms = []
            for fields, value in local.get(position, {}).items():
                factor = self._factor(self._oriented(value, None), {"site": sites}, "s")
                re, im = body.monomial(self._factors(fields, ("s", "s")))
                terms.append(body.product(factor, re, im))
            for target, fields, value in stencils.get(position, ()):
                terms.append(self._stencil(body, target, fields, value, degree))
            row = self._row(position, ("s", "s")).text
            body.add(f"dr[{row}, l] = {joined([t for t, _ in terms])}")
            body.add(f"di[{row}, l] = {joined([t for _, t in terms])}")
            written |= self._covered(position)
        body.close(2)

    def _stencil(
        self, body: Lines, target: int, fields: FieldMonomial, value: Any, degree: int
    ) -> tuple[str, str]:
        """A coupling summed over the neighbors of a site."""
        mine, others = self._divided(fields, target)
        found = [
            body.monomial(self._factors(others, ("s", f"n{e}"), target))
            for e in range(degree)
        ]
        re = body.named(" + ".join(re for re, _ in found))
        im = (
            None
            if found[0][1] is None
            else body.named(" + ".join(str(im) for _, im in found))
        )
        if mine:
            ar, ai = body.monomial(self._factors(mine, ("s", "s"), target))
            if ai is None:
                re, im = f"{ar} * {re}", (None if im is None else f"{ar} * {im}")
            elif im is None:
                re, im = f"{ar} * {re}", f"{ai} * {re}"
            else:
                re, im = (
                    body.named(f"{ar} * {re} - {ai} * {im}"),
                    body.named(f"{ar} * {im} + {ai} * {re}"),
                )
        return body.product(self._factor(value, {}, ""), re, im)

    def _divided(
        self, fields: FieldMonomial, target: int
    ) -> tuple[FieldMonomial, FieldMonomial]:
        """The factors at the target's own site (and single fields), and those at the other one."""
        other = tuple(
            f
            for f in fields
            if (s := self.system.slots.get(f[0])) is not None and s.slot != target
        )
        return tuple(f for f in fields if f not in other), other

    def _singles(
        self, body: Lines, singles: Mapping[int, Any], written: set[int]
    ) -> None:
        """Fields that are no pattern: written out."""
        if not singles:
            return
        body.open("for l in range(LANES):")
        for position in sorted(singles):
            terms = []
            for fields, value in singles[position].items():
                factor = self._factor(value, {}, "")
                re, im = body.monomial(self._factors(fields, ()))
                terms.append(body.product(factor, re, im))
            sign, extra = ("+=", "") if position in written else ("=", "")
            body.add(f"dr[{position}, l] {sign} {joined([t for t, _ in terms])}{extra}")
            body.add(f"di[{position}, l] {sign} {joined([t for _, t in terms])}")
            written.add(position)
        body.close()

    def _zeros(self, body: Lines, written: set[int]) -> None:
        """Fields that nothing has been written to."""
        missing = sorted(set(range(self.system.count)) - written)
        if not missing:
            return
        table = self._table("zeros", np.array(missing)[:, None])
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
            if position in self.system.slots:
                continue
            size = _size(group.graph)
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
            factor = self._factor(self._oriented(value, target), gather, place)
            re, im = lines.monomial(self._factors(fields, sites, target))
            terms.append(lines.product(factor, re, im))
        lines.add(f"dr[{row.text}, l] += {joined([t for t, _ in terms])}")
        lines.add(f"di[{row.text}, l] += {joined([t for _, t in terms])}")

    # ── edges ────────────────────────────────────────────────────────────────────────────────

    def _both_ways(self, polynomials: Mapping[int, Any]) -> dict[int, Any] | None:
        """The drift of slot 0, if that of slot 1 is the same with the indices exchanged."""

        def swapped(fields: FieldMonomial) -> Any:
            return tuple(
                sorted((self._name(key, exchange=True), p, q) for key, p, q in fields)
            )

        def named(fields: FieldMonomial) -> Any:
            return tuple(sorted((self._name(key), p, q) for key, p, q in fields))

        first = {
            self.system.slots[k].mode: {named(f): v for f, v in p.items()}
            for k, p in polynomials.items()
            if k in self.system.slots and self.system.slots[k].slot == 0
        }
        second = {
            self.system.slots[k].mode: {swapped(f): v for f, v in p.items()}
            for k, p in polynomials.items()
            if k in self.system.slots and self.system.slots[k].slot == 1
        }
        if first != second or any(k not in self.system.slots for k in polynomials):
            return None
        for polynomial in polynomials.values():
            for value in polynomial.values():
                if sympy.sympify(value).free_symbols & self.anywhere.keys():
                    return None
        return {k: p for k, p in polynomials.items() if self.system.slots[k].slot == 0}

    def _name(self, position: int, exchange: bool = False) -> tuple[str, int]:
        slot = self.system.slots.get(position)
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
        return self._table(("neighbors", id(graph)), np.array(lists)), degrees.pop()

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
        table = self._table(("edges", id(group.graph)), edges)
        late.open(f"for e in range({len(edges)}):")
        late.add(f"j = tables[{table}][e, 0]")
        late.add(f"k = tables[{table}][e, 1]")
        late.open("for l in range(LANES):")
        for position, polynomial in polynomials.items():
            slot = self.system.slots.get(position)
            target = slot.slot if slot else 0
            sites = ("j", "k") if target == 0 else ("k", "j")
            gather = {"site": edges[:, target], "other": edges[:, 1 - target]}
            row = self._row(position, sites, target)
            self._increase(
                late,
                row,
                polynomial,
                sites,
                target,
                self._kept(gather, target, group),
                "e",
            )
        late.close(2)

    def _kept(
        self, gather: dict[str, np.ndarray], target: int, group: Group
    ) -> dict[str, np.ndarray]:
        """The same arrays for the same lattice, so that coefficients are shared."""
        known = self.__dict__.setdefault("_gathered", {})
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
                re, im = late.monomial(self._factors(others, ("s", "s")))
                sr = late.named(f"total[{2 * k}, l] - {re}")
                si = None if im is None else late.named(f"total[{2 * k + 1}, l] - {im}")
                if mine:
                    ar, ai = late.monomial(self._factors(mine, ("s", "s")))
                    if ai is None:
                        sr, si = (
                            f"{ar} * {sr}",
                            (None if si is None else f"{ar} * {si}"),
                        )
                    elif si is None:
                        sr, si = f"{ar} * {sr}", f"{ai} * {sr}"
                    else:
                        sr, si = (
                            late.named(f"{ar} * {sr} - {ai} * {si}"),
                            late.named(f"{ar} * {si} + {ai} * {sr}"),
                        )
                terms = late.product(self._factor(value, {}, ""), sr, si)
                row = self._row(position, ("s", "s"))
                late.add(f"dr[{row.text}, l] += {joined([terms[0]])}")
                late.add(f"di[{row.text}, l] += {joined([terms[1]])}")
                late.close(2)

    def _total(self, fields: FieldMonomial, size: int) -> int:
        """The number of the sum of a monomial over all sites."""
        name = tuple(sorted((self._name(key), p, q) for key, p, q in fields))
        known = self.__dict__.setdefault("_totals", {})
        if name not in known:
            k = known[name] = len(known)
            lines = Lines()
            if k == 0:
                lines.add("total = np.zeros((SUMS, LANES))")
            lines.open(f"for s in range({size}):")
            lines.open("for l in range(LANES):")
            re, im = lines.monomial(self._factors(fields, ("s", "s")))
            lines.add(f"total[{2 * k}, l] += {re}")
            if im is not None:
                lines.add(f"total[{2 * k + 1}, l] += {im}")
            self.sums.append(lines.text)
        return int(known[name])

    def _hoisted(self) -> Iterator[str] | list[str]:
        found = []
        for index in sorted(self.used):
            real, imaginary = parts(self.expressions[index])
            if real:
                found.append(
                    f"    c{index}r = cr[{index}]  # {self.expressions[index]}"
                )
            if imaginary:
                shown = (
                    sympy.expand(self.expressions[index] / sympy.I)
                    if not real
                    else self.expressions[index]
                )
                found.append(
                    f"    c{index}i = ci[{index}]  # {'' if not real else 'Im '}{shown}"
                )
        self.used = set()
        return found

    # ── noise ────────────────────────────────────────────────────────────────────────────────

    def _increments(self) -> list[str]:
        """sqrt(D dt/2) times normal numbers for every field, then the baths."""
        body = Lines()
        written: set[int] = set()
        row = 0
        for group, entries in self._noise_by_site().items():
            size = 1 if group.graph is None else _size(group.graph)
            site = {"site": np.arange(size)}
            if group.graph is not None:
                body.open(f"for s in range({size}):")
            for position, polynomial in sorted(entries.items()):
                count = size if group.graph is not None else 1
                place = f"{row} + 2 * s" if group.graph is not None else str(row)
                first = not self._covered(position) & written
                self._one_noise(body, position, polynomial, place, site, first)
                row += 2 * count
                written |= self._covered(position)
            if group.graph is not None:
                body.close()
        missing = sorted(set(range(self.system.count)) - written)
        if missing:
            table = self._table(("quiet", tuple(missing)), np.array(missing)[:, None])
            body.open(f"for e in range({len(missing)}):")
            body.open("for l in range(LANES):")
            body.add(f"wxr[tables[{table}][e, 0], l] = 0.0")
            body.add(f"wxi[tables[{table}][e, 0], l] = 0.0")
            body.close(2)
        for number, bath in enumerate(self.equations.baths):
            row = self._bath_lines(body, bath, number, row)
        self.normals = row
        head = [
            "def increments(cr, ci, wr, wi, tables, baths, xr, xi, z, dt, wxr, wxi):"
        ]
        head += [*self._hoisted(), "    clipped = 0"]
        return [
            *head,
            *body.text,
            "    return clipped",
            "",
            "",
            f"NORMALS = {row + row % 2}",
        ]

    def _covered(self, position: int) -> set[int]:
        """The fields that a mode stands for."""
        slot = self.system.slots.get(position)
        if slot is None:
            return {position}
        family = self.system.family(slot.mode)
        return set(range(family.offset, family.offset + family.size))

    def _noise_by_site(self) -> dict[Group, dict[int, Any]]:
        found: dict[Group, dict[int, Any]] = {}
        for group, entries in self.equations.local.items():
            for position, polynomial in entries.items():
                if group.graph is not None and position not in self.system.slots:
                    message = f"every site adds noise to '{self.system.space.modes[position].label}'"
                    raise ModelError([Diagnostic("E411", message)])
                found.setdefault(group, {})[position] = polynomial
        return found

    def _one_noise(
        self,
        body: Lines,
        position: int,
        polynomial: Any,
        place: str,
        site: Mapping[str, np.ndarray],
        first: bool,
    ) -> None:
        row = self._row(position, ("s", "s")).text
        constant = set(polynomial) == {()}
        if not constant:
            self.clippable = True
            body.open("for l in range(LANES):")
        terms = []
        for fields, value in polynomial.items():
            factor = self._factor(self._oriented(value, None), site, "s")
            re, im = body.monomial(self._factors(fields, ("s", "s")))
            terms.append(body.product(factor, re, im)[0])
        body.add(f"d = {joined(terms)}")
        body.add(f"clipped += {'LANES * ' if constant else ''}(d < 0.0)")
        body.add("g = np.sqrt(max(d, 0.0) * (0.5 * dt))")
        if constant:
            body.open("for l in range(LANES):")
        sign = "=" if first else "+="
        body.add(f"wxr[{row}, l] {sign} g * z[{place}, l]")
        body.add(f"wxi[{row}, l] {sign} g * z[{place} + 1, l]")
        body.close()

    def _bath_lines(self, body: Lines, bath: Bath, number: int, row: int) -> int:
        """Correlated noise of one kind of bath; returns the next free row of normal numbers."""
        table = self._bath_table(bath)
        count, fields = self.tables[table].shape
        normals = 2 * fields
        body.open(f"for e in range({count}):")
        for m in range(fields):
            body.add(f"f{m} = tables[{table}][e, {m}]")
        body.open("for l in range(LANES):")
        for m in range(fields):
            for part, array in ((0, "wxr"), (1, "wxi")):
                terms = [
                    f"+ baths[{number}][{2 * m + part}, {n}] * z[{row} + {normals} * e + {n}, l]"
                    for n in range(normals)
                ]
                body.add(f"{array}[f{m}, l] += np.sqrt(dt) * ({joined(terms)})")
        body.close(2)
        return row + normals * count

    def _bath_modes(self, bath: Bath) -> list[int]:
        return sorted({k for a, b, _ in bath.entries for k in (a, b)})

    def _bath_table(self, bath: Bath) -> int:
        """The fields of every bath of a kind."""
        modes = self._bath_modes(bath)
        graph = bath.group.graph
        if graph is None:
            return self._table(("bath", tuple(modes)), np.array([modes]))
        if bath.group.edges:
            sites = np.array(list(graph.edges()), dtype=np.int64).reshape(-1, 2) - 1
        else:
            sites = np.repeat(np.arange(_size(graph))[:, None], 2, axis=1)
        columns = []
        for mode in modes:
            slot = self.system.slots.get(mode)
            columns.append(
                np.full(len(sites), mode)
                if slot is None
                else self.system.family(slot.mode).offset + sites[:, slot.slot]
            )
        return self._table(
            ("bath", id(graph), bath.group.edges, tuple(modes)), np.array(columns).T
        )

    def _channel(self, bath: Bath) -> NoiseChannel:
        modes = self._bath_modes(bath)
        entries = tuple(
            (modes.index(a), modes.index(b), c, self._index(value))
            for (a, b, c), value in bath.entries.items()
        )
        return NoiseChannel(self._bath_table(bath), entries)


def _size(domain: Any) -> int:
    return domain.size if isinstance(domain, Graph) else len(list(domain))


def _shape(domain: Any) -> tuple[tuple[int, ...], bool]:
    if isinstance(domain, Graph):
        return domain.shape, domain.periodic
    return ((_size(domain),), False) if domain is not None else ((), False)
