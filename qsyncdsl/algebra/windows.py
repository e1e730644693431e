"""The basis of rotors in windows that have moved, and initial states in them."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.operators import Space
from qsyncdsl.algebra.states import chosen_states, initial_state, named_state
from qsyncdsl.model import types
from qsyncdsl.model.rotors import Place, Window, window
from qsyncdsl.model.values import Frame, ModeValue
from qsyncdsl.syntax import tree


@dataclass(frozen=True, slots=True)
class PlacedStart:
    """An initial state, a vector or a density matrix, in a window of the basis."""

    data: np.ndarray = field(repr=False)
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
    kept = [m for m in evaluator.space.modes if m.ensemble is None]
    centers = [0] * len(kept)
    initials = tuple(initials)
    if moving:
        for position, label in chosen_states(evaluator, initials, _label).items():
            centers[position] = label
    place = Place(tuple(centers), (0.0,) * len(kept))
    there = copy(evaluator)
    there.space = space_at(evaluator.space, place)
    state = initial_state(there, initials, default)
    return None if state is None else PlacedStart(state, place)


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
