"""The numbers of one point: parameters with their overrides, lattices, cutoffs, draws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model import draws
from qsyncdsl.model.evaluate import Evaluator, members
from qsyncdsl.model.lattices import Graph
from qsyncdsl.model.numbers import integer, show
from qsyncdsl.model.signature import bind, call
from qsyncdsl.model.types import Index, Lattice, Mode, Model, Override, Parameter, Scope
from qsyncdsl.model.values import Frame
from qsyncdsl.registry import distributions, lattices
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import is_auto

Layer = Iterable[Override]
Key = tuple[str, tuple[int, ...]]


# Levels of a mode: a vector of so many numbers is all that could be done with them.
_MOST_LEVELS = 1_000_000


class Environment:
    """Values of all parameters at one point of parameter space.

    Args:
        model: The checked model.
        layers: Overrides, weakest first: case, set, command line, sweep, with, at.
        seed, draw: Choose the numbers of random parameters.

    Numbers are evaluated once, when first asked for. What is read inside `recording` is what a
    structure depends on: sizes, indices, cutoffs.
    """

    def __init__(
        self, model: Model, layers: Iterable[Layer] = (), seed: int = 0, draw: int = 0
    ) -> None:
        self.model = model
        self.seed = seed
        self.draw = draw
        self.overrides = _merge(layers)
        self.numbers = Evaluator(self)
        self._values: dict[Key, Any] = {}
        self._active: list[Key] = []
        self._graphs: dict[str, Graph] = {}
        self._reads: set[Key] | None = None
        self._level_counts: dict[str, int | None] = {}

    # ── parameters ───────────────────────────────────────────────────────────────────────────

    def value(self, parameter: Parameter, index: tuple[int, ...] = ()) -> Any:
        """A parameter at an index.

        Raises:
            ModelError: E311 where a setting makes parameters depend on themselves.
        """
        key = (parameter.name, index)
        if key not in self._values:
            if key in self._active:
                self._cycle(parameter)
            self._active.append(key)
            try:
                value = self._compute(parameter, index)
                if not isinstance(value, int | float | complex):
                    self._not_a_number(parameter, value)
                self._values[key] = value
            finally:
                self._active.pop()
        if self._reads is not None and not self._active:
            self._reads.add(key)
        return self._values[key]

    def _compute(self, parameter: Parameter, index: tuple[int, ...]) -> Any:
        override = self.overrides.get(parameter.name)
        if override is None:
            return self._read(
                parameter,
                index,
                parameter.value,
                parameter.index,
                parameter.scope,
                parameter.random,
            )
        if not isinstance(override.value, tree.Node):
            return override.value
        scope = override.scope or self.model.scope
        return self._read(
            parameter, index, override.value, override.index, scope, override.random
        )

    def _read(
        self,
        parameter: Parameter,
        index: tuple[int, ...],
        value: tree.Expr,
        indices: tuple[Index, ...],
        scope: Scope,
        random: bool,
    ) -> Any:
        frame = Frame({}, index)
        for declared, site in zip(indices, index, strict=False):
            if declared.names:
                frame = frame.bind(declared.names, site)
        if not random:
            return self.numbers.evaluate(value, scope, frame)
        assert isinstance(value, tree.Call)
        assert isinstance(value.function, tree.Name)
        word = distributions[value.function.key]
        given = bind(word, value.arguments, value)
        numbers = {n: self.numbers.evaluate(v, scope, frame) for n, v in given.items()}  # type: ignore[arg-type]
        rng = draws.generator(self.seed, self.draw, parameter.name, index)
        return call(word.load(), (rng,), word, numbers)

    def _not_a_number(self, parameter: Parameter, value: Any) -> None:
        override = self.overrides.get(parameter.name)
        node = override.value if override is not None else parameter.value
        span = node.span if isinstance(node, tree.Node) else parameter.span
        shown = "a list" if isinstance(value, tuple) else "no number"
        raise ModelError(
            [Diagnostic("E325", f"'{parameter.written}' must be a number", span, shown)]
        )

    def _cycle(self, parameter: Parameter) -> None:
        names = [name for name, _ in self._active]
        loop = [*names[names.index(parameter.name) :], parameter.name]
        raise ModelError(
            [
                Diagnostic(
                    "E311",
                    f"the values of {' -> '.join(loop)} depend on one another",
                    parameter.span,
                    "set here, or by a case, an experiment or the command line",
                )
            ]
        )

    def peek(self, parameter: Parameter, index: tuple[int, ...] = ()) -> Any:
        """A value without making the structure depend on it."""
        before, self._reads = self._reads, None
        try:
            return self.value(parameter, index)
        finally:
            self._reads = before

    def named(self, name: str) -> Any:
        """A parameter without index by its full name."""
        return self.value(self.model.parameters[name])

    def all_values(self) -> dict[str, Any]:
        """The parameters without index, by name, as used at this point."""
        return {
            name: self.value(parameter)
            for name, parameter in self.model.parameters.items()
            if not parameter.index
        }

    @contextmanager
    def recording(self) -> Iterator[set[Key]]:
        """Gather the parameters that are read: a structure depends on them."""
        before, self._reads = self._reads, set()
        try:
            yield self._reads
        finally:
            self._reads = before

    # ── sets and sizes ───────────────────────────────────────────────────────────────────────

    def graph(self, lattice: Lattice) -> Graph:
        """The graph of a declared lattice.

        Raises:
            ModelError: E312 for sizes that make no lattice, E313 for an edge file.
        """
        if lattice.name not in self._graphs:
            self._graphs[lattice.name] = self._make_graph(lattice)
        return self._graphs[lattice.name]

    def _make_graph(self, lattice: Lattice) -> Graph:
        node = lattice.value
        assert isinstance(node, tree.Call)
        assert isinstance(node.function, tree.Name)
        word = lattices[node.function.key]
        values: dict[str, Any] = {}
        for name, given in bind(word, node.arguments, node).items():
            kind = next(a.kind for a in word.arguments if a.name == name)
            assert not isinstance(given, tuple)
            if kind == "word":
                values[name] = getattr(given, "key", "")
            elif kind == "text":
                values[name] = self._file(given)
            else:
                values[name] = self.numbers.integer(given, lattice.scope)
                if not 1 <= values[name] <= 10_000_000:
                    raise ModelError(
                        [
                            Diagnostic(
                                "E312",
                                f"a lattice cannot have {values[name]} sites along a side",
                                given.span,
                            )
                        ]
                    )
        try:
            return call(word.load(), (), word, values)  # type: ignore[no-any-return]
        except (OSError, ValueError) as reason:
            said = getattr(reason, "strerror", None) or reason
            raise ModelError(
                [Diagnostic("E313", f"cannot make this lattice: {said}", node.span)]
            ) from None

    def _file(self, node: tree.Expr) -> Path:
        """A file below the model's folder."""
        text = node.value if isinstance(node, tree.String) else ""
        folder = Path(node.span.source.name).parent
        path = (folder / text).resolve()
        if not text or not path.is_relative_to(folder.resolve()):
            raise ModelError(
                [
                    Diagnostic(
                        "E313", f"'{text}' is not below the model's folder", node.span
                    )
                ]
            )
        return path

    def only_graph(self) -> Graph | None:
        """The lattice of a model that has one."""
        found = list(self.model.lattices.values())
        return self.graph(found[0]) if len(found) == 1 else None

    def domain(self, index: Index, had: tuple[int, ...] = ()) -> Any:
        """The set that a declared index runs through."""
        return self.numbers.evaluate(index.domain, index.scope, Frame({}, had))

    def sites(
        self, indices: tuple[Index, ...], had: tuple[int, ...] = ()
    ) -> Iterator[tuple[int, ...]]:
        """Every value of declared indices, those after `had`."""
        if len(had) == len(indices):
            yield had
            return
        for site in members(self.domain(indices[len(had)], had)):
            yield from self.sites(indices, (*had, site))

    def levels(self, mode: Mode) -> int | None:
        """Number of levels kept of a boson: set, declared, or None for `auto` or nothing.

        Raises:
            ModelError: E314 unless it is an integer of at least 2, and no more than any matrix can have.
        """
        if self._reads is None and mode.name in self._level_counts:
            return self._level_counts[mode.name]
        self._level_counts[mode.name] = count = self._count(mode)
        return count

    def _count(self, mode: Mode) -> int | None:
        own = self.overrides.get("levels_" + mode.name.replace(".", "_"))
        override = own or self.overrides.get("levels")
        if override is not None:
            return self._levels(
                override.value, override.scope or self.model.scope, mode
            )
        for argument in mode.arguments:
            value = argument.value if isinstance(argument, tree.Option) else argument
            if isinstance(value, tree.Node):
                return self._levels(value, mode.scope, mode)  # type: ignore[arg-type]
        return None

    def accuracy(self) -> float:
        """The error that measures may have from cutoffs and steps; 0 where none is asked for.

        Raises:
            ModelError: E326 unless it lies between 0 and 1.
        """
        override = self.overrides.get("accuracy")
        if override is None or "accuracy" in self.model.parameters:
            return 0.0
        value = override.value
        span = value.span if isinstance(value, tree.Node) else None
        if isinstance(value, tree.Node):
            value = self.numbers.evaluate(value, override.scope or self.model.scope)
        if isinstance(value, int | float) and 0 < value < 1:
            return float(value)
        message = f"the accuracy cannot be {show(value)}"
        raise ModelError(
            [Diagnostic("E326", message, span, "a number between 0 and 1 is needed")]
        )

    def _levels(
        self, value: tree.Expr | float | complex, scope: Scope, mode: Mode
    ) -> int | None:
        if is_auto(value):
            return None
        number = (
            self.numbers.evaluate(value, scope)
            if isinstance(value, tree.Node)
            else value
        )
        count = integer(number)
        if count is None or not 2 <= count <= _MOST_LEVELS:
            span = value.span if isinstance(value, tree.Node) else mode.span
            message = f"'{mode.written}' cannot have {show(number)} levels"
            needed = "an integer of at least 2 is needed"
            if count is not None and count > _MOST_LEVELS:
                needed = f"at most {_MOST_LEVELS} can be kept"
            raise ModelError([Diagnostic("E314", message, span, needed)])
        return count


def _merge(layers: Iterable[Layer]) -> dict[str, Override]:
    """The last word on each name; `levels` sweeps away the `levels_MODE` of weaker layers."""
    merged: dict[str, Override] = {}
    for layer in layers:
        found = {override.name: override for override in layer}
        if "levels" in found:
            merged = {n: o for n, o in merged.items() if not n.startswith("levels_")}
        merged |= found
    return merged
