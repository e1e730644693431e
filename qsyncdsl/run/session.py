"""Solving the points of one line: one by one, from the end of the one before, or many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from math import prod
from typing import Any

from qsyncdsl.algebra.build import named_defect, space_of
from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.operators import Space
from qsyncdsl.algebra.rings import NUMERIC
from qsyncdsl.diagnostics import Diagnostic, ModelError, SolveError
from qsyncdsl.measure.evaluate import MeasureEvaluator
from qsyncdsl.model.environment import Environment, Layer
from qsyncdsl.problem import Point
from qsyncdsl.registry import methods
from qsyncdsl.run import cutoffs
from qsyncdsl.run.frames import Frames, framed, levels_of, space_in
from qsyncdsl.run.line_options import LineOptions, in_time
from qsyncdsl.run.methods.entry import Method, Stage
from qsyncdsl.run.needed import counts_events, needed
from qsyncdsl.run.plan import Line, Plan
from qsyncdsl.run.prepared import Prepared, Problems
from qsyncdsl.run.refine import Wish, refined, wish
from qsyncdsl.run.request import Request
from qsyncdsl.run.solved import Before, Kept, Solved
from qsyncdsl.syntax import tree

# Levels of an open boson where only equations are looked at.
_SHOWN = 8
# Initial states that are kept for other points.
_STARTS = 4
# Points from which on a sweep is solved many at once.
_LONG = 32

# The layers of a point nearby, if there is one.
Near = Callable[[], Sequence[Layer] | None]


class Session:
    """Solves points of one line of a plan.

    Args:
        sole: Whether answers are known to be the only ones.
        fewer: Gives the solver and the point of what was found with fewer levels.
        changed: Options in place of those of the line; None for one that is left out.
    """

    def __init__(
        self,
        plan: Plan,
        line: Line,
        sole: bool = False,
        fewer: Callable[[], tuple[Any, Point]] | None = None,
        changed: Mapping[str, Any] | None = None,
    ) -> None:
        self.plan = plan
        self.sole = sole
        self.fewer = fewer
        self.line = line
        self.line_options = LineOptions(plan.model, line, changed)
        self.method: Method = methods[line.method].load()
        self.problems = Problems(plan, line, self.method, self.line_options)
        self.frames = Frames(plan, line, self.method, self.follows)
        self.tell: Callable[[float], None] | None = None
        # The realizations that were begun last, by their address.
        self.begun: tuple[bytes, Any] = (b"", None)
        # Finds stretches of realizations that are kept, by address, number and unit; or the addresses
        # of points of which others keep some, which are only begun.
        self.kept: Callable[[bytes, int, int], list[Any]] | None = None
        self.elsewhere: frozenset[bytes] = frozenset()

    @cached_property
    def alone(self) -> bool:
        """Whether there is one point in all, to which nothing need be ready for others."""
        sizes = [len(self.plan.cases), self.plan.draws]
        sizes += [len(axis.values) for axis in self.line.axes]
        searched = any(
            isinstance(r, tree.Locate) for r in self.plan.experiment.requests
        )
        return self.fewer is not None or (prod(sizes) == 1 and not searched)

    @property
    def follows(self) -> bool:
        """Whether points that are solved one after the other start from one another."""
        return self.line.protocol != "reset" and self.method.ending is not None

    def solve(
        self,
        layers: Iterable[Layer],
        case: str | None,
        draw: int = 0,
        located: Mapping[str, Any] | None = None,
        before: Before | None = None,
        near: Near | None = None,
    ) -> Solved:
        """Solve one point; from the end of the one `before`, where they follow one another.

        Args:
            near: Gives the middle of the stretch of a sweep that the point is part of.

        Levels that are open, or an accuracy, are refined; a stopping rule says how many realizations
        there are.

        Raises:
            ModelError, SolveError: With the reason; E530 for an accuracy out of reach, E531 where
                points follow one another and their levels are open.
        """
        layers = list(layers)
        if self.method.realizations:
            from qsyncdsl.run.realizations import Realizing

            found = Realizing(self, layers, case, draw, located, before).solve()
            assert isinstance(found, Solved)
            return found
        solved = self._with_levels(layers, case, draw, located, before, near)
        accuracy = self._steps_accuracy(solved.environment)
        if not accuracy or solved.again is None:
            return solved
        from qsyncdsl.run.steps import tightened

        return tightened(solved, accuracy)

    def _steps_accuracy(self, environment: Environment) -> float:
        """What is asked of the steps of an integration in time; 0 where nothing is."""
        if not self.method.integrates or not self.line_options.in_time:
            return 0.0
        options = self.options(environment, operators=False)
        return float(options.get("accuracy", 0.0)) if in_time(options) else 0.0

    def _with_levels(
        self,
        layers: list[Layer],
        case: str | None,
        draw: int,
        located: Mapping[str, Any] | None,
        before: Before | None,
        near: Near | None,
    ) -> Solved:
        """One point; levels that are open, or an accuracy, are refined."""
        environment = Environment(self.plan.model, layers, self.plan.options.seed, draw)
        wanted = self.wish(environment)
        if wanted is None:
            return self.solve_with({}, layers, case, draw, located, before, near)
        if before is not None:
            message = "points that follow one another keep their levels"
            help_ = "give the levels, and no accuracy, on this line"
            raise SolveError(Diagnostic("E531", message, help=help_))

        def solve(levels: Mapping[str, int], last: Any) -> Any:
            return self.solve_with(
                levels, layers, case, draw, located, near=near, last=last
            )

        guess = cutoffs.estimate(self.plan.model, environment)
        displaced = self._displaced(environment, wanted, case, draw, guess)
        try:
            return refined(wanted, environment, solve, guess, displaced)  # type: ignore[no-any-return]
        except SolveError:
            if not displaced or not self.frames.leave(environment, case, draw):
                raise
        return refined(wanted, environment, solve, guess)  # type: ignore[no-any-return]

    def _displaced(
        self,
        environment: Environment,
        wanted: Wish,
        case: str | None,
        draw: int,
        guess: Mapping[str, int],
    ) -> dict[str, int]:
        """Levels to begin with where a frame is displaced."""
        options = self.options(environment, operators=False)
        frame = self.frames.at(environment, options, wanted.free, case, draw, guess)
        if frame is None:
            return {}
        _, positions = space_of(self.plan.model, environment, NUMERIC)
        return levels_of(frame, environment, positions)

    def wish(self, environment: Environment) -> Wish | None:
        """What a point leaves to the program to choose."""
        if self.method.populations is None:
            return None
        asked = float(self.options(environment).get("accuracy", 0.0))
        return wish(environment, asked)

    def solve_with(
        self,
        levels: Mapping[str, int],
        layers: Iterable[Layer],
        case: str | None,
        draw: int = 0,
        located: Mapping[str, Any] | None = None,
        before: Before | None = None,
        near: Near | None = None,
        last: Solved | None = None,
    ) -> Solved:
        """Solve one point with the levels given, others as declared.

        Args:
            last: The same point with other levels.

        Raises:
            ModelError, SolveError: With the reason.
        """
        below = [*layers, cutoffs.layer(levels)]
        beside = near and partial(_with_levels, near, levels)
        request = self.request(
            below, case, draw, located, before, near=beside, open_=tuple(levels)
        )
        guess = None if last is None else last.guess()
        point = request.point if guess is None else replace(request.point, guess=guess)
        try:
            return request.finish(request.prepared.solver.solve(point))
        except SolveError as fault:
            raise self.named(fault, below, draw) from None

    def named(self, fault: Any, layers: Iterable[Layer], draw: int) -> Any:
        """A fault; of a Hamiltonian that is not Hermitian at a point, with the part that makes it so."""
        if not isinstance(fault, SolveError) or fault.diagnostic.code != "E502":
            return fault
        model, seed = self.plan.model, self.plan.options.seed
        defect = named_defect(model, Environment(model, layers, seed, draw))
        if defect is None:
            return fault
        message = f"the Hamiltonian is not Hermitian here: {defect.label}"
        help_ = "a coefficient of a Hermitian term must be real, others need '+ h.c.'"
        return SolveError(
            Diagnostic("E502", message, defect.span, defect.label, help=help_)
        )

    @cached_property
    def together(self) -> int:
        """How many points are best solved together, in a sweep that is long enough for it.

        It depends on the plan alone, so that a point gives the same bits however the work is split.
        """
        axes = [len(axis.values) for axis in self.line.axes]
        points = len(self.plan.cases) * prod(axes) * self.plan.draws
        return self.method.together if points >= _LONG else 1

    def solve_many(
        self, wanted: Iterable[tuple[Any, ...]]
    ) -> list[Solved | Exception | None]:
        """Solve several points, each given as for `solve`; a fault stands for a point without answer.

        None stands for a point that is not helped by others: it is left to `solve`.
        """
        wanted = [(list(layers), *more) for layers, *more in wanted]
        found: list[Any] = [_tried(self._asked, *one) for one in wanted]
        requests = [x for x in found if isinstance(x, Request)]
        answers: dict[int, Any] = {}
        for prepared in {id(r.prepared): r.prepared for r in requests}.values():
            own = [r for r in requests if r.prepared is prepared]
            points = [r.point for r in own]
            if hasattr(prepared.solver, "solve_many"):
                results = prepared.solver.solve_many(points)
            else:
                results = [_tried(prepared.solver.solve, point) for point in points]
            answers |= {id(r): result for r, result in zip(own, results, strict=True)}
        whole = [answers.get(id(x), x) for x in found]
        return [
            _tried(x.finish, y)
            if isinstance(x, Request) and y is not None and not isinstance(y, Exception)
            else self.named(y, one[0], one[2])
            for x, y, one in zip(found, whole, wanted, strict=True)
        ]

    def _asked(
        self,
        layers: Iterable[Layer],
        case: str | None,
        draw: int = 0,
        located: Mapping[str, Any] | None = None,
        near: Near | None = None,
    ) -> Request | Solved:
        """A request; or its answer at once, where levels are refined."""
        layers = list(layers)
        environment = Environment(self.plan.model, layers, self.plan.options.seed, draw)
        refines = self.wish(environment) or self._steps_accuracy(environment)
        if not self.method.realizations and not refines:
            return self.request(
                layers, case, draw, located, near=near, environment=environment
            )
        return self.solve(layers, case, draw, located, near=near)

    def request(
        self,
        layers: Iterable[Layer],
        case: str | None,
        draw: int = 0,
        located: Mapping[str, Any] | None = None,
        before: Before | None = None,
        chosen: Mapping[str, Any] | None = None,
        near: Near | None = None,
        environment: Environment | None = None,
        open_: tuple[str, ...] = (),
    ) -> Request:
        """A point with its solver, and what is made of the answer.

        Args:
            open_: The options of levels that the model leaves open.
        """
        model = self.plan.model
        if environment is None:
            environment = Environment(model, layers, self.plan.options.seed, draw)
        options = self.options(environment, operators=False) | dict(chosen or {})
        frame = self.frames.at(environment, options, open_, case, draw)
        prepared = self.problems.at(environment, framed(frame))
        space = space_in(prepared.space, frame)
        values = prepared.values(environment, frame)
        times = self.method.times(options)
        start = self._start(prepared, environment, case, options, space)
        seed = self.plan.options.seed + 1_000_003 * draw
        previous = None
        if before is not None:
            # Other noise than that of the point before.
            seed, previous = seed + 15_485_863 * before.steps, before.state
        hbar = environment.named("hbar") if "hbar" in model.parameters else 1.0
        stage = Stage(space, prepared.matrices, float(hbar), options)

        def measured(scenes: tuple[Any, ...]) -> MeasureEvaluator:
            positions = prepared.derived.positions
            return MeasureEvaluator(
                environment, scenes, positions, self.plan.measures, located
            )

        recorded = needed(self.plan, self.method, prepared.solver, stage, measured)
        middle = self._middle(prepared, near, case, draw, options, open_)
        if self._counts_events:
            options = {**options, "events": True}
        point = Point(
            values, start, times, options, seed, recorded, previous, self.tell, middle,
            self.sole, fewer=self.fewer, alone=self.alone,
        )  # fmt: skip
        return Request(
            self.method, prepared, point, environment, frame, stage, measured
        )

    def _middle(
        self,
        prepared: Prepared,
        near: Near | None,
        case: str | None,
        draw: int,
        options: Mapping[str, Any],
        open_: tuple[str, ...],
    ) -> tuple[Any, ...] | None:
        """The parameters of a point nearby, where the same system is solved there."""
        if near is None or not getattr(prepared.solver, "stretches", False):
            return None
        layers = near()
        if layers is None:
            return None
        seed = self.plan.options.seed
        environment = Environment(self.plan.model, layers, seed, draw)
        try:
            if not prepared.derived.structure.fits(environment):
                return None
            frame = self.frames.at(environment, options, open_, case, draw)
            if framed(frame) != prepared.framed:
                return None
            return prepared.values(environment, frame)
        except ModelError:
            return None

    def _start(
        self,
        prepared: Prepared,
        environment: Environment,
        case: str | None,
        options: dict[str, Any],
        space: Space,
    ) -> Any:
        """The initial state; one that depends on no parameter is made once for all points of a sweep."""
        key = case, repr(options), tuple(mode.center for mode in space.modes)
        if key in prepared.starts:
            return prepared.starts[key]
        positions = prepared.derived.positions
        evaluator = OperatorEvaluator(environment, space, positions)
        with environment.recording() as reads:
            initials, problem = self.plan.initial_states(case), prepared.lowered.problem
            start = self.method.start(evaluator, initials, problem, options)
        if not reads and len(prepared.starts) < _STARTS:
            prepared.starts[key] = start
        return start

    def restore(
        self,
        kept: Kept,
        layers: Iterable[Layer],
        case: str | None,
        draw: int,
        located: Mapping[str, Any],
    ) -> Solved | None:
        """A point whose result was kept; None where it has to be solved."""
        layers = list(layers)
        environment = Environment(self.plan.model, layers, self.plan.options.seed, draw)
        if self.method.keeping is None or self.wish(environment) is not None:
            return None
        request = self.request(layers, case, draw, located)
        solver = request.prepared.solver
        arrays, trust = kept.arrays, kept.trust
        result = self.method.keeping.result(solver, request.point, arrays, trust)
        return None if result is None else request.finish(result)

    def flow(
        self, layers: Iterable[Layer], case: str | None, draw: int = 0
    ) -> Any | None:
        """The right side of a classical flow or map at a point; None for other methods."""
        request = self.request(layers, case, draw)
        flow = getattr(request.prepared.solver, "flow", None)
        return None if flow is None else flow(request.point)

    def prepare(self, layers: Sequence[Layer]) -> Any:
        """The problem at a point, without solving it; open levels are few.

        Raises:
            ModelError: E3xx, E4xx.
        """
        environment = Environment(self.plan.model, layers, self.plan.options.seed)
        open_ = {
            n: _SHOWN for n, c in cutoffs.declared(environment).items() if c is None
        }
        if open_ and (self.method.populations is not None or self.method.grows):
            below = [*layers, cutoffs.layer(open_)]
            environment = Environment(self.plan.model, below, self.plan.options.seed)
        options = self.options(environment, operators=False)
        frame = self.frames.at(environment, options, (), None, 0)
        return self.problems.at(environment, framed(frame)).lowered

    def options(
        self, environment: Environment, operators: bool = True
    ) -> dict[str, Any]:
        """The options of the solve line at a point; lists of operators too, if wanted."""
        return self.line_options.at(environment, operators)

    @cached_property
    def _counts_events(self) -> bool:
        """Whether a measure counts what happens between samples that lie far apart."""
        return counts_events(self.plan)

    def forget(self) -> None:
        """Give free what solvers keep from point to point; it can be made again."""
        self.problems.forget()


def _with_levels(near: Near, levels: Mapping[str, int]) -> list[Layer] | None:
    """A point nearby with the levels of this one."""
    layers = near()
    return None if layers is None else [*layers, cutoffs.layer(levels)]


def _tried(call: Callable[..., Any], *arguments: Any) -> Any:
    """The answer of a call, or its fault."""
    try:
        return call(*arguments)
    except Exception as fault:
        return fault
