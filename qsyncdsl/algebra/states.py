"""Initial states of a model: products of named states of its modes, as methods take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from math import factorial, perm
from typing import Any

import numpy as np

from qsyncdsl.algebra.mode_states import NoRoom, vacuum
from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.operators import SystemMode
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model import signature, types
from qsyncdsl.model.evaluate import fail
from qsyncdsl.model.values import Frame, ModeValue
from qsyncdsl.registry import states
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import bound_keys


class DoesNotFit(ModelError):
    """E340 for a state that needs more levels."""


def _refusal(reason: Exception, *place: Any) -> ModelError:
    """E340."""
    kind = DoesNotFit if isinstance(reason, NoRoom) else ModelError
    return kind([Diagnostic("E340", f"{reason}", *place)])


def initial_state(
    evaluator: OperatorEvaluator,
    initials: Iterable[types.Initial],
    default: bool = True,
) -> np.ndarray | None:
    """The product state that `initial` statements give; modes not named are in the vacuum.

    The last statement about a mode holds. A vector if all factors are pure, else a matrix; None if
    nothing is given and `default` is off.

    Raises:
        ModelError: E340 for a state that does not fit its mode.
    """
    chosen = chosen_states(evaluator, initials, single)
    if not chosen and not default:
        return None
    try:
        factors = [
            chosen[k] if k in chosen else _on_levels(mode, vacuum)
            for k, mode in enumerate(evaluator.space.modes)
            if mode.ensemble is None
        ]
    except ValueError as reason:
        raise _refusal(reason) from None
    return product(factors)


def _on_levels(
    mode: SystemMode, make: Callable[[SystemMode], np.ndarray]
) -> np.ndarray:
    """A state on the levels that are kept: those about the center of the mode, if it has one."""
    if not mode.center:
        return make(mode)
    from qsyncdsl.algebra.displaced import framed_state

    return framed_state(mode, make)


def initial_factors(
    evaluator: OperatorEvaluator, initials: Iterable[types.Initial]
) -> tuple[np.ndarray, ...]:
    """The factors of the initial product state, a vector or matrix for each mode of the space.

    Raises:
        ModelError: E340 for a state that does not fit its mode.
    """
    chosen = chosen_states(evaluator, initials, single)
    default: dict[Any, np.ndarray] = {}
    found = []
    for k, mode in enumerate(evaluator.space.modes):
        if k not in chosen and (mode.kind.name, mode.dimension) not in default:
            default[mode.kind.name, mode.dimension] = vacuum(mode)
        found.append(
            chosen[k] if k in chosen else default[mode.kind.name, mode.dimension]
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Law:
    """The initial state of one mode, as far as moments need it.

    Attributes:
        name: `coherent`, `thermal` or `fock` for bosons; empty for finitely many levels.
        value: The amplitude, the mean number, or the level.
        rho: Density matrix of a mode with finitely many levels.
    """

    name: str
    value: complex = 0.0
    rho: np.ndarray | None = None

    def moment(self, word: Any) -> complex:
        """Mean of a word of the mode."""
        if self.rho is not None:
            if word == ("Z",):
                return complex(self.rho[1, 1] - self.rho[0, 0])
            return complex(self.rho[word[2], word[1]])
        _, p, q = word
        if self.name == "coherent":
            return complex(np.conj(self.value) ** p * self.value**q)
        if p != q:
            return 0j
        n = float(np.real(self.value))
        if self.name == "thermal":
            return complex(factorial(p) * n**p)
        return complex(perm(round(n), p))


def initial_laws(
    evaluator: OperatorEvaluator, initials: Iterable[types.Initial], order: int
) -> tuple[Law, ...]:
    """The initial state of every mode that moments are written in: ensembles as their atoms.

    Raises:
        ModelError: E340 for a state without moments.
    """
    chosen = chosen_states(evaluator, initials, _law)
    plain, atoms = [], []
    for position, mode in enumerate(evaluator.space.modes):
        if mode.kind.name == "ensemble":
            lowest = Law("", rho=np.diag([1.0, 0.0]).astype(complex))
            atoms += [chosen.get(position, lowest)] * (2 * order + 4)
        elif mode.ensemble is None:
            ground = (
                Law("coherent")
                if mode.kind.name == "boson"
                else Law("", rho=_matrix(vacuum(mode)))
            )
            plain.append(chosen.get(position, ground))
    return (*plain, *atoms)


def _law(
    evaluator: OperatorEvaluator,
    value: ModeValue,
    node: tree.Expr,
    scope: types.Scope,
    frame: Frame,
) -> Law:
    mode = evaluator.space.modes[evaluator.position_of(value)]
    name, numbers = named_state(evaluator, node, scope, frame)
    if mode.kind.name == "boson" and name in ("vacuum", "coherent", "thermal", "fock"):
        value_of = numbers.get("alpha", numbers.get("n", 0.0))
        return Law("coherent" if name == "vacuum" else name, value_of)
    if mode.kind.name == "ensemble" and name in ("up", "down", "vacuum"):
        top = name == "up"
        return Law("", rho=np.diag([1.0 - top, 0.0 + top]).astype(complex))
    if mode.kind.name in ("boson", "ensemble"):
        fail("E340", node, f"'{name}' gives no moments of this mode")
    return Law("", rho=_matrix(single(evaluator, value, node, scope, frame)))


def _matrix(state: np.ndarray) -> np.ndarray:
    return state if state.ndim == 2 else np.outer(state, state.conj())


def initial_fields(
    evaluator: OperatorEvaluator, initials: Iterable[types.Initial], count: int
) -> np.ndarray:
    """Means and variances of the Wigner function of the initial state, shape (2, count).

    The variance is E|alpha - mean|^2: 1/2 for coherent states, n + 1/2 for thermal ones.

    Raises:
        ModelError: E340 for a state whose Wigner function is not a Gaussian disc.
    """
    found = np.empty((2, count), dtype=complex)
    found[0], found[1] = 0.0, 0.5
    for position, (mean, variance) in chosen_states(evaluator, initials, _disc).items():
        found[:, position] = mean, variance
    return found


def chosen_states(
    evaluator: OperatorEvaluator, initials: Iterable[types.Initial], make: Any
) -> dict[int, Any]:
    """What `initial` statements give to each mode; the last one holds, the others are not made.

    Modes that are alike and given the same by one statement share what is made.
    """
    chosen = {
        position: state
        for statement in initials
        for position, state in _assignments(evaluator, statement, make)
    }
    found, known = {}, {}
    for position, state in chosen.items():
        mode = evaluator.space.modes[position]
        _, _, node, scope, frame = state.args
        names = tuple(frame.bindings.items())
        key = (mode.kind.name, mode.size, id(node), scope.path, frame.instance, names)
        if key not in known:
            known[key] = state()
        found[position] = known[key]
    return found


def _disc(
    evaluator: OperatorEvaluator,
    value: ModeValue,
    node: tree.Expr,
    scope: types.Scope,
    frame: Frame,
) -> tuple[complex, float]:
    """Mean and variance of the Wigner function of a named state."""
    name, numbers = named_state(evaluator, node, scope, frame)
    if name == "vacuum":
        return 0.0, 0.5
    if name == "coherent":
        return complex(numbers.get("alpha", 0.0)), 0.5
    if name == "thermal" and numbers["n"] >= 0:
        return 0.0, float(numbers["n"]) + 0.5
    fail(
        "E340",
        node,
        f"no samples can be drawn from the Wigner function of '{name}'",
        help="trajectories start from vacuum, coherent(alpha) or thermal(n)",
    )


def product(factors: list[np.ndarray]) -> np.ndarray:
    """Tensor product of vectors and matrices, the first factor varying slowest."""
    if any(f.ndim == 2 for f in factors):
        factors = [f if f.ndim == 2 else np.outer(f, f.conj()) for f in factors]
    total = factors[0]
    for factor in factors[1:]:
        total = np.kron(total, factor)
    return total


def _assignments(
    evaluator: OperatorEvaluator, statement: types.Initial, make: Any
) -> Iterable[tuple[int, Any]]:
    """The modes of a statement with what makes their states."""
    for instance in evaluator.environment.sites(statement.replicas):
        for place in statement.places:
            names = place.names if isinstance(place, tree.Group) else (place.name,)
            arguments = () if isinstance(place, tree.Group) else place.arguments
            for name in names:
                yield from _one(
                    evaluator, statement, name, arguments, Frame({}, instance), make
                )


def _one(
    evaluator: OperatorEvaluator,
    statement: types.Initial,
    name: tree.Name,
    arguments: tuple[tree.Argument, ...],
    frame: Frame,
    make: Any,
) -> Iterable[tuple[int, Any]]:
    value = evaluator.evaluate(name, statement.scope, frame)
    if not isinstance(value, ModeValue):
        return
    if not value.missing:
        yield (
            evaluator.position_of(value),
            partial(make, evaluator, value, statement.value, statement.scope, frame),
        )
        return
    for site in evaluator.environment.sites(value.mode.index, value.site):
        mode = ModeValue(value.mode, site)
        inner = bound_frame(
            evaluator, statement, arguments, site[len(value.site) :], frame
        )
        if inner is not None:
            yield (
                evaluator.position_of(mode),
                partial(make, evaluator, mode, statement.value, statement.scope, inner),
            )


def bound_frame(
    evaluator: OperatorEvaluator,
    statement: types.Initial,
    arguments: tuple[tree.Argument, ...],
    site: tuple[int, ...],
    frame: Frame,
) -> Frame | None:
    """The frame of one site; None where the statement does not mean it."""
    for argument, number in zip(arguments, site, strict=False):
        if isinstance(argument, tree.Each):
            frame = frame.bind(bound_keys(argument.pattern), number)
            condition = argument.condition
            if condition is not None and not evaluator.position(
                condition, statement.scope, frame
            ):
                return None
        elif not isinstance(argument, tree.Option):
            wanted = evaluator.position(argument, statement.scope, frame)
            if isinstance(wanted, int | float) and wanted != number:
                return None
    return frame


def single(
    evaluator: OperatorEvaluator,
    value: ModeValue,
    node: tree.Expr,
    scope: types.Scope,
    frame: Frame,
) -> np.ndarray:
    """A named state of one mode.

    Raises:
        ModelError: E340.
    """
    mode = evaluator.space.modes[evaluator.position_of(value)]
    name, numbers = named_state(evaluator, node, scope, frame)
    word = states[name]
    function = word.load()
    if mode.kind.name == "rotor" and name == "coherent":
        function = partial(function, hbar=float(evaluator.hbar()))
    try:
        return _on_levels(
            mode, lambda whole: signature.call(function, (whole,), word, numbers)
        )
    except (ValueError, TypeError, IndexError) as reason:
        raise _refusal(reason, node.span) from None


def named_state(
    evaluator: OperatorEvaluator, node: tree.Expr, scope: types.Scope, frame: Frame
) -> tuple[str, dict[str, Any]]:
    """The word of a state and its arguments as numbers."""
    call = node if isinstance(node, tree.Call) else None
    name = node.function if call is not None else node  # type: ignore[union-attr]
    if not isinstance(name, tree.Name) or name.key not in states:
        fail(
            "E340", node, "this is not a state", help=f"states are {', '.join(states)}"
        )
    word = states[name.key]
    given = signature.bind(word, call.arguments if call else (), node)
    numbers = {
        key: evaluator.environment.numbers.evaluate(v, scope, frame)  # type: ignore[arg-type]
        for key, v in given.items()
    }
    return name.key, numbers
