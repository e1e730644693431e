"""Points that follow one another: each starts from the end of its neighbor (hysteresis, attractors)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic
from qsyncdsl.registry import methods
from qsyncdsl.result import Trust
from qsyncdsl.run.adaptive import AdaptiveRun
from qsyncdsl.run.engines.queue import Queue
from qsyncdsl.run.line import LineRun
from qsyncdsl.run.plan import Line, Plan
from qsyncdsl.run.point_results import Job, PointResult
from qsyncdsl.run.points import Points
from qsyncdsl.run.solved import Before
from qsyncdsl.run.store.blocks import blocks, packed, write_whole
from qsyncdsl.run.store.columns import Row

# Seconds of work that are sent at once, and most points of it.
_PIECE, _MOST = 0.1, 1000


def follows(line: Line) -> bool:
    """Whether the points of a line start from one another: if they should, and the start matters."""
    if line.protocol == "reset" or line.along < 0:
        return False
    return methods[line.method].load().ending is not None


@dataclass(frozen=True)
class Step:
    """One point of a chain.

    Attributes:
        address: Of this point at the end of all before it.
    """

    index: tuple[int, ...]
    direction: int
    address: bytes


@dataclass(frozen=True)
class Piece:
    """Some successive steps of a chain, to be done by one worker.

    Attributes:
        chain: Which chain.
        first: How many steps are before it.
        state: The end of the step before; None for the initial state.
        names: What is wanted of each step.
    """

    chain: int
    draw: int
    first: int
    steps: tuple[Step, ...]
    names: tuple[tuple[str, ...], ...]
    state: Mapping[str, np.ndarray] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Followed:
    """What came out of a piece, and the state at its end."""

    piece: Piece
    results: tuple[PointResult, ...]
    state: Mapping[str, np.ndarray] | None = field(default=None, repr=False)


@dataclass
class FollowTask:
    """Pieces of the chains of one line, wherever they are done."""

    plan: Plan
    line: Line
    grids: dict[str, np.ndarray]
    points: Points | None = field(default=None, repr=False)

    def __call__(self, pieces: Sequence[Piece]) -> list[Followed]:
        """Do some pieces."""
        if self.points is None:
            self.points = Points(self.plan, self.line, self.grids)
        return [self._follow(self.points, piece) for piece in pieces]

    def _follow(self, points: Points, piece: Piece) -> Followed:
        state, results = piece.state, []
        pairs = zip(piece.steps, piece.names, strict=True)
        for number, (step, names) in enumerate(pairs, start=piece.first):
            job = Job(step.index, piece.draw, names)
            before = None if state is None else Before(state, number)
            result, end = points.after(job, before, ending=True)
            # After a failure the next point starts from the last one that did not fail.
            state = state if end is None else end
            results.append(replace(result, direction=step.direction))
        return Followed(piece, tuple(results), state)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.plan, self.line, self.grids, None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.plan, self.line, self.grids, self.points = state


class FollowRun(LineRun):
    """One line whose points follow one another."""

    def chains(self) -> Iterator[tuple[int, list[Step]]]:
        """Every chain with its draw; a step is named by all steps before it."""
        line = self.line
        ranges = [range(len(self.plan.cases))]
        ranges += [
            range(1) if k == line.along else range(len(axis.values))
            for k, axis in enumerate(line.axes)
        ]
        there = range(len(line.axes[line.along].values))
        ways: list[Iterable[int]] = [there]
        if line.protocol == "down":
            ways = [reversed(there)]
        elif line.protocol == "updown":
            ways = [there, reversed(there)]
        order = [(k, way) for way, ks in enumerate(ways) for k in ks]
        for fixed in product(*ranges):
            for draw in range(self.plan.draws):
                yield draw, list(self._steps(fixed, draw, order))

    def _steps(
        self, fixed: tuple[int, ...], draw: int, order: list[tuple[int, int]]
    ) -> Iterator[Step]:
        place, before = self.line.along + 1, b""
        for k, direction in order:
            index = (*fixed[:place], k, *fixed[place + 1 :])
            address = self.addresses.point(index, draw)
            if before:
                # The first starts from the initial state, as any point does.
                text = before + b" then " + address
                address = blake2b(text, digest_size=16).digest()
            yield Step(index, direction, address)
            before = address

    def count(self, indices: Sequence[tuple[int, ...]]) -> tuple[int, int]:
        """How many solves are done, and how many there are."""
        steps = [step for _, steps in self.chains() for step in steps]
        return sum(not self._missing(step) for step in steps), len(steps)

    # ── doing it ─────────────────────────────────────────────────────────────────────────

    def compute(self, indices: Sequence[tuple[int, ...]]) -> None:
        """Everything that is missing of all chains."""
        self._chains = list(self.chains())
        self.total = sum(len(steps) for _, steps in self._chains)
        pieces = []
        for number in range(len(self._chains)):
            known, start, state = self._begun(number)
            self.done += known
            piece = self._piece(number, start, state)
            if piece is not None:
                pieces.append(piece)
        self.tell()
        task = FollowTask(self.plan, self.line, self.points.grids, self.points)
        self.empty(Queue(task, pieces, self.followed, self.lost))

    def _begun(self, chain: int) -> tuple[int, int, Any]:
        """How many steps of a chain are known, where to go on, and from which state."""
        _, steps = self._chains[chain]
        known = 0
        while known < len(steps) and not self._missing(steps[known]):
            known += 1
        if known == len(steps):
            return known, known, None
        address, state = self._tail(chain)
        for k in range(min(known, len(steps)) - 1, -1, -1):
            if steps[k].address == address:
                return known, k + 1, state
        return known, 0, None

    def _missing(self, step: Step) -> set[str]:
        wanted = [self.items[n] for n in self.names(step.index)]
        retry = self.workshop.retry
        missing = self.shelf.missing(step.address, wanted, retry)
        if not wanted and self.shelf.known(step.address, {}) is None:
            return {""}
        return missing

    def _piece(self, chain: int, first: int, state: Any) -> Piece | None:
        """The next steps of a chain, as many as take a while."""
        draw, steps = self._chains[chain]
        if first >= len(steps):
            return None
        count = int(_PIECE / self._each) if self._each else 1
        chosen = tuple(steps[first : first + min(max(1, count), _MOST)])
        names = tuple(self._names(step) for step in chosen)
        return Piece(chain, draw, first, chosen, names, state)

    def _names(self, step: Step) -> tuple[str, ...]:
        missing = self._missing(step)
        return tuple(n for n in self.names(step.index) if self.items[n] in missing)

    _each = 0.0

    def followed(self, found: Sequence[Followed]) -> Iterable[Piece]:
        """Keep what came out of some pieces, and what their successors start from."""
        more = []
        for part in found:
            piece, results = part.piece, part.results
            seconds = sum(r.seconds for r in results) / max(1, len(results))
            self._each = seconds if not self._each else 0.7 * self._each + 0.3 * seconds
            fresh = [
                (step, result)
                for step, names, result in zip(
                    piece.steps, piece.names, results, strict=True
                )
                if names or self._missing(step)
            ]
            rows = [Row(step.address, r, self.items) for step, r in fresh]
            self.shelf.keep(rows)
            self.shelf.sync()
            self._keep_tail(piece, part.state)
            self.done += len(rows)
            self.failed += sum(bool(r.failures) for _, r in fresh)
            following = self._piece(
                piece.chain, piece.first + len(piece.steps), part.state
            )
            more += [following] if following is not None else []
        self.tell()
        return more

    def lost(self, piece: Piece, fault: Diagnostic) -> Iterable[Piece]:
        """A worker died of a piece: its first step is given up, the chain goes on behind it."""
        if len(piece.steps) > 1:
            alone = replace(piece, steps=piece.steps[:1], names=piece.names[:1])
            return [alone]
        index, way = piece.steps[0].index, piece.steps[0].direction
        failed = PointResult(index, {}, Trust(), {"": fault}, 0.0, piece.draw, {}, way)
        return self.followed([Followed(piece, (failed,), piece.state)])

    # ── the state at which a chain can go on ─────────────────────────────────────────────

    def _tail_file(self, chain: int) -> Path | None:
        if self.shelf.folder is None:
            return None
        first = self._chains[chain][1][0].address.hex()[:16]
        return self.shelf.folder / f"{self.line.protocol}-{first}.tail"

    def _keep_tail(self, piece: Piece, state: Mapping[str, np.ndarray] | None) -> None:
        path = self._tail_file(piece.chain)
        if path is not None and state is not None:
            address = piece.steps[-1].address.hex()
            write_whole(path, packed({"address": address}, state))

    def _tail(self, chain: int) -> tuple[bytes, Any]:
        """The last step of a chain that was done, and the state at its end."""
        path = self._tail_file(chain)
        if path is None or not path.is_file():
            return b"", None
        for block in blocks(path, []):
            return bytes.fromhex(block.header["address"]), dict(block.arrays)
        return b"", None

    # ── what came out ────────────────────────────────────────────────────────────────────

    def results(self, indices: Sequence[tuple[int, ...]]) -> list[PointResult]:
        """All points in both directions, averaged over the draws."""
        draws: dict[tuple[int, Any], list[PointResult]] = {}
        for _, steps in self.chains():
            for step in steps:
                known = self.shelf.known(step.address, self.items)
                if known is not None:
                    kept = self.ordered(known, step.index)
                    place = (step.direction, step.index)
                    draws.setdefault(place, []).append(
                        replace(kept, direction=step.direction)
                    )
        return self.averaged(draws)


Run = Callable[..., LineRun]


def line_run(plan: Plan, line: Line, workshop: Any) -> LineRun:
    """How a line is computed."""
    chosen: Run = FollowRun if follows(line) else LineRun
    if line.criteria:
        chosen = AdaptiveRun
    return chosen(plan, line, workshop)
