"""In which frame the levels of bosons are kept at a point: `frame = automatic | vacuum | displaced`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model.environment import Environment
from qsyncdsl.registry import methods
from qsyncdsl.result import Trust
from qsyncdsl.run import cutoffs
from qsyncdsl.run.methods.entry import Method
from qsyncdsl.run.plan import Line, Plan

if TYPE_CHECKING:
    from qsyncdsl.algebra.frames import Frame
    from qsyncdsl.algebra.operators import Space

# Points whose frames are remembered while their levels are refined.
_KEPT = 16

_SEVERAL_FIELDS = Diagnostic(
    "W504",
    "the classical field may also end elsewhere: levels about one field hide what is far from it",
    help="compare with 'frame = vacuum' and enough levels",
)


class Frames:
    """The frames of the points of one line.

    Args:
        follows: Whether its points start from one another.

    Levels about the vacuum are the rule. Automatic frames are for modes whose levels are open; they are
    left where the classical field has more than one end, since a cutoff about one might hide the others.
    """

    def __init__(self, plan: Plan, line: Line, method: Method, follows: bool) -> None:
        self.plan, self.method, self.follows = plan, method, follows
        self._known: dict[Any, Frame | None] = {}
        self._left: set[Any] = set()
        self._still = False
        arguments = methods[line.method].arguments
        self._possible = any(argument.name == "frame" for argument in arguments)

    def at(
        self,
        environment: Environment,
        options: Mapping[str, Any],
        open_: Collection[str],
        case: str | None,
        draw: int,
        guess: Mapping[str, int] | None = None,
    ) -> Frame | None:
        """The frame of a point; None for levels about the vacuum.

        Args:
            open_: The options of the levels that are open.
            guess: Levels that would be needed about the vacuum, where an automatic frame may be
                chosen now; else it is one that was chosen before.

        Raises:
            ModelError: E447 where a frame is asked for that is not there.
        """
        word = options.get("frame", "automatic" if self._possible else "vacuum")
        if word == "vacuum" or (word == "automatic" and not open_):
            return None
        key = self._key(environment, case, draw)
        if key in self._left or (word == "automatic" and self._still):
            return None
        if key not in self._known:
            if word == "automatic" and guess is None:
                return None
            while len(self._known) >= _KEPT:
                self._known.pop(next(iter(self._known)))
            self._known[key] = self._found(environment, options, case, guess)
        return self._known[key]

    @contextmanager
    def still(self) -> Iterator[None]:
        """While points are searched among: no step from frame to frame may be a feature of a measure."""
        self._still = True
        try:
            yield
        finally:
            self._still = False

    def leave(self, environment: Environment, case: str | None, draw: int) -> bool:
        """Go back to levels about the vacuum at a point; whether there was a frame."""
        key = self._key(environment, case, draw)
        had = self._known.get(key) is not None and key not in self._left
        self._left.add(key)
        return had

    def _key(self, environment: Environment, case: str | None, draw: int) -> Any:
        values = sorted(
            (name, repr(override.value))
            for name, override in environment.overrides.items()
            if not name.startswith("levels")
        )
        return tuple(values), case, draw

    def _found(
        self,
        environment: Environment,
        options: Mapping[str, Any],
        case: str | None,
        guess: Mapping[str, int] | None,
    ) -> Frame | None:
        from qsyncdsl.algebra.frames import NoFieldError

        asked = options.get("frame") == "displaced"
        try:
            frame = self._searched(environment, options, case, guess, asked)
        except NoFieldError as reason:
            if asked:
                raise ModelError([_refusal(f"{reason}")]) from None
            return None
        if frame is None or not frame.centers or not (frame.sole or asked):
            return None
        return frame

    def _searched(
        self,
        environment: Environment,
        options: Mapping[str, Any],
        case: str | None,
        guess: Mapping[str, int] | None,
        asked: bool,
    ) -> Frame | None:
        from qsyncdsl.algebra import frames
        from qsyncdsl.algebra.build import moves, numeric

        if self.follows:
            raise frames.NoFieldError(
                "points that follow one another share their levels"
            )
        if self.plan.model.kicks:
            raise frames.NoFieldError("kicks are applied about the vacuum")
        model, times = self.plan.model, self.method.times(options)
        needed = max((guess or {}).values(), default=0)
        if not asked and times is None and needed < frames.FEW:
            return None
        try:
            if not asked and moves(model, environment):
                return None
            system = numeric(model, environment)
            if times is None:
                return frames.stationary_frame(system, asked)
            start = self._start(environment, system, case)
            return frames.moving_frame(system, start, float(times[-1]), asked)
        except (TypeError, ValueError, ZeroDivisionError, OverflowError) as fault:
            if isinstance(fault, frames.NoFieldError):
                raise
            raise frames.NoFieldError("the classical field is not a number") from None
        except ModelError as fault:
            raise frames.NoFieldError(fault.diagnostics[0].message) from None

    def _start(self, environment: Environment, system: Any, case: str | None) -> Any:
        """Amplitudes of the initial state."""
        from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
        from qsyncdsl.algebra.states import initial_laws

        evaluator = OperatorEvaluator(environment, system.space, system.positions)
        laws = initial_laws(evaluator, self.plan.initial_states(case), 1)
        return np.array([law.moment(("a", 0, 1)) for law in laws])


def framed(frame: Frame | None) -> tuple[int, ...]:
    """The modes whose levels are displaced."""
    return () if frame is None else tuple(sorted(frame.centers))


def space_in(space: Space, frame: Frame | None) -> Space:
    """A space with the levels of a frame."""
    if frame is None:
        return space
    from qsyncdsl.algebra.displaced import centered

    return centered(space, frame.centers)


def levels_of(
    frame: Frame, environment: Environment, positions: Mapping[Any, int]
) -> dict[str, int]:
    """Levels to begin with, by the names of their options: the largest over the sites of a mode."""
    found: dict[str, int] = {}
    for mode in cutoffs.bosons(environment.model):
        own = [
            frame.levels[k]
            for (name, _), k in positions.items()
            if name == mode.name and k in frame.levels
        ]
        displaced = all(
            k in frame.centers
            for (name, _), k in positions.items()
            if name == mode.name
        )
        if own and displaced:
            found[cutoffs.option(mode)] = cutoffs.at_least(max(own))
    return found


def center_value(frame: Frame, position: int) -> complex:
    """The value of a center as a parameter of a problem."""
    return complex(np.complex128(frame.centers[position]))


def told(trust: Trust, frame: Frame | None, space: Space) -> Trust:
    """The trust report with the frame that the levels were kept in."""
    if frame is None:
        return trust
    labels = {k: space.modes[k].label for k in sorted(frame.centers)}
    centers = {f"center_{labels[k]}": abs(frame.centers[k]) for k in labels}
    warnings = trust.warnings if frame.sole else (*trust.warnings, _SEVERAL_FIELDS)
    fact = f"displaced by the classical field: {', '.join(labels.values())}"
    return replace(
        trust,
        numbers={**trust.numbers, **centers},
        facts={**trust.facts, "frame": fact},
        warnings=warnings,
    )


def _refusal(reason: str) -> Diagnostic:
    """E447: no displaced frame."""
    return Diagnostic(
        "E447",
        f"there is no displaced frame here: {reason}",
        help="leave out 'frame = displaced'; more levels about the vacuum do as well",
    )
