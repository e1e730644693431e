"""One stochastic step of complex fields as source text, noise drawn where it is used.

Normal numbers are drawn for a few sites at a time, so that they never leave the fast memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy

from qsyncdsl.lower.field_equations import Bath, FieldEquations, Group
from qsyncdsl.lower.field_source import Lines, Row, joined
from qsyncdsl.lower.kernel_names import KernelNames, sites_of
from qsyncdsl.problem import NoiseChannel

# Normal numbers drawn at once: two words of random bits, 8 kB for 16 realizations.
_BLOCK = 64


class NoiseSource:
    r"""Writes `advance(...)`: $p = x + d\,dt + dW$ for every field, $dW$ at the fields $x$ (Ito).

    Attributes:
        clippable: Whether a diffusion can become negative.
        shared: Whether a noise of several fields is worked out at every step.
    """

    def __init__(self, names: KernelNames, equations: FieldEquations) -> None:
        self.names = names
        self.equations = equations
        self.clippable = False
        self.shared = False
        self._block = _BLOCK
        self._steady = [bath for bath in equations.baths if self._is_steady(bath)]
        self._gathers: dict[int, dict[str, np.ndarray]] = {}

    def lines(self) -> list[str]:
        """The function."""
        body = Lines()
        written: set[int] = set()
        for group, entries in self._by_site().items():
            self._group(body, group, entries, written)
        missing = sorted(set(range(self.names.system.count)) - written)
        if missing:
            table = self.names.table(
                ("quiet", tuple(missing)), np.array(missing)[:, None]
            )
            body.open(f"for e in range({len(missing)}):")
            body.add(f"f = tables[{table}][e, 0]")
            body.open("for l in range(LANES):")
            body.add("pr[f, l] = xr[f, l] + dt * dr[f, l]")
            body.add("pi[f, l] = xi[f, l] + dt * di[f, l]")
            body.close(2)
        for number, bath in enumerate(self._steady):
            self._bath_lines(body, bath, number)
        room: list[str] = []
        for bath in self.equations.baths:
            if bath not in self._steady:
                room = self._varying_bath(body, bath, room)
        head = [
            "def advance(",
            "    cr, ci, wr, wi, tables, baths, xr, xi, dr, di, dt, state, parity, halves, pr, pi",
            "):",
        ]
        return [
            *head,
            *self.names.hoisted(),
            f"    z = lane_rows({self._block}, LANES)",
            "    t = lane_rows(2, LANES)",
            f"    more = lane_rows({self._block}, LANES)",
            "    clipped = 0",
            *room,
            *body.text,
            "    return clipped",
        ]

    def channels(self) -> tuple[NoiseChannel, ...]:
        """The baths that drive several fields at once, with constant strength."""
        return tuple(self._channel(bath) for bath in self._steady)

    def _by_site(self) -> dict[Group, dict[int, Any]]:
        found: dict[Group, dict[int, Any]] = {}
        for group, entries in self.equations.local.items():
            for position, polynomial in entries.items():
                if polynomial:
                    found.setdefault(group, {})[position] = polynomial
        return found

    def _group(
        self, body: Lines, group: Group, entries: Mapping[int, Any], written: set[int]
    ) -> None:
        """The noise of single fields, or that of all fields at each site of a lattice."""
        normals = 2 * len(entries)
        size = 1 if group.graph is None else sites_of(group.graph)
        site = {"site": np.arange(size)}
        many = max(self._block // normals, 1)
        self._block = max(self._block, normals)
        strengths = {
            k: self._constant(body, polynomial, site)
            for k, polynomial in sorted(entries.items())
        }
        if group.graph is None:
            body.add(_drawn(str(normals)))
        else:
            body.open(f"for first in range(0, {size}, {many}):")
            body.add(f"last = min(first + {many}, {size})")
            body.add(_drawn(f"{normals} * (last - first)"))
            body.open("for s in range(first, last):")
            body.add(f"m = {normals} * (s - first)")
        for number, (position, polynomial) in enumerate(sorted(entries.items())):
            place = 2 * number
            rows = (
                (str(place), str(place + 1))
                if group.graph is None
                else (f"m + {place}", f"m + {place + 1}")
            )
            again = bool(self.names.covered(position) & written)
            self._one(
                body, position, polynomial, rows, site, strengths[position], again
            )
            written |= self.names.covered(position)
        if group.graph is not None:
            body.close(2)

    def _constant(
        self, body: Lines, polynomial: Any, site: Mapping[str, np.ndarray]
    ) -> str | None:
        """The name of a strength that is the same at every site and time of the step."""
        if set(polynomial) != {()}:
            return None
        factor = self.names.factor(self.names.oriented(polynomial[()], None), site, "s")
        if factor.re is None or "[" in factor.re:
            return None
        d = body.named(f"{factor.re}")
        body.add(f"clipped += LANES * ({d} < 0.0)")
        return body.named(f"np.sqrt(max({d}, 0.0) * (0.5 * dt))")

    def _one(
        self,
        body: Lines,
        position: int,
        polynomial: Any,
        rows: tuple[str, str],
        site: Mapping[str, np.ndarray],
        strength: str | None,
        again: bool,
    ) -> None:
        row = self.names.row(position, ("s", "s")).text
        constant = set(polynomial) == {()}
        if not constant:
            self.clippable = True
            body.open("for l in range(LANES):")
        if strength is None:
            terms = []
            for fields, value in polynomial.items():
                factor = self.names.factor(self.names.oriented(value, None), site, "s")
                re, im = body.monomial(self.names.factors(fields, ("s", "s")))
                terms.append(body.product(factor, re, im)[0])
            body.add(f"d = {joined(terms)}")
            body.add(f"clipped += {'LANES * ' if constant else ''}(d < 0.0)")
            body.add("g = np.sqrt(max(d, 0.0) * (0.5 * dt))")
        if constant:
            body.open("for l in range(LANES):")
        name = strength or "g"
        for kept, (part, z) in enumerate(zip("ri", rows, strict=True)):
            before = (
                f"p{part}[{row}, l]"
                if again
                else f"x{part}[{row}, l] + dt * d{part}[{row}, l]"
            )
            body.add(f"t[{kept}, l] = {before} + {name} * z[{z}, l]")
        body.close()
        for kept, part in enumerate("ri"):
            body.open("for l in range(LANES):")
            body.add(f"p{part}[{row}, l] = t[{kept}, l]")
            body.close()

    def _is_steady(self, bath: Bath) -> bool:
        """Whether a covariance is the same at all states, sites and times."""
        time = sympy.Symbol("t", real=True)
        for polynomial in bath.entries.values():
            if set(polynomial) != {()}:
                return False
            used = sympy.sympify(polynomial[()]).free_symbols
            if time in used or used & self.names.anywhere.keys():
                return False
        return True

    def _bath_loop(self, body: Lines, bath: Bath) -> int:
        """Open the loop over all baths of a kind, with its normal numbers; the number of fields."""
        table = self._bath_table(bath)
        count, fields = self.names.tables[table].shape
        normals = 2 * fields
        many = max(self._block // normals, 1)
        self._block = max(self._block, normals)
        body.open(f"for first in range(0, {count}, {many}):")
        body.add(f"last = min(first + {many}, {count})")
        body.add(_drawn(f"{normals} * (last - first)"))
        body.open("for e in range(first, last):")
        body.add(f"m = {normals} * (e - first)")
        for m in range(fields):
            body.add(f"f{m} = tables[{table}][e, {m}]")
        return fields

    def _varying_bath(self, body: Lines, bath: Bath, room: list[str]) -> list[str]:
        r"""Noise whose covariance C is worked out for each bath and step, as $\sqrt{C}\,z$.

        The symmetric root is unique, so that runs with different steps see the same noise.
        """
        self.clippable = self.shared = True
        fields = self._bath_loop(body, bath)
        size = 2 * fields
        body.open("for l in range(LANES):")
        body.add(f"cov[:{size}, :{size}] = 0.0")
        modes = self._bath_modes(bath)
        for (a, b, conjugate), polynomial in bath.entries.items():
            re, im = self._covariance(body, bath, polynomial)
            x, y = 2 * modes.index(a), 2 * modes.index(b)
            self._entries(body, x, y, re, im, bool(conjugate))
        body.add(f"clipped += square_root(cov, root, axes, {size})")
        for m in range(fields):
            for part, array in ((0, "pr"), (1, "pi")):
                row = 2 * m + part
                terms = [f"+ root[{row}, {n}] * z[m + {n}, l]" for n in range(size)]
                body.add(f"{array}[f{m}, l] += np.sqrt(dt) * ({joined(terms)})")
        body.close(3)
        before = int(room[0].split("(")[-1].split(",")[0]) if room else 0
        most = max(size, before)
        return [
            f"    {name} = np.empty(({most}, {most}))"
            for name in ("cov", "root", "axes")
        ]

    def _covariance(self, body: Lines, bath: Bath, polynomial: Any) -> tuple[str, str]:
        """Real and imaginary part of an entry, at the fields of bath e."""
        modes = self._bath_modes(bath)
        gather = self._gather(bath)
        reals, imaginaries = [], []
        for fields, value in polynomial.items():
            factor = self.names.factor(self.names.oriented(value, 0), gather, "e")
            rows = [(Row(f"f{modes.index(k)}"), p, q) for k, p, q in fields]
            re, im = body.product(factor, *body.monomial(rows))
            reals.append(re)
            imaginaries.append(im)
        return body.named(joined(reals)), body.named(joined(imaginaries))

    def _entries(
        self, body: Lines, x: int, y: int, re: str, im: str, conjugate: bool
    ) -> None:
        """What E[da db*] or E[da db] adds to the covariance of (Re, Im), both triangles."""
        sign = "" if conjugate else "-"
        other = "-" if conjugate else ""
        places = [
            (x, y, f"0.5 * {re}"),
            (x + 1, y + 1, f"{sign}0.5 * {re}"),
            (x, y + 1, f"{other}0.5 * {im}"),
            (x + 1, y, f"0.5 * {im}"),
        ]
        for row, column, text in places:
            if x == y and conjugate and row != column:
                continue
            if x == y and row > column:
                continue
            body.add(f"cov[{row}, {column}] += {text}")
            if row != column:
                body.add(f"cov[{column}, {row}] += {text}")

    def _gather(self, bath: Bath) -> dict[str, np.ndarray]:
        """The sites of the two ends of every bath."""
        key = id(bath)
        if key not in self._gathers:
            graph = bath.group.graph
            if graph is None:
                self._gathers[key] = {}
            elif bath.group.edges:
                edges = np.array(list(graph.edges()), dtype=np.int64).reshape(-1, 2) - 1
                self._gathers[key] = {"site": edges[:, 0], "other": edges[:, 1]}
            else:
                self._gathers[key] = {"site": np.arange(sites_of(graph))}
        return self._gathers[key]

    def _bath_lines(self, body: Lines, bath: Bath, number: int) -> None:
        """Correlated noise of one kind of bath."""
        fields = self._bath_loop(body, bath)
        normals = 2 * fields
        body.open("for l in range(LANES):")
        for m in range(fields):
            for part, array in ((0, "pr"), (1, "pi")):
                terms = [
                    f"+ baths[{number}][{2 * m + part}, {n}] * z[m + {n}, l]"
                    for n in range(normals)
                ]
                body.add(f"{array}[f{m}, l] += np.sqrt(dt) * ({joined(terms)})")
        body.close(3)

    def _bath_modes(self, bath: Bath) -> list[int]:
        found = {k for a, b, _ in bath.entries for k in (a, b)}
        for polynomial in bath.entries.values():
            found |= {key for fields in polynomial for key, _, _ in fields}
        return sorted(found)

    def _bath_table(self, bath: Bath) -> int:
        """The fields of every bath of a kind."""
        modes = self._bath_modes(bath)
        graph = bath.group.graph
        if graph is None:
            return self.names.table(("bath", tuple(modes)), np.array([modes]))
        if bath.group.edges:
            sites = np.array(list(graph.edges()), dtype=np.int64).reshape(-1, 2) - 1
        else:
            sites = np.repeat(np.arange(sites_of(graph))[:, None], 2, axis=1)
        columns = []
        for mode in modes:
            slot = self.names.system.slots.get(mode)
            columns.append(
                np.full(len(sites), mode)
                if slot is None
                else self.names.system.family(slot.mode).offset + sites[:, slot.slot]
            )
        return self.names.table(
            ("bath", id(graph), bath.group.edges, tuple(modes)), np.array(columns).T
        )

    def _channel(self, bath: Bath) -> NoiseChannel:
        modes = self._bath_modes(bath)
        entries = tuple(
            (modes.index(a), modes.index(b), c, self.names.index(polynomial[()]))
            for (a, b, c), polynomial in bath.entries.items()
        )
        return NoiseChannel(self._bath_table(bath), entries)


def _drawn(rows: str) -> str:
    return f"draw(state, parity, halves, z, more, {rows})"
