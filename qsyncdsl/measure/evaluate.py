"""Measures as the file writes them: expressions over `<...>` and functionals of a state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.algebra.states import product, single
from qsyncdsl.diagnostics import Diagnostic, ModelError, SolveError
from qsyncdsl.measure.means import MeanEvaluator
from qsyncdsl.measure.statistics import Behind
from qsyncdsl.measure.values import Distribution, Lifted, PhaseSpaceMap, maximum
from qsyncdsl.measure.variables import along_paths, amplitude, variables_only
from qsyncdsl.model import numbers, signature
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.evaluate import fail
from qsyncdsl.model.kinds import bare_measure
from qsyncdsl.model.types import Parameter, Scope
from qsyncdsl.model.values import Frame, ModeValue, VariableValue
from qsyncdsl.registry import Argument, Word, measures
from qsyncdsl.syntax import tree

# Functions of values that are arrays or distributions; the rest go through `numbers`.
_ARRAY_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": np.emath.sqrt,
    "exp": np.exp,
    "log": np.emath.log,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "abs": np.abs,
    "arg": np.angle,
    "real": np.real,
    "imag": np.imag,
    "conj": np.conj,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.round,
    "sign": np.sign,
}


# Words that take whole series.
_OF_SERIES = frozenset(
    {
        "timeaverage", "mean", "final", "fraction", "along", "argmax", "eigenenergies",
        "pair_energies",
        "residence_times", "winding", "phase_slips", "net_slips", "phase_diffusion", "jump_times",
        "jump_counts", "jump_records", "jump_rate", "jump_fano", "waiting_times", "jumps", "fixed_points",
        "fixed_point_eigenvalues", "period", "floquet_multipliers", "lyapunov_exponents",
        "classical_trajectory", "attractors", "locked",
    }
)  # fmt: skip

# Words whose argument is taken along each trajectory, or at each time, before they average.
_PATHS = {
    "along": "along",
    "timeaverage": "times",
    "final": "times",
    "fraction": "along",
    "winding": "along",
    "phase_slips": "along",
    "net_slips": "along",
    "phase_diffusion": "along",
    "residence_times": "along",
    "locked": "along",
    "mean": "along",
    "spectrum": "along",
    "var": "along",
}

# Arguments that count something, and those that are lengths.
_COUNTS, _LENGTHS = frozenset({"points", "starts"}), frozenset({"extent"})


class MeasureEvaluator(MeanEvaluator):
    """Evaluates measures of one point.

    Args:
        scenes: One scene, or one for each time of an evolution.
        measures: The measures of the experiment by name.
        located: Values found by `locate`, by name.
    """

    def __init__(
        self,
        environment: Environment,
        scenes: tuple[Any, ...],
        positions: Mapping[Any, int],
        measures: Mapping[str, tree.Measure],
        located: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(environment, scenes, positions)
        self.measures = measures
        self.located = located or {}
        self._known: dict[str, Any] = {}

    # ── names ────────────────────────────────────────────────────────────────────────────────

    def name(self, node: tree.Name, scope: Scope, frame: Frame) -> Any:
        """A measure, a located value, `time`, or what the model declares."""
        if node.key in frame.bindings:
            return frame.bindings[node.key]
        if node.key in self.measures:
            return self.measure(node.key)
        if node.key in self.located:
            self._looks += 1
            return self.located[node.key]
        if node.key == "time" and self.series:
            return self.time
        if node.key == "time" and self._paths and self.path_times is not None:
            return self.path_times.view(Lifted)
        if scope.find(node.key) is None and bare_measure(node.key):
            return self.word(tree.Call(node.span, node, ()), node.key, scope, frame)
        return super().name(node, scope, frame)

    def parameter(self, parameter: Parameter, index: tuple[int, ...]) -> Any:
        """The value of a parameter at this point."""
        return self.environment.value(parameter, index)

    def measure(self, name: str) -> Any:
        """The value of a measure; an indexed one is a dict from index to value."""
        self._looks += 1
        if name not in self._known:
            before = self._paths, self._as_series
            self._paths, self._as_series = "", False
            try:
                # 0/0 and the like at single times are gaps.
                with np.errstate(divide="ignore", invalid="ignore"):
                    self._known[name] = self._found(name)
            finally:
                self._paths, self._as_series = before
        return self._known[name]

    def _found(self, name: str) -> Any:
        request = self.measures[name]
        scope = self.environment.model.scope
        if request.place.arguments:
            return self._indexed(request, scope)
        value = self.evaluate(request.value, scope)
        if isinstance(value, VariableValue):
            value = self.variable(value, request.value)
        return self._number(value)

    def _indexed(self, request: tree.Measure, scope: Scope) -> dict[Any, Any]:
        binders = [a for a in request.place.arguments if isinstance(a, tree.Each)]
        if not binders:
            fail("E640", request.place, "an indexed measure is written S[h in 1..10]")
        found = {}
        for frame, _ in self.frames(binders, scope, Frame()):
            key = tuple(frame.bindings.values())
            found[key[0] if len(key) == 1 else key] = self._number(
                self.evaluate(request.value, scope, frame)
            )
        return found

    def _number(self, value: Any) -> Any:
        """Operators that are numbers become numbers; a bare operator is no measure."""
        if isinstance(value, Polynomial) and value.is_scalar:
            return numbers.simplify(value.scalar)
        if isinstance(value, complex):
            return numbers.simplify(value)
        return value

    def combine(self, node: tree.Binary, left: Any, right: Any) -> Any:
        """Lists from indexed measures go element by element."""
        left = tuple(left.values()) if isinstance(left, dict) else left
        right = tuple(right.values()) if isinstance(right, dict) else right
        if node.operator == "^" and not isinstance(left, ModeValue | Polynomial):
            return super(OperatorEvaluator, self).combine(node, left, right)
        return super().combine(node, left, right)

    # ── calls ────────────────────────────────────────────────────────────────────────────────

    def function(self, name: str, arguments: tuple[Any, ...], node: tree.Call) -> Any:
        """Functions of numbers, series and distributions."""
        values = tuple(
            tuple(x.values())
            if isinstance(x, dict)
            else self.variable(x, node)
            if isinstance(x, VariableValue)
            else x
            for x in arguments
        )
        if name in ("max", "min") and len(values) == 1:
            return self._extreme(name, values[0])
        if name in _ARRAY_FUNCTIONS:
            apply = _ARRAY_FUNCTIONS[name]
            if isinstance(values[0], Distribution | PhaseSpaceMap):
                return values[0].map(apply)
            if isinstance(values[0], np.ndarray):
                # an angle made by arg is wrapped
                plain = np.asarray(values[0]) if name == "arg" else values[0]
                return apply(plain)
        if isinstance(values[0], tuple) and any(
            isinstance(x, np.ndarray) for x in values[0]
        ):
            return tuple(self.function(name, (x,), node) for x in values[0])
        return super().function(name, tuple(_plain(x) for x in values), node)

    def _extreme(self, name: str, value: Any) -> Any:
        if isinstance(value, Distribution | PhaseSpaceMap):
            return maximum(value) if name == "max" else -maximum(-value)
        if isinstance(value, np.ndarray):
            return float(value.max() if name == "max" else value.min())
        return super().function(name, (value,), None)  # type: ignore[arg-type]

    def call(self, node: tree.Call, scope: Scope, frame: Frame) -> Any:
        """`S(3)`, `P(0)`, `W(0)` evaluate a measure; other calls as everywhere."""
        if isinstance(node.function, tree.Name) and node.function.key in self.measures:
            arguments = tuple(self.evaluate(a, scope, frame) for a in node.arguments)  # type: ignore[arg-type]
            return self._at_argument(self.measure(node.function.key), arguments, node)
        return super().call(node, scope, frame)

    def _at_argument(
        self, value: Any, arguments: tuple[Any, ...], node: tree.Call
    ) -> Any:
        """A measure that is a function, at given arguments."""
        if isinstance(value, Distribution | PhaseSpaceMap):
            if len(arguments) != 1:
                fail("E641", node, "this measure takes one argument")
            return value.at(_plain(arguments[0]))
        if isinstance(value, dict):
            key = tuple(self._integer(a, node) for a in arguments)
            single = key[0] if len(key) == 1 else key
            if single not in value:
                fail(
                    "E642",
                    node,
                    f"this measure has no value at {', '.join(map(str, key))}",
                )
            return value[single]
        for argument in arguments:
            k = self._integer(argument, node)
            if not isinstance(value, tuple | np.ndarray) or not 1 <= k <= len(value):
                fail("E642", node, f"this measure has no value number {k}")
            value = value[k - 1]
        return value

    def word(self, node: tree.Call, name: str, scope: Scope, frame: Frame) -> Any:
        """A measure of the registry, by its signature."""
        if name not in measures:
            fail("E302", node, f"'{name}' is neither a measure nor a function")
        word = measures[name]
        if not word.available:
            fail("E643", node, f"'{name}' is not implemented yet")
        given = signature.bind(word, node.arguments, node)
        self._looks += 1
        cycle = getattr(self.scenes[0], "cycle", None)
        if name == "timeaverage" and cycle is not None:
            return self._over_periods(cycle, given, scope, frame)
        behind = getattr(self.scenes[0], "parameters", {}).get("behind")
        if name in ("timeaverage", "final") and behind is not None:
            return self._in_time(name, behind, given, scope, frame)
        before = self._paths, self._as_series
        self._paths = _PATHS.get(name, "")
        self._as_series = self._as_series or name in _OF_SERIES
        try:
            return self._word(word, given, node, scope, frame)
        finally:
            self._paths, self._as_series = before

    def _in_time(
        self, name: str, behind: Behind, given: Any, scope: Scope, frame: Frame
    ) -> Any:
        """A mean over time, or the last value, where only a mean over a window is shown."""
        window = None
        if "window" in given:
            window = self.evaluate(given["window"], scope, frame)
        x = given["x"]
        mean = name == "timeaverage"
        if mean and isinstance(x, tree.Expectation) and behind.means(window):
            return self.evaluate(x, scope, frame)
        inside = MeasureEvaluator(
            self.environment,
            behind.scenes(),
            self.positions,
            self.measures,
            self.located,
        )
        series = np.asarray(inside.evaluate(x, scope, frame))
        if series.ndim == 0 or len(series) != len(behind.times):
            return series[()]
        return behind.average(series, window) if mean else behind.last(series)

    def _over_periods(self, cycle: Any, given: Any, scope: Scope, frame: Frame) -> Any:
        """The mean over time of a kicked or periodic model, from states inside its periods."""
        window = self.scenes[0].parameters.get("window")
        if "window" in given:
            window = self.evaluate(given["window"], scope, frame)
        inside = MeasureEvaluator(
            self.environment, cycle.scenes, self.positions, self.measures, self.located
        )
        series = np.asarray(inside.evaluate(given["x"], scope, frame))
        if series.ndim == 0 or len(series) != len(cycle.scenes):
            return series[()]
        return np.tensordot(cycle.weights(window), series, axes=1)[()]

    def _word(
        self, word: Word, given: Any, node: tree.Call, scope: Scope, frame: Frame
    ) -> Any:
        """A measure with its arguments."""
        name = word.name
        kinds = {argument.name: argument for argument in word.arguments}
        values = {
            key: tuple(self.argument(kinds[key], v, scope, frame) for v in value)
            if isinstance(value, tuple)
            else self.argument(kinds[key], value, scope, frame)
            for key, value in given.items()
        }
        function = word.load()
        try:
            if name == "argmax":
                return function(*values.values())
            if not self.series or word.name in _OF_SERIES:
                return signature.call(function, (self.scenes[0],), word, values)
            if self.whole and getattr(function, "of_whole_runs", False):
                parts = [
                    signature.call(function, (s,), word, values) for s in self.whole
                ]
                return self.mean(np.concatenate(parts))
            last = signature.call(function, (self.scenes[-1],), word, values)
            if isinstance(last, Distribution | PhaseSpaceMap):
                return last
            count = len(self.scenes)
            each = [_at_time(values, k, count) for k in range(count)]
            found = [
                last
                if own is values and scene is self.scenes[-1]
                else signature.call(function, (scene,), word, own)
                for scene, own in zip(self.scenes, each, strict=True)
            ]
            return self.mean(np.array(found))
        except SolveError as fault:
            d = fault.diagnostic
            raise ModelError(
                [Diagnostic(d.code, d.message, node.span, d.label, d.notes, d.help)]
            ) from None

    def argument(
        self, argument: Argument, node: tree.Expr, scope: Scope, frame: Frame
    ) -> Any:
        """One argument, as its kind asks."""
        if argument.kind == "word":
            chosen = getattr(node, "key", "")
            if chosen not in argument.words:
                fail("E234", node, f"{argument.name} is {' or '.join(argument.words)}")
            return chosen
        if argument.kind == "state":
            return self._product_state(node, scope, frame)
        if argument.kind == "syntax":
            return node, scope, self.environment
        if argument.kind == "rerun":
            return self._rerun(node, scope, frame)
        if argument.kind == "operator" and not argument.many:
            operator, _ = self.operator(node, node, scope, frame)
            if isinstance(operator, Polynomial | np.ndarray):
                return operator
            return self.space.scalar(operator)
        value = self.evaluate(node, scope, frame)
        if argument.kind == "subsystem" and variables_only(value):
            return self._amplitudes(value, node)
        if argument.kind in ("mode", "subsystem"):
            return self._subsystem(argument, value, node)
        if isinstance(value, VariableValue):
            value = self.variable(value, node)
        elif isinstance(value, tuple) and value and variables_only(value):
            value = tuple(self.variable(item, node) for item in value)
        if argument.kind == "operator":
            if argument.many and isinstance(value, tuple):
                return tuple(self._part(v, node) for v in value)
            if argument.many and isinstance(value, ModeValue):
                return self._part(value, node)
            operator = self.operand(value, node)
            if isinstance(operator, Polynomial | np.ndarray):
                return operator
            return self.space.scalar(operator)
        return self._numerical(argument, value, node)

    def _numerical(self, argument: Argument, value: Any, node: tree.Expr) -> Any:
        """A number or a list of numbers, as the argument takes them."""
        if argument.kind == "integer":
            number = self._integer(value, node)
            if number < 1 and argument.name in _COUNTS:
                fail("E642", node, f"'{argument.name}' must be at least 1")
            return number
        if argument.kind == "real":
            return _real(argument.name, _plain(value), node)
        if argument.kind == "list":
            listed = value if hasattr(value, "__iter__") else (value,)
            listed = tuple(_real(argument.name, _plain(x), node) for x in listed)
            if not listed:
                fail("E642", node, f"'{argument.name}' is an empty list")
            return listed
        return _plain(value)

    def _amplitudes(self, value: Any, node: tree.Expr) -> np.ndarray:
        """Variables as complex amplitudes, shape (n, R, T)."""
        items = value if isinstance(value, tuple) else (value,)
        return np.array(
            [
                amplitude(
                    item.variable.kind,
                    along_paths(self.scenes[:1], item, self.row_of(item), node),
                )
                for item in items
            ]
        )

    def _rerun(self, node: tree.Expr, scope: Scope, frame: Frame) -> Callable[..., Any]:
        """An expression as a function of the scenes of another run; of this one without any."""
        paths = self._paths

        def value(scenes: tuple[Any, ...] = ()) -> Any:
            inner = MeasureEvaluator(
                self.environment, scenes or self.scenes, self.positions, self.measures
            )
            if paths:
                inner._paths, inner._as_series = paths, True
            found = inner.evaluate(node, scope, frame)
            if isinstance(found, VariableValue):
                found = inner.variable(found, node)
            return found

        return value

    def _product_state(self, node: tree.Expr, scope: Scope, frame: Frame) -> np.ndarray:
        """A named state on every mode, or a list with one for each, as a density matrix."""
        if not hasattr(self.scenes[0].state, "dims"):
            fail("E611", node, "fidelity needs a density matrix; this method has none")
        parts = [m for m in self.space.modes if m.ensemble is None]
        nodes = (
            node.items
            if isinstance(node, tree.List | tree.Tuple)
            else (node,) * len(parts)
        )
        if len(nodes) != len(parts):
            fail("E645", node, f"{len(parts)} states are needed, one for each mode")
        modes = {position: key for key, position in self.positions.items()}
        values = [
            ModeValue(self.environment.model.modes[modes[k][0]], modes[k][1])
            for k in range(len(parts))
        ]
        factors = [
            single(self, v, n, scope, frame) for v, n in zip(values, nodes, strict=True)
        ]
        state = product(factors)
        return state if state.ndim == 2 else np.outer(state, state.conj())

    def _subsystem(self, argument: Argument, value: Any, node: tree.Expr) -> Any:
        """Position of a mode, or the positions of several."""
        if argument.kind == "mode":
            return self._part(value, node)
        items = value if isinstance(value, tuple) else (value,)
        return tuple(self._part(item, node) for item in items)

    def _part(self, value: Any, node: tree.Expr) -> int:
        if not isinstance(value, ModeValue):
            fail("E644", node, "a mode is expected here")
        position = self._place(value, node)
        if position >= len(self.scenes[0].state.parts):
            fail("E644", node, f"'{value.label}' is not a part of this state")
        return position


def _at_time(values: dict[str, Any], place: int, count: int) -> dict[str, Any]:
    """Arguments at one of the times: of values along trajectories, shape (R, T), one column."""
    along = {
        key: value[:, place : place + 1]
        for key, value in values.items()
        if isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[1] == count
    }
    return {**values, **along} if along else values


def _plain(value: Any) -> Any:
    """numpy scalars and scalar operators as Python numbers."""
    if isinstance(value, Polynomial):
        return numbers.simplify(value.scalar) if value.is_scalar else value
    return value.item() if isinstance(value, np.generic) else value


def _real(name: str, value: Any, node: tree.Expr) -> float:
    """A finite real argument."""
    number = complex(value) if isinstance(value, int | float | complex) else None
    if number is None or number.imag or not np.isfinite(number.real):
        fail("E642", node, f"'{name}' must be a finite real number")
    if name in _LENGTHS and number.real <= 0:
        fail("E642", node, f"'{name}' must be positive")
    return value if isinstance(value, int) else number.real
