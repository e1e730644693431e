"""What a method of the language consists of: lowering, solver, and what is measured of its result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from qsyncdsl.algebra.build import build
from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.operators import Space
from qsyncdsl.algebra.states import initial_state
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.types import Model
from qsyncdsl.problem import Lowered


@dataclass(frozen=True, slots=True)
class Keeping:
    """How the results of a method are kept.

    Attributes:
        arrays: A result as arrays by name; None for one that is rather solved again.
        result: From a solver, a point, these arrays and the trust numbers to the result.
    """

    arrays: Callable[[Any], Mapping[str, np.ndarray] | None]
    result: Callable[[Any, Any, Mapping[str, np.ndarray], Any], Any]


@dataclass(frozen=True, slots=True)
class Closure:
    """Equations that leave out less, or something else.

    Attributes:
        options: What to change of the options of a line; None for one that is left out.
        word: What they are, for the reader.
        name: How the numbers are called.
        points: Points of a line at which they are solved.
    """

    options: Mapping[str, Any]
    word: str
    name: str = "closure_difference"
    points: int = 1


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the language.

    Attributes:
        lower: From a system and the options to a problem.
        solver: From a problem and the options to an object with `solve(point)`.
        scenes: What is measured: one scene, or one for each time.
        times: The grid of times that the options ask for, or None.
        build: From a model to the system that `lower` takes.
        start: The initial state, given the initial statements, the problem and the options; None where
            none is given and none is needed.
        replicas: Parts of the result to find errors of measures from.
        ending: From a result to what the next point starts from, where points follow one another;
            None where the start is of no account.
        guess: From a result to what helps to find the same state with more levels, if anything does.
        keeping: How `keep states` keeps its results; None where they are solved again.
        variables: Whether it solves typed equations of motion.
        grows: Whether bosons without a number of levels get as many as they need.
        probe: What stands for the result while it is found out what measures need; None where the
            result holds the whole state.
        together: How many points are best solved together, by `solve_many(points)` of the solver.
        populations: Populations of the levels of every boson, by label, the largest over times;
            None for methods without cutoffs.
        kicks: Whether it applies kicks.
        truncates: Whether its samples leave out terms of the Wigner equation.
        closure: From a problem and the options to another closure; or to None, where there is none that is cheap.
        integrates: Whether a run in time is an integration in steps without noise.
        realizations: Options that say how many realizations there are, for methods that consist of
            them: their solvers `begin(point)`, and the realizations are then done in stretches.
    """

    lower: Callable[[Any, str, Mapping[str, Any]], Lowered]
    solver: Callable[[Any, Mapping[str, Any]], Any]
    scenes: Callable[[Any, Stage], tuple[Any, ...]]
    times: Callable[[Mapping[str, Any]], np.ndarray | None] = lambda options: None
    build: Callable[[Model, Environment], Any] = build
    start: Callable[[OperatorEvaluator, Any, Any, Mapping[str, Any]], Any] = (
        lambda evaluator, initials, problem, options: initial_state(
            evaluator, initials, grid(options) is not None
        )
    )
    replicas: Callable[[Any, Stage], Replicas | None] = lambda result, stage: None
    ending: Callable[[Any], Mapping[str, np.ndarray]] | None = None
    guess: Callable[[Any], Mapping[str, np.ndarray] | None] = lambda result: None
    keeping: Keeping | None = None
    variables: bool = False
    grows: bool = False
    probe: Callable[[Any, Mapping[str, Any]], Any] | None = None
    together: int = 1
    populations: Callable[[Any], Mapping[str, np.ndarray]] | None = None
    kicks: bool = False
    truncates: bool = False
    closure: Callable[[Any, Mapping[str, Any]], Closure | None] = (
        lambda problem, options: None
    )
    integrates: bool = False
    realizations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """What scenes share at one point."""

    space: Space
    matrices: dict[Any, Any]
    hbar: float
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Replicas:
    """Scenes to find errors from.

    Attributes:
        blocks: The result without one part after the other, for the jackknife; made one by one,
            since each is nearly as large as the result.
        pairs: The same realizations with the step and with twice the step: all of them, then groups of a series.
        in_time: Whether the blocks are of time, one after the other, rather than independent.
        pieces: Short stretches of time, one after the other.
        singles: Single samples, picked at random.
        span: Length of all records together.
    """

    blocks: Iterable[tuple[Any, ...]] = ()
    pairs: tuple[tuple[tuple[Any, ...], tuple[Any, ...]], ...] = ()
    in_time: bool = False
    pieces: Iterable[tuple[Any, ...]] = ()
    singles: Iterable[tuple[Any, ...]] = ()
    span: float = 0.0


# Number of times between the start and `time`, where only the end of the run is asked for.
_STEPS = 400
# Density matrices that are kept for an accuracy, in units of that.
_FINEST = 16


def grid(options: Mapping[str, Any]) -> np.ndarray | None:
    """`times = grid`, or a grid up to `time = T`; `fineness` says how many times finer than others."""
    if "times" in options:
        given = options["times"]
        listed = tuple(given) if hasattr(given, "__iter__") else given
        return np.atleast_1d(np.asarray(listed, dtype=float))
    if "time" in options:
        steps = _STEPS * min(int(options.get("fineness", 1)), _FINEST)
        return np.linspace(0.0, float(options["time"]), steps + 1)
    return None


def lowering(target: str) -> Callable[..., Lowered]:
    """The function `"module:name"`, imported when it is called: a problem that is kept needs no SymPy."""
    module, _, name = target.partition(":")

    def lower(*arguments: Any) -> Lowered:
        found: Lowered = getattr(import_module(module), name)(*arguments)
        return found

    return lower


def plain(lower: Callable[..., Lowered]) -> Callable[..., Lowered]:
    """A lowering without choices."""
    return lambda system, title, options: lower(system, title)
