"""The basis of rotors in windows that have moved, and initial states in them."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.operators import Space
from qsyncdsl.algebra.states import (
    chosen_states,
    initial_factors,
    initial_state,
    named_state,
)
from qsyncdsl.model import types
from qsyncdsl.model.rotors import Place, Window, window
from qsyncdsl.model.values import Frame, ModeValue
from qsyncdsl.syntax import tree


@dataclass(frozen=True, slots=True)
class PlacedStart:
    """An initial state in a window of the basis: a vector, a density matrix, or one for each mode."""

    data: Any = field(repr=False)
    place: Place


def space_at(space: Space, place: Place) -> Space:
    """The modes with their rotors in other windows."""
    modes = list(space.modes)
    kept = [k for k, mode in enumerate(modes) if mode.ensemble is None]
    for k, center, beta in zip(kept, place.centers, place.beta, strict=True):
        if modes[k].kind.name == "rotor":
            nmax = window(modes[k].size).nmax
            modes[k] = replace(modes[k], size=Window(nmax, center, beta))
    return Space(tuple(modes), space.ring)


def placed_state(
    evaluator: OperatorEvaluator,
    initials: Iterable[types.Initial],
    default: bool,
    moving: bool,
) -> PlacedStart | None:
    """The initial state; where windows move, those of rotors begin around their packets.

    Raises:
        ModelError: E340 for a state that does not fit its mode.
    """
    initials = tuple(initials)
    place, there = _around_packets(evaluator, initials if moving else ())
    state = initial_state(there, initials, default)
    return None if state is None else PlacedStart(state, place)


def placed_factors(
    evaluator: OperatorEvaluator, initials: Iterable[types.Initial]
) -> PlacedStart:
    """The initial state of every mode, in windows around the packets of rotors.

    Raises:
        ModelError: E340 for a state that does not fit its mode.
    """
    initials = tuple(initials)
    place, there = _around_packets(evaluator, initials)
    factors = initial_factors(there, initials)
    modes = there.space.modes
    kept = [f for f, m in zip(factors, modes, strict=True) if m.ensemble is None]
    return PlacedStart(tuple(kept), place)


def _around_packets(
    evaluator: OperatorEvaluator, initials: Iterable[types.Initial]
) -> tuple[Place, OperatorEvaluator]:
    """Windows in the middle of which packets lie, and the operators there."""
    kept = [m for m in evaluator.space.modes if m.ensemble is None]
    centers = [0] * len(kept)
    for position, label in chosen_states(evaluator, initials, _label).items():
        centers[position] = label
    place = Place(tuple(centers), (0.0,) * len(kept))
    there = copy(evaluator)
    there.space = space_at(evaluator.space, place)
    return place, there


def packet_means(
    evaluator: OperatorEvaluator, initials: Iterable[types.Initial]
) -> np.ndarray:
    """Angles, then momenta, of the initial packets of all rotors; 0 where none is given."""
    count = len(evaluator.space.modes)
    found = np.zeros(2 * count)
    for position, (x, p) in chosen_states(evaluator, initials, _means).items():
        found[position], found[count + position] = x, p
    return found


def _means(
    evaluator: OperatorEvaluator,
    value: ModeValue,
    node: tree.Expr,
    scope: types.Scope,
    frame: Frame,
) -> tuple[float, float]:
    """Angle and momentum of a rotor's initial state."""
    name, numbers = named_state(evaluator, node, scope, frame)
    if name == "coherent":
        return _real(numbers.get("x", 0.0)), _real(numbers.get("p", 0.0))
    return 0.0, _real(evaluator.hbar()) * int(numbers.get("n", 0))


def _label(
    evaluator: OperatorEvaluator,
    value: ModeValue,
    node: tree.Expr,
    scope: types.Scope,
    frame: Frame,
) -> int:
    """The label in the middle of a rotor's initial state."""
    mode = evaluator.space.modes[evaluator.position_of(value)]
    name, numbers = named_state(evaluator, node, scope, frame)
    if mode.kind.name != "rotor":
        return 0
    if name == "coherent":
        return round(float(np.real(numbers.get("p", 0.0))) / _real(evaluator.hbar()))
    return int(numbers.get("n", 0))


def _real(value: Any) -> float:
    return float(np.real(complex(value)))
