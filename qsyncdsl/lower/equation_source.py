"""Python source for numba from typed equations: loops over sites stay loops."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from sympy.printing.pycode import PythonCodePrinter

from qsyncdsl.algebra.equations import EquationSystem, Rule
from qsyncdsl.algebra.index_loops import Access, Loop, LoopSum
from qsyncdsl.algebra.system import ParameterKey

_NUMPY = {
    name: f"np.{name}"
    for name in ("sin", "cos", "tan", "exp", "log", "sinh", "cosh", "tanh", "floor", "sign")
} | {
    "asin": "np.arcsin", "acos": "np.arccos", "atan": "np.arctan", "conjugate": "np.conj",
    "re": "np.real", "im": "np.imag", "arg": "np.angle", "ceiling": "np.ceil", "Abs": "abs",
    "Min": "min", "Max": "max",
}  # fmt: skip
_TAKEN = frozenset(
    [*keyword.kwlist, "np", "y", "data", "out", "p", "q", "g", "c", "xi", "w", "abs", "min",
     "max", "range", "right", "complex"]
)  # fmt: skip
_TIME = sympy.Symbol("t", real=True)


class NumpyPrinter(PythonCodePrinter):  # type: ignore[misc]
    """NumPy names; whole numbers become decimals where they are divided."""

    def __init__(self) -> None:
        super().__init__({"fully_qualified_modules": False})
        for name in _NUMPY:
            setattr(self, f"_print_{name}", self._named)

    def _named(self, expr: Any) -> str:
        arguments = ", ".join(self._print(a) for a in expr.args)
        return f"{_NUMPY[type(expr).__name__]}({arguments})"

    def _print_ImaginaryUnit(self, expr: Any) -> str:
        return "1j"

    def _print_Rational(self, expr: Any) -> str:
        return repr(float(expr))

    def _print_Pi(self, expr: Any) -> str:
        return "np.pi"

    def _print_Exp1(self, expr: Any) -> str:
        return repr(float(sympy.E))

    def _print_Infinity(self, expr: Any) -> str:
        return "np.inf"

    def _print_Heaviside(self, expr: Any) -> str:
        return f"(1.0 if {self._print(expr.args[0])} >= 0.0 else 0.0)"

    def _print_Pow(self, expr: Any, rational: bool = False) -> str:
        base, power = expr.as_base_exp()
        if power == sympy.S.Half:
            return f"np.sqrt({self._print(base)})"
        if power == -sympy.S.Half:
            return f"(1.0 / np.sqrt({self._print(base)}))"
        shown = self.parenthesize(base, 60)
        if power.is_Integer and power < 0:
            return f"(1.0 / {shown}**{-power})" if power != -1 else f"(1.0 / {shown})"
        return f"{shown}**{self.parenthesize(power, 60)}"


class EquationSource:
    """Writes `right(y, data, out)` for a system; tables and positions are gathered meanwhile."""

    def __init__(
        self, system: EquationSystem, starts: Mapping[str, tuple[int, int, bool]],
        noises: Mapping[str, int], size: int,
    ) -> None:  # fmt: skip
        self.system = system
        self.starts = starts
        self.noises = noises
        self.size = size
        self.tables: list[np.ndarray] = []
        self.numbers: list[np.ndarray] = []
        self.scalars: dict[ParameterKey, tuple[int, bool]] = {}
        self.arrays: dict[str, tuple[int, bool]] = {}
        self.sizes: dict[str, int] = {}
        self.timed = False
        self._g: dict[bytes, int] = {}
        self._width = [0, 0, 0, 0]
        self._lines: list[str] = []
        self._depth = 1
        self._names: dict[Any, str] = {}
        self._used: set[str] = set(_TAKEN)
        self._variables: dict[int, str] = {}
        self._printer = NumpyPrinter()
        self._keys = {symbol: key for key, symbol in system.symbols.items()}

    # ── the whole ────────────────────────────────────────────────────────────────────────────

    def text(self, sizes: Mapping[str, int]) -> str:
        """The source; `sizes` are the numbers of sites of indexed parameters."""
        self.sizes = dict(sizes)
        rules = self.system.rules
        single = [rule for rule in rules if rule.loop is None]
        self._hoisted([rule.value for rule in rules])
        if single:
            self._block(
                [rule.value for rule in single], [self._target(r, "") for r in single]
            )
        for rule in rules:
            if rule.loop is not None:
                self._looped(rule)
        if any(_TIME in self._everything(rule.value) for rule in rules):
            self.timed = True
        if self.timed:
            step = f"y[{self.size}] + 1.0" if self.system.discrete else "1.0"
            self._add(f"out[{self.size}] = {step}")
        head = ["def right(y, data, out):", "    p, q, g, c, xi = data"]
        return "\n".join([*head, *self._lines]) + "\n"

    def kick(self, name: str, rules: Sequence[Rule]) -> str:
        """`def name(y, data, out)`: the flow of a kick; variables without a rule stand still."""
        self._lines, self._depth, self._names = [], 1, {}
        self._used, self._variables = set(_TAKEN), {}
        self._add("out[:] = 0.0")
        if rules:
            self._block([r.value for r in rules], [self._target(r, "") for r in rules])
        head = [f"def {name}(y, data, out):", "    p, q, g, c, xi = data"]
        return "\n".join([*head, *self._lines]) + "\n"

    def spectrum(self, name: str, expression: Any, symbol: Any) -> str:
        """`def name(w, data)`: the spectrum of a noise."""
        self._lines, self._depth, self._names = [], 1, {symbol: "w"}
        self._used = set(_TAKEN)
        text = self._printed(expression)
        head = [f"def {name}(w, data):", "    p, q, g, c, xi = data"]
        return "\n".join([*head, *self._lines, f"    return {text} + 0.0"]) + "\n"

    def _add(self, line: str) -> None:
        self._lines.append("    " * self._depth + line)

    def _looped(self, rule: Rule) -> None:
        loop = rule.loop
        assert loop is not None
        var = self._enter(loop)
        self._add(f"for {var} in range({loop.own}):")
        self._depth += 1
        known = dict(self._names)
        target = self._target(rule, var)
        self._block([rule.value], [target])
        self._names = known
        self._depth -= 1

    def _target(self, rule: Rule, var: str) -> tuple[str, str | None]:
        """Where a right side is written: real part, and imaginary part of a complex variable."""
        start, size, is_complex = self.starts[rule.variable]
        rows = np.array(rule.rows, np.int64)
        if rule.loop is None:
            at = [str(start + rows[0]), str(start + size + rows[0])]
        else:
            at = [self._row(rows + start, var), self._row(rows + start + size, var)]
        return f"out[{at[0]}]", f"out[{at[1]}]" if is_complex else None

    def _block(
        self, values: Sequence[Any], targets: Sequence[tuple[str, str | None]]
    ) -> None:
        """Common parts once, then each right side."""
        for value in values:
            self._inner_sums(value)
        shared, reduced = sympy.cse(list(values), sympy.numbered_symbols("_v"))
        for symbol, expression in shared:
            text = self._printed(expression)
            self._names[symbol] = self._fresh(str(symbol)[1:])
            self._add(f"{self._names[symbol]} = {text}")
        for value, (first, second) in zip(reduced, targets, strict=True):
            text = self._printed(value)
            if second is not None:
                name = self._fresh("z")
                self._add(f"{name} = {text} + 0j")
                self._add(f"{first} = {name}.real")
                self._add(f"{second} = {name}.imag")
            elif self._complex(value, dict(shared)):
                self._add(f"{first} = ({text}).real")
            else:
                self._add(f"{first} = {text}")

    def _complex(self, value: Any, shared: Mapping[Any, Any]) -> bool:
        """Whether an expression may be written with complex numbers."""
        full = value
        for symbol, expression in reversed(list(shared.items())):
            full = full.xreplace({symbol: expression})
        return bool(full.has(sympy.I)) or any(
            s.is_real is not True for s in full.free_symbols
        )

    # ── sums ─────────────────────────────────────────────────────────────────────────────────

    def _everything(self, value: Any) -> set[Any]:
        """The symbols of an expression and of the sums in it."""
        found = set(value.free_symbols)
        for symbol in list(found):
            if symbol in self.system.sums:
                found |= self._everything(self.system.sums[symbol].body)
        return found

    def _sums_in(self, value: Any) -> list[Any]:
        return sorted(
            (s for s in value.free_symbols if s in self.system.sums),
            key=lambda s: s.dummy_index,
        )

    def _hoisted(self, values: Iterable[Any]) -> None:
        """Sums that are the same for all sites, before everything else."""
        for value in values:
            for symbol in self._sums_in(value):
                item = self.system.sums[symbol]
                self._hoisted([item.body])
                if item.hoisted and symbol not in self._names:
                    self._sum(symbol, item)

    def _inner_sums(self, value: Any) -> None:
        for symbol in self._sums_in(value):
            if symbol not in self._names:
                self._sum(symbol, self.system.sums[symbol])

    def _sum(self, symbol: Any, item: LoopSum) -> None:
        name = self._fresh("total")
        self._add(f"{name} = {'0.0' if item.real else '0j'}  # {symbol.name}")
        loop = item.loop
        var = self._enter(loop)
        if loop.start is None:
            self._add(f"for {var} in range({loop.own}):")
        else:
            at = self._flat(loop.parent)
            place = self._table(loop.start)
            self._add(f"for {var} in range(g[{place} + {at}], g[{place + 1} + {at}]):")
        self._depth += 1
        known = dict(self._names)
        self._inner_sums(item.body)
        text = self._printed(item.body)
        self._add(f"{name} += {text}")
        self._names = known
        self._depth -= 1
        self._names[symbol] = name

    # ── names ────────────────────────────────────────────────────────────────────────────────

    def _enter(self, loop: Loop) -> str:
        if id(loop) not in self._variables:
            wanted = loop.names[0] if loop.start is None else f"{loop.names[0]}_"
            self._variables[id(loop)] = self._fresh(wanted)
        return self._variables[id(loop)]

    def _flat(self, loop: Loop | None) -> str:
        """The number of the joint value of a loop and those around it."""
        assert loop is not None
        var = self._variables[id(loop)]
        if loop.start is not None or loop.parent is None:
            return var
        return f"({self._flat(loop.parent)} * {loop.own} + {var})"

    def _fresh(self, wanted: str) -> str:
        """A name that is not taken, made of letters, digits and underscores."""
        plain = re.sub(r"\W+", "_", wanted).strip("_") or "x"
        plain = plain if not plain[0].isdigit() else f"x{plain}"
        name, count = plain, 1
        while name in self._used:
            count += 1
            name = f"{plain}_{count}"
        self._used.add(name)
        return name

    def _printed(self, expression: Any) -> str:
        """An expression as text; what it reads is named before."""
        for symbol in sorted(expression.free_symbols, key=str):
            if symbol not in self._names:
                self._read(symbol)
        # the same assumptions: |z|^2 of a complex z must not become z^2
        names = {
            s: sympy.Symbol(
                self._names[s], **{"real" if s.is_real else "complex": True}
            )
            for s in expression.free_symbols
        }
        return str(self._printer.doprint(expression.xreplace(names)))

    def _read(self, symbol: Any) -> None:
        """A line that reads a parameter, a variable, a noise."""
        if symbol == _TIME:
            self.timed = True
            text = f"y[{self.size}]"
        elif symbol in self._keys:
            place, pair = self._scalar(self._keys[symbol], symbol.is_real is not True)
            text = f"complex(p[{place}], p[{place + 1}])" if pair else f"p[{place}]"
        else:
            text = self._access(self.system.accesses[symbol])
        name = getattr(symbol, "name", str(symbol))
        self._names[symbol] = self._fresh("time" if symbol == _TIME else name)
        self._add(f"{self._names[symbol]} = {text}")

    def _scalar(self, key: ParameterKey, pair: bool) -> tuple[int, bool]:
        if key not in self.scalars:
            self.scalars[key] = (self._width[0], pair)
            self._width[0] += 2 if pair else 1
        return self.scalars[key]

    def _array(self, name: str, pair: bool) -> int:
        if name not in self.arrays:
            self.arrays[name] = (self._width[1], pair)
            self._width[1] += self.sizes[name] * (2 if pair else 1)
        return self.arrays[name][0]

    def _access(self, access: Access) -> str:
        at = "" if access.loop is None else self._joint(access)
        if access.kind == "c":
            place = self._width[3]
            self.numbers.append(access.rows)
            self._width[3] += len(access.rows)
            return f"c[{place} + {at}]"
        if access.kind == "y":
            start, size, pair = self.starts[access.family]
        elif access.kind == "xi":
            start, size, pair = self.noises[access.family], 0, False
        else:
            pair = not access.real
            start, size = self._array(access.family, pair), self.sizes[access.family]
        array = {"y": "y", "xi": "xi", "q": "q"}[access.kind]
        first = f"{array}[{self._row(access.rows + start, at)}]"
        if not pair:
            return first
        return f"complex({first}, {array}[{self._row(access.rows + start + size, at)}])"

    def _joint(self, access: Access) -> str:
        loop = access.loop
        assert loop is not None
        return self._flat(loop) if access.outer else self._variables[id(loop)]

    def _row(self, rows: np.ndarray, var: str) -> str:
        """The row for a value of a loop: by counting where rows follow one another."""
        if not var:
            return str(rows[0])
        if len(rows) > 1 and np.array_equal(rows, rows[0] + np.arange(len(rows))):
            return f"{rows[0]} + {var}" if rows[0] else var
        return f"g[{self._table(rows)} + {var}]"

    def _table(self, rows: np.ndarray) -> int:
        key = rows.astype(np.int64).tobytes()
        if key not in self._g:
            self._g[key] = self._width[2]
            self.tables.append(rows.astype(np.int64))
            self._width[2] += len(rows)
        return self._g[key]
