"""What the loops of a generated kernel refer to: coefficients, tables and rows of fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy

from qsyncdsl.algebra.fields import AnySite, FieldSystem
from qsyncdsl.algebra.phase_space import FieldMonomial
from qsyncdsl.lower.field_source import Factor, Row, parts
from qsyncdsl.model.lattices import Graph
from qsyncdsl.problem import Varying


class KernelNames:
    """Gathers the coefficients and tables of one problem and names them in its source.

    Attributes:
        expressions: The f_k that the source takes as `cr[k] + i ci[k]`.
        varying: Those that differ from site to site, `wr[k, place] + i wi[k, place]`.
        tables: Arrays of sites, `tables[k]`.
    """

    def __init__(self, system: FieldSystem) -> None:
        self.system = system
        self.expressions: list[Any] = []
        self.tables: list[np.ndarray] = []
        self.varying: list[Varying] = []
        self.anywhere = {
            system.symbols[key]: key
            for key in system.symbols
            if any(isinstance(k, AnySite) for k in key[1])
        }
        self._found: dict[Any, int] = {}
        self._table_of: dict[Any, int] = {}
        self._varying_of: dict[Any, int] = {}
        self._roles: dict[tuple[str, str], Any] = {}
        self._used: set[int] = set()

    def sortable(self) -> dict[Any, Any]:
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

    def plain(self, key: Any) -> Any:
        """A parameter key with numbers as indices; `("omega", None)` for all sites."""
        name, index = key
        if not index or all(k.isdecimal() for k in index):
            return (name, tuple(int(k) for k in index))
        return (name, None)

    def index(self, expression: Any) -> int:
        """The number of a coefficient."""
        expression = sympy.sympify(expression)
        if expression not in self._found:
            self._found[expression] = len(self.expressions)
            self.expressions.append(expression)
        return self._found[expression]

    def oriented(self, expression: Any, target: int | None) -> Any:
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

    def factor(
        self, expression: Any, sites: Mapping[str, np.ndarray], place: str
    ) -> Factor:
        """A coefficient in the source: hoisted, or from a table where it differs by site."""
        index = self.index(expression)
        real, imaginary = parts(expression)
        k = self.by_site(expression, sites)
        if k is None:
            self._used.add(index)
            return Factor(
                f"c{index}r" if real else None, f"c{index}i" if imaginary else None
            )
        return Factor(
            f"wr[{k}, {place}]" if real else None,
            f"wi[{k}, {place}]" if imaginary else None,
        )

    def differs(self, expression: Any) -> bool:
        """Whether a coefficient differs from site to site."""
        used = sympy.sympify(expression).free_symbols
        return any(symbol in used for symbol in self._roles.values())

    def by_site(self, expression: Any, sites: Mapping[str, np.ndarray]) -> int | None:
        """The number of a coefficient that differs from site to site; None for the others."""
        gather = {
            str(symbol): sites[role]
            for (_, role), symbol in self._roles.items()
            if symbol in sympy.sympify(expression).free_symbols
        }
        if not gather:
            return None
        index = self.index(expression)
        key = (index, tuple(sorted((n, id(v)) for n, v in gather.items())))
        if key not in self._varying_of:
            self._varying_of[key] = len(self.varying)
            self.varying.append(Varying(index, gather))
        return self._varying_of[key]

    def table(self, key: Any, rows: np.ndarray) -> int:
        """The number of a table; the same for the same key."""
        if key not in self._table_of:
            self._table_of[key] = len(self.tables)
            self.tables.append(np.ascontiguousarray(rows, dtype=np.int64))
        return self._table_of[key]

    def row(self, position: int, sites: tuple[str, ...], target: int = 0) -> Row:
        """The row of a mode; `sites` are the names of the target's site and of the other one."""
        slot = self.system.slots.get(position)
        if slot is None:
            return Row(str(position))
        offset = self.system.family(slot.mode).offset
        site = sites[0] if slot.slot == target else sites[1]
        return Row(f"{offset} + {site}" if offset else site)

    def factors(
        self, fields: FieldMonomial, sites: tuple[str, ...], target: int = 0
    ) -> list[tuple[Row, int, int]]:
        """Rows and exponents of the factors of a monomial."""
        return [(self.row(key, sites, target), p, q) for key, p, q in fields]

    def hoisted(self) -> list[str]:
        """Lines that name the coefficients used since the last call."""
        found = []
        for index in sorted(self._used):
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
        self._used = set()
        return found

    def covered(self, position: int) -> set[int]:
        """The fields that a mode stands for."""
        slot = self.system.slots.get(position)
        if slot is None:
            return {position}
        family = self.system.family(slot.mode)
        return set(range(family.offset, family.offset + family.size))


def sites_of(domain: Any) -> int:
    """The number of sites of a lattice or of an index set."""
    return domain.size if isinstance(domain, Graph) else len(list(domain))
