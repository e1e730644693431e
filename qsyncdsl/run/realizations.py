"""Points that consist of realizations: begun, done in stretches wherever there is room, put together.

Every stretch has random numbers of its own and is put together with the others in one order, so that
a point has the same bits however it was cut, whoever did what, and after any interruption.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import CutoffError, ModelError, SolveError
from qsyncdsl.model.environment import Environment, Layer
from qsyncdsl.problem import Realizations, Stretch, pieces
from qsyncdsl.run import cutoffs
from qsyncdsl.run.growth import first_levels, more_levels
from qsyncdsl.run.session import Session
from qsyncdsl.run.solved import Before, Solved
from qsyncdsl.run.until import Accuracy, Judgement, rule

# Halvings where there is no step.
_NO_STEP = 1_000_000


@dataclass(frozen=True)
class Begun:
    """A point of which some realizations are still to be done.

    Attributes:
        key: Address of its realizations, 16 bytes; empty where that is not known yet.
        count: How many realizations there shall be; 0 for as many as the options say.
        levels: Of bosons that have none, so far.
        settled: What its beginning has found.
        unit: Realizations that are done side by side.
        each: Seconds that one takes.
        done: Those that were done at the beginning.
        halvings: How often the step was halved for the accuracy.
    """

    key: bytes = b""
    count: int = 0
    levels: Mapping[str, int] = field(default_factory=dict)
    settled: Mapping[str, float] | None = None
    unit: int = 1
    each: float = 0.0
    done: tuple[Stretch, ...] = ()
    halvings: int = 0


@dataclass(frozen=True)
class Part:
    """What is to be done of the realizations of a point.

    Attributes:
        begun: How far it is; None for a point that nobody has begun.
        span: The beginning and the size of the stretch to do; None to do all that is missing, and to
            put the point together.
        done: Stretches that are done.
        budget: Seconds after which the rest is left to others.
    """

    begun: Begun | None = None
    span: tuple[int, int] | None = None
    done: tuple[Stretch, ...] = field(default=(), repr=False)
    budget: float = np.inf


class Realizing:
    """The realizations of one point.

    Args:
        before: The end of the point before, where points follow one another.
    """

    def __init__(
        self,
        session: Session,
        layers: Sequence[Layer],
        case: str | None,
        draw: int = 0,
        located: Mapping[str, Any] | None = None,
        before: Before | None = None,
    ) -> None:
        self.session, self.layers, self.case = session, list(layers), case
        self.draw, self.located, self.before = draw, located, before
        plan = session.plan
        self.environment = Environment(plan.model, layers, plan.options.seed, draw)
        self.options = session.options(self.environment, operators=False)
        self.rule = rule(session, self.environment, self.options)

    def solve(self, part: Part | None = None) -> Solved | Begun:
        """Do the realizations that are missing, as far as the time allows.

        Raises:
            ModelError, SolveError: With the reason; E550 for levels that are too few.
        """
        part = part or Part()
        begun, budget = part.begun, part.budget
        state = begun or self._first()
        found, pause = list(part.done), _Pause(budget)
        while True:
            try:
                request, run = self._begin(state)
                if run is None:
                    return request.finish(
                        request.prepared.solver.solve(request.point)
                    )  # the equations of this point have no noise
                state = replace(
                    state,
                    key=self._key(request, run),
                    settled=run.settled,
                    unit=run.unit,
                    count=run.count,
                )
                if begun is None and state.key in self.session.elsewhere:
                    return state
                if not found and self.session.kept is not None:
                    found = self.session.kept(state.key, run.count, run.unit)
                for first, size in missing(found, run, pause):
                    found.append(Stretch(first, size, run.stretch(first, size)))
                    if pause.over(size) and open_(found, run):
                        return replace(state, each=pause.each, done=tuple(found))
                found.sort(key=lambda s: s.first)
                solved = request.finish(run.result(found))
            except (CutoffError, ModelError) as fault:
                if not state.levels:
                    raise
                levels = more_levels(self.environment, state.levels, fault)
                state, found, begun = Begun(b"", state.count, levels), [], None
                pause = _Pause(budget)
                continue
            if state.levels:
                solved = _with_levels(solved, state.levels)
            if self.rule is None:
                return solved
            judged = self._judged(solved, state)
            if judged.count == state.count and not judged.halve:
                return judged.solved
            before, state = state, self._again(state, judged)
            found = self._still_good(before, state, found)
            begun = None

    def _judged(self, solved: Solved, state: Begun) -> Judgement:
        """What the stopping rule says."""
        if isinstance(self.rule, Accuracy):
            step = (state.settled or {}).get("step")
            most = state.halvings if step is not None else _NO_STEP
            return self.rule.judged(self.session, solved, state.count, most)
        assert self.rule is not None
        return self.rule.judged(self.session, solved, state.count)

    def _again(self, state: Begun, judged: Judgement) -> Begun:
        """The point with more realizations, or with half the step."""
        if not isinstance(self.rule, Accuracy):
            return replace(state, count=judged.count, settled=None, key=b"")
        settled = dict(state.settled or {})
        if judged.halve:
            settled["step"] /= 2
        halvings = state.halvings + judged.halve
        kept = settled if halvings else None
        return replace(
            state, count=judged.count, settled=kept, key=b"", halvings=halvings
        )

    def stretch(self, begun: Begun, first: int, size: int) -> Stretch:
        """Some realizations of a point that was begun.

        Raises:
            ModelError, SolveError: If one of them fails.
        """
        key, run = self.session.begun
        # the key does not tell how many realizations there are
        if key != begun.key or run.count != begun.count:
            _, run = self._begin(begun)
        return Stretch(first, size, run.stretch(first, size))

    def _first(self) -> Begun:
        levels = first_levels(self.environment) if self.session.method.grows else {}
        return Begun(count=0 if self.rule is None else self.rule.first, levels=levels)

    def _begin(self, state: Begun) -> tuple[Any, Realizations | None]:
        """The point with its solver, and what its realizations have in common."""
        chosen: dict[str, Any] = {"cutoff": "grow"} if state.levels else {}
        if state.count:
            chosen["realizations"] = state.count
        layers = [*self.layers, cutoffs.layer(state.levels)]
        request = self.session.request(
            layers, self.case, self.draw, self.located, self.before, chosen
        )
        try:
            run = request.prepared.solver.begin(request.point, state.settled)
        except SolveError as fault:
            raise self.session.named(fault, layers, self.draw) from None
        if run is not None:
            self.session.begun = self._key(request, run), run
        return request, run

    def _still_good(
        self, before: Begun, state: Begun, found: list[Stretch]
    ) -> list[Stretch]:
        """The stretches that more realizations leave as they are."""
        request, run = self._begin(state)
        if run is None or self._key(request, run) != before.key:
            return []
        whole = before.count - before.count % run.unit
        return [s for s in found if s.end <= whole]

    def _key(self, request: Any, run: Realizations) -> bytes:
        """The address of what the realizations of a point are, whatever their number."""
        point, counts = request.point, self.session.method.realizations
        options = {k: v for k, v in point.options.items() if k not in counts}
        structure = request.prepared.derived.structure
        parts = (
            point.values,
            point.initial,
            point.seed,
            options,
            (structure.values, structure.levels),
            point.previous,
            run.key(),
        )
        return blake2b(repr(_plain(parts)).encode(), digest_size=16).digest()


# A stretch that takes longer is measured well enough, also if it has compiled its kernel.
_LONG = 20.0


class _Pause:
    """When it is time to stop; the first stretch, which may compile its kernel, does not count."""

    def __init__(self, budget: float) -> None:
        self.budget, self.each, self._size = budget, 0.0, 0
        self._begin = self._last = time.perf_counter()

    def over(self, size: int) -> bool:
        """A stretch was done: whether it was the last for now."""
        now = time.perf_counter()
        taken, self._last = now - self._last, now
        self.each, first, self._size = taken / size, self._size == 0, size
        if first:
            self._begin = now
            return np.isfinite(self.budget) and taken > _LONG
        return now - self._begin > self.budget

    def most(self, unit: int) -> int:
        """Realizations of the next stretch: as many as fit, but at most twice as many as before."""
        if not np.isfinite(self.budget):
            return 1 << 62
        left = self.budget - (time.perf_counter() - self._begin)
        fits = int(left / self.each) if self.each else 0
        return max(unit, min(2 * self._size, fits))


def missing(
    found: Sequence[Stretch], run: Realizations, pause: _Pause
) -> Iterator[tuple[int, int]]:
    """The next stretches to do, in order."""
    for first, end in list(gaps([(s.first, s.size) for s in found], run.count)):
        while first < end:
            size = next(pieces(first, end, run.unit, pause.most(run.unit)))[1]
            yield first, size
            first += size


def open_(found: Sequence[Stretch], run: Realizations) -> bool:
    """Whether any realization is missing."""
    return sum(s.size for s in found) < run.count


def cover(
    spans: Iterable[tuple[int, int]], count: int, unit: int
) -> list[tuple[int, int]]:
    """Those of some stretches that do not overlap and serve `count` realizations, the longest first.

    >>> cover([(0, 4), (0, 2), (2, 2), (4, 4), (8, 8)], 10, 1)
    [(0, 4), (4, 4)]
    """
    found: list[tuple[int, int]] = []
    place = 0
    for first, size in sorted(spans, key=lambda span: (span[0], -span[1])):
        end = first + size
        whole = size % unit == 0 or end == count
        if first >= place and end <= count and whole:
            found.append((first, size))
            place = end
    return found


def gaps(done: Sequence[tuple[int, int]], count: int) -> Iterator[tuple[int, int]]:
    """Beginnings and ends of what is missing of `0 .. count - 1`.

    >>> list(gaps([(4, 4), (0, 2)], 16))
    [(2, 4), (8, 16)]
    """
    place = 0
    for first, size in sorted(done):
        if first > place:
            yield place, min(first, count)
        place = max(place, first + size)
    if place < count:
        yield place, count


def _with_levels(solved: Solved, levels: Mapping[str, int]) -> Solved:
    facts = {**solved.trust.facts, "levels": f"{cutoffs.text(levels)} (grown)"}
    return replace(solved, trust=replace(solved.trust, facts=facts))


def _plain(value: Any) -> Any:
    """A value whose text says all of it."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, Mapping):
        return sorted((str(k), _plain(v)) for k, v in value.items())
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return value
    return tuple(map(_plain, value))
