"""Measures as the file writes them: expressions over `<...>` and functionals of a state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.operators import Polynomial
from qsyncdsl.algebra.states import product, single
from qsyncdsl.diagnostics import Diagnostic, ModelError, SolveError
from qsyncdsl.measure.ensemble import sampled
from qsyncdsl.measure.rotors import turning
from qsyncdsl.measure.statistics import Behind, weighted
from qsyncdsl.measure.trajectories import jumping
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


class MeasureEvaluator(OperatorEvaluator):
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
        super().__init__(environment, scenes[0].space, positions)
        self.scenes = scenes
        self.series = getattr(scenes[0].result, "times", None) is not None
        self.time = scenes[0].result.times if self.series else None  # type: ignore[assignment]
        self.measures = measures
        self.located = located or {}
        self._known: dict[str, Any] = {}
        self._paths = ""
        # times over which values are averaged unless a measure takes them as a series
        self._averaged = getattr(scenes[0], "averaged", None) if self.series else None
        self._as_series = False
        self._in_mean = False
        # what was read of the state so far
        self._looks = 0

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
            value = self._variable(value, request.value)
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

    @property
    def path_times(self) -> np.ndarray | None:
        """Times along trajectories, where there are any."""
        scene = self.scenes[0]
        return np.asarray(scene.times) if _on_paths(scene) else None

    def _number(self, value: Any) -> Any:
        """Operators that are numbers become numbers; a bare operator is no measure."""
        if isinstance(value, Polynomial) and value.is_scalar:
            return numbers.simplify(value.scalar)
        if isinstance(value, complex):
            return numbers.simplify(value)
        return value

    # ── expectation values ───────────────────────────────────────────────────────────────────

    def expectation(self, node: tree.Expectation, scope: Scope, frame: Frame) -> Any:
        """<O>: a number, or a series in time."""
        operator, hermitian = self._observable(node, scope, frame)
        self._looks += 1
        if isinstance(operator, np.ndarray) and operator.ndim == 2:
            return self._mean_of_paths(operator)
        if not isinstance(operator, Polynomial):
            return operator
        if self._paths and _on_paths(self.scenes[0]):
            return self._on_paths(operator)
        values = [scene.expect(operator) for scene in self.scenes]
        if self.series:
            found = np.array(values)
            return self._mean(found.real if operator.is_hermitian() else found)
        return values[0].real if hermitian else values[0]

    def _observable(
        self, node: tree.Expectation, scope: Scope, frame: Frame
    ) -> tuple[Any, bool]:
        """The operator of an expectation value and whether it is Hermitian.

        One that depends on no parameter and on no state is evaluated once for all points of a sweep.
        """
        before, self._in_mean = self._in_mean, True
        try:
            return self._operator(node, node.operand, scope, frame)
        finally:
            self._in_mean = before

    def _operator(
        self, key: tree.Expr, node: tree.Expr, scope: Scope, frame: Frame
    ) -> tuple[Any, bool]:
        """The operator that is written in some place, and whether it is Hermitian."""
        shared = getattr(self.scenes[0], "matrices", None)
        place = ("observable", id(key))
        if shared is not None and place in shared and not frame.bindings:
            return shared[place][:2]  # type: ignore[no-any-return]
        looks = self._looks
        with self.environment.recording() as reads:
            value = self.evaluate(node, scope, frame)
            operator = self.operand(value, node)
        hermitian = isinstance(operator, Polynomial) and _hermitian(operator)
        plain = isinstance(operator, Polynomial) and not (
            reads or frame.bindings or self.series or self._looks > looks
        )
        if shared is not None and plain:
            # the node is kept for its id
            shared[place] = (operator, hermitian, key)
        return operator, hermitian

    def _mean_of_paths(self, values: np.ndarray) -> Any:
        """The mean of a function of variables: over all, at each time, or of each path itself."""
        if self._in_mean or self._paths == "along":
            return values
        if self._paths:
            return values.mean(axis=0)
        found = np.asarray(values)
        return self._mean(found.mean(axis=0)) if self.series else found.mean().item()

    def _variable(self, value: VariableValue, node: tree.Expr) -> np.ndarray:
        """A variable along the trajectories, where that is asked for."""
        if not (self._in_mean or self._paths):
            written = value.variable.written
            fail(
                "E647",
                node,
                f"'{written}' has many values: one for each time and trajectory",
                help=f"write <{written}>, along({written}) or final({written})",
            )
        row = self._row_of(value)
        return along_paths(self.scenes, value, row, node)

    def _row_of(self, value: VariableValue) -> int:
        sites = self.environment.sites(value.variable.index)
        return next((k for k, site in enumerate(sites) if site == value.site), 0)

    def _mean(self, series: np.ndarray) -> Any:
        """A series in time, or its mean where only that is asked for."""
        if self._averaged is None or self._as_series:
            return series
        return weighted(self._averaged, series)

    def _on_paths(self, operator: Polynomial) -> np.ndarray:
        """<O> in the state of each trajectory, shape (R, T), or its mean at each time."""
        if self.series:
            found = np.concatenate([s.values(operator) for s in self.scenes], axis=1)
        else:
            found = self.scenes[0].values(operator)
        found = found.real if operator.is_hermitian() else found
        return found if self._paths == "along" else found.mean(axis=0)

    def operand(self, value: Any, node: tree.Expr) -> Any:
        """Functions and series enter arithmetic as they are."""
        if isinstance(value, VariableValue):
            return self._variable(value, node)
        if isinstance(value, Distribution | PhaseSpaceMap | np.ndarray | dict):
            return tuple(value.values()) if isinstance(value, dict) else value
        return super().operand(value, node)

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
            else self._variable(x, node)
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
            return self._mean(np.array(found))
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
            operator, _ = self._operator(node, node, scope, frame)
            if isinstance(operator, Polynomial | np.ndarray):
                return operator
            return self.space.scalar(operator)
        value = self.evaluate(node, scope, frame)
        if argument.kind == "subsystem" and variables_only(value):
            return self._amplitudes(value, node)
        if argument.kind in ("mode", "subsystem"):
            return self._subsystem(argument, value, node)
        if isinstance(value, VariableValue):
            value = self._variable(value, node)
        elif isinstance(value, tuple) and value and variables_only(value):
            value = tuple(self._variable(item, node) for item in value)
        if argument.kind == "operator":
            if argument.many and isinstance(value, tuple):
                return tuple(self._part(v, node) for v in value)
            if argument.many and isinstance(value, ModeValue):
                return self._part(value, node)
            operator = self.operand(value, node)
            if isinstance(operator, Polynomial | np.ndarray):
                return operator
            return self.space.scalar(operator)
        if argument.kind == "integer":
            return self._integer(value, node)
        return _plain(value)

    def _amplitudes(self, value: Any, node: tree.Expr) -> np.ndarray:
        """Variables as complex amplitudes, shape (n, R, T)."""
        items = value if isinstance(value, tuple) else (value,)
        return np.array(
            [
                amplitude(
                    item.variable.kind,
                    along_paths(self.scenes[:1], item, self._row_of(item), node),
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
                found = inner._variable(found, node)
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


def _at_time(values: dict[str, Any], place: int, count: int) -> dict[str, Any]:
    """Arguments at one of the times: of values along trajectories, shape (R, T), one column."""
    along = {
        key: value[:, place : place + 1]
        for key, value in values.items()
        if isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[1] == count
    }
    return {**values, **along} if along else values


def _on_paths(scene: Any) -> bool:
    """Whether there are trajectories to take values along."""
    return sampled(scene) or jumping(scene) or turning(scene)


def _hermitian(operator: Polynomial) -> bool:
    return operator.is_hermitian()


def _plain(value: Any) -> Any:
    """numpy scalars and scalar operators as Python numbers."""
    if isinstance(value, Polynomial):
        return numbers.simplify(value.scalar) if value.is_scalar else value
    return value.item() if isinstance(value, np.generic) else value
