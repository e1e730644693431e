"""Solving the points of one line: systems, problems and solvers are kept while they fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from qsyncdsl.algebra.build import named_defect, space_of
from qsyncdsl.algebra.operator_evaluator import OperatorEvaluator
from qsyncdsl.algebra.operators import Space
from qsyncdsl.algebra.rings import NUMERIC
from qsyncdsl.diagnostics import Diagnostic, ModelError, SolveError
from qsyncdsl.measure.evaluate import MeasureEvaluator
from qsyncdsl.model.environment import Environment, Layer
from qsyncdsl.model.types import Model
from qsyncdsl.problem import Lowered, Point
from qsyncdsl.registry import methods
from qsyncdsl.result import Trust
from qsyncdsl.run import cutoffs
from qsyncdsl.run.derived import Derived, keep, known
from qsyncdsl.run.frames import Frames, center_value, levels_of
from qsyncdsl.run.line_options import LineOptions, in_time
from qsyncdsl.run.methods.entry import Method, Stage
from qsyncdsl.run.plan import Line, Plan
from qsyncdsl.run.refine import Wish, refined, wish
from qsyncdsl.run.solved import Before, Kept
from qsyncdsl.run.solved import Solved as Solved
from qsyncdsl.run.structure import Structure
from qsyncdsl.run.validity import moment_residuals
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import mentions

if TYPE_CHECKING:
    from qsyncdsl.algebra.frames import Frame

# Levels of an open boson where only equations are looked at.
_SHOWN = 8
# Initial states that are kept for other points.
_STARTS = 4
# Points from which on a sweep is solved many at once.
_LONG = 32

_SEVERAL_FIELDS = Diagnostic(
    "W504",
    "the classical field may also end elsewhere: levels about one field hide what is far from it",
    help="compare with 'frame = vacuum' and enough levels",
)

# The layers of a point nearby, if there is one.
Near = Callable[[], Sequence[Layer] | None]

# Measures of events: samples between which they may fall are too few.
_EVENTS = {"phase_slips", "net_slips", "residence_times"}


@dataclass(frozen=True)
class _Prepared:
    """A problem, its solver, and the matrices that measures have asked for."""

    derived: Derived
    solver: Any
    space: Space
    framed: tuple[int, ...] = ()
    matrices: dict[Any, Any] = field(default_factory=dict)
    starts: dict[Any, Any] = field(default_factory=dict)

    @property
    def lowered(self) -> Lowered:
        """The problem."""
        return self.derived.lowered


@dataclass(frozen=True, eq=False)
class _Request:
    """A point that is to be solved, and what is made of the answer."""

    prepared: _Prepared
    point: Point
    finish: Callable[[Any], Solved]


class Session:
    """Solves points of one line of a plan.

    Everything that only depends on sizes, cutoffs and structure is made once.

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
        self._prepared: list[_Prepared] = []
        self.frames = Frames(self)
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
        requests = [x for x in found if isinstance(x, _Request)]
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
            if isinstance(x, _Request)
            and y is not None
            and not isinstance(y, Exception)
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
    ) -> _Request | Solved:
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
    ) -> _Request:
        """A point with its solver, and what is made of the answer.

        Args:
            open_: The options of levels that the model leaves open.
        """
        model = self.plan.model
        if environment is None:
            environment = Environment(model, layers, self.plan.options.seed, draw)
        options = self.options(environment, operators=False) | dict(chosen or {})
        frame = self.frames.at(environment, options, open_, case, draw)
        prepared = self._prepare(environment, _framed(frame))
        space = _space_in(prepared.space, frame)
        values = _values(environment, prepared, frame)
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

        needed = self._needed(prepared, stage, measured)
        middle = self._middle(prepared, near, case, draw, options, open_)
        if self._counts_events:
            options = {**options, "events": True}
        point = Point(
            values, start, times, options, seed, needed, previous, self.tell, middle,
            self.sole, fewer=self.fewer, alone=self.alone,
        )  # fmt: skip

        def again(factor: float, finer: int, few: bool = False) -> Solved:
            from qsyncdsl.run.steps import few_times

            more = {**options, "fineness": finer} if finer > 1 else options
            other = replace(
                point, coarser=factor, options=more, times=self.method.times(more)
            )
            result = prepared.solver.solve(other)
            averaged = few and "times" not in options
            return finish(few_times(result) if averaged else result)

        def thinned(result: Any, few: bool = False) -> MeasureEvaluator | None:
            from qsyncdsl.run.steps import few_times, fewer_times

            if "times" in options:
                return None
            fewer = few_times(result) if few else fewer_times(result)
            if fewer is None or fewer is result:
                return None
            return measured(self.method.scenes(fewer, stage))

        def finish(result: Any) -> Solved:
            scenes = self.method.scenes(result, stage)
            trust = _told(result.trust, frame, space)
            if self.method.truncates and len(scenes) == 1:
                # Measures add to these numbers what they find.
                trust.numbers.update(moment_residuals(model, environment, scenes[0]))
            steps = self.method.integrates and in_time(options)
            return Solved(
                measured(scenes),
                environment,
                trust,
                lambda: self.method.replicas(result, stage),
                measured,
                lambda: self.method.ending(result) if self.method.ending else None,
                lambda: self._state(result),
                lambda: self._populations(result),
                lambda: self.method.guess(result),
                again=again if steps else None,
                thinned=partial(thinned, result),
                few=partial(thinned, result, True),
                closure=lambda: self.method.closure(prepared.solver.problem, options),
            )

        return _Request(prepared, point, finish)

    def _middle(
        self,
        prepared: _Prepared,
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
            if _framed(frame) != prepared.framed:
                return None
            return _values(environment, prepared, frame)
        except ModelError:
            return None

    def _start(
        self,
        prepared: _Prepared,
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
            start = self.method.start(
                evaluator, self.initials(case), prepared.lowered.problem, options
            )
        if not reads and len(prepared.starts) < _STARTS:
            prepared.starts[key] = start
        return start

    def _needed(
        self,
        prepared: _Prepared,
        stage: Stage,
        measured: Callable[[tuple[Any, ...]], MeasureEvaluator],
    ) -> tuple[Any, ...]:
        """What the measures of the experiment need to be recorded: they are tried on a stand-in."""
        if self.method.probe is None:
            return ()
        probe = self.method.probe(prepared.solver.problem, stage.options)
        evaluator = measured(self.method.scenes(probe.result(), stage))
        for request in self.plan.experiment.requests:
            node = _looked_at(request)
            if node is None:
                continue
            with suppress(ModelError, SolveError, ArithmeticError, ValueError):
                evaluator.evaluate(node, self.plan.model.scope)
        for name in self.plan.measures:
            with suppress(ModelError, SolveError, ArithmeticError, ValueError):
                evaluator.measure(name)
        return tuple(probe.noted)

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

    def _state(self, result: Any) -> Mapping[str, np.ndarray] | None:
        """A result as arrays, where it can be kept."""
        return (
            None if self.method.keeping is None else self.method.keeping.arrays(result)
        )

    def _populations(self, result: Any) -> Mapping[str, np.ndarray]:
        find = self.method.populations
        return {} if find is None else find(result)

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
        return self._prepare(environment, _framed(frame)).lowered

    def options(
        self, environment: Environment, operators: bool = True
    ) -> dict[str, Any]:
        """The options of the solve line at a point; lists of operators too, if wanted."""
        return self.line_options.at(environment, operators)

    def _refuse_kicks(self) -> None:
        """E443: most methods do not know kicks; leaving them out would answer another question."""
        kicks = self.plan.model.kicks
        if kicks and not self.method.kicks:
            raise ModelError(
                [
                    Diagnostic(
                        "E443",
                        f"'{self.line.method}' does not apply kicks",
                        kicks[0].span,
                        "a kick",
                        help="solve by 'floquet', 'evolve', 'trajectories', 'classical' or 'langevin'",
                    )
                ]
            )

    @cached_property
    def _counts_events(self) -> bool:
        """Whether a measure counts what happens between samples that lie far apart."""
        asked = self.plan.measures.values()
        return any(mentions(measure.value, _EVENTS) for measure in asked)

    def initials(self, case: str | None) -> tuple[Any, ...]:
        """The initial states of a case, as written."""
        model = self.plan.model
        chosen = model.cases[case].initials if case else ()
        return (*model.initials, *chosen, *self.plan.initials)

    def forget(self) -> None:
        """Give free what solvers keep from point to point, such as factors; it can be made again."""
        for prepared in self._prepared:
            if hasattr(prepared.solver, "forget"):
                prepared.solver.forget()

    def _prepare(
        self, environment: Environment, framed: tuple[int, ...] = ()
    ) -> _Prepared:
        for prepared in self._prepared:
            same = prepared.framed == framed
            if same and prepared.derived.structure.fits(environment):
                return prepared
        model = self.plan.model
        options = self.options(environment)
        _refuse_variables(model, self.line, self.method)
        self._refuse_kicks()
        derived = self._derive(environment, options, framed)
        solver = self.method.solver(derived.lowered.problem, options)
        space, _ = space_of(model, environment, NUMERIC)
        prepared = _Prepared(derived, solver, space, framed)
        # Sweeps over sizes would keep every system; a few are enough for neighbors.
        self._prepared = [prepared, *self._prepared[:3]]
        return prepared

    def _derive(
        self,
        environment: Environment,
        options: Mapping[str, Any],
        framed: tuple[int, ...],
    ) -> Derived:
        """The problem at a point: one that is kept, or derived now and kept."""
        model = self.plan.model
        address = self._address(options, framed)
        found = known(address, environment)
        if found is None:
            system = self.method.build(model, environment)
            if framed:
                from qsyncdsl.algebra.displaced import in_frame

                system = in_frame(system, framed)
            lowered = self.method.lower(system, model.title, options)
            structure = Structure.of(system, model)
            found = Derived(lowered, system.positions, structure)
            keep(address, found)
        return found

    def _address(self, options: Mapping[str, Any], framed: tuple[int, ...]) -> str:
        """Where a problem is kept; that of the text of the line and of its options here."""
        from qsyncdsl.run.store.address import Addresses, digest

        base = Addresses(self.plan, self.line).realizations
        chosen = sorted((name, repr(value)) for name, value in options.items())
        title = self.plan.model.title
        return digest("problem", base, title, chosen, *([framed] if framed else []))


def _framed(frame: Frame | None) -> tuple[int, ...]:
    """The modes whose levels are displaced."""
    return () if frame is None else tuple(sorted(frame.centers))


def _space_in(space: Space, frame: Frame | None) -> Space:
    """A space with the levels of a frame."""
    if frame is None:
        return space
    from qsyncdsl.algebra.displaced import centered

    return centered(space, frame.centers)


def _values(
    environment: Environment, prepared: _Prepared, frame: Frame | None
) -> tuple[Any, ...]:
    """The parameters of a problem at a point, the centers of its frame among them."""
    return tuple(
        center_value(frame, index[0])
        if frame is not None and index and name == "center of"
        else _value(environment, name, index)
        for name, index in prepared.lowered.parameters
    )


def _told(trust: Trust, frame: Frame | None, space: Space) -> Trust:
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


def _looked_at(request: tree.Request) -> tree.Expr | None:
    """The expression whose value a request looks at."""
    if isinstance(request, tree.Expect):
        return request.value
    if isinstance(request, tree.Locate):
        goal = request.goal
        return goal.value if isinstance(goal, tree.Extremum) else goal
    return None


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


def _value(environment: Environment, name: str, index: tuple[int, ...] | None) -> Any:
    """A parameter, or all its values where the index is open."""
    parameter = environment.model.parameters[name]
    if index is not None:
        return environment.value(parameter, index)
    sites = environment.sites(parameter.index)
    return np.array([environment.value(parameter, site) for site in sites])


def _refuse_variables(model: Model, line: Line, method: Method) -> None:
    """E404: a density matrix does not contain classical variables."""
    if not model.variables or method.variables:
        return
    variable = next(iter(model.variables.values()))
    raise ModelError(
        [
            Diagnostic(
                "E404",
                f"'{line.method}' does not solve classical variables",
                variable.span,
                "a classical variable",
                help="solve by 'classical' or 'langevin'",
            )
        ]
    )
