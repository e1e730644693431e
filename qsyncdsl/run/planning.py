"""What an experiment would cost, line by line, before anything is allocated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np

from qsyncdsl.algebra.build import numeric, space_of
from qsyncdsl.algebra.rings import NUMERIC
from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model.environment import Environment
from qsyncdsl.run import cutoffs
from qsyncdsl.run.frames import levels_of
from qsyncdsl.run.line_options import in_time
from qsyncdsl.run.locate import solves
from qsyncdsl.run.methods.outlook import MOMENT_MODES, OUTLOOKS, Outlook, sizes
from qsyncdsl.run.plan import Line, Plan
from qsyncdsl.run.session import Session
from qsyncdsl.solve.generator import available_memory
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import mentions, names_in

# States without coherences between numbers.
_MIXTURES = frozenset({"vacuum", "fock", "thermal", "up", "down"})
# Modes up to which every term of a model is looked at; of larger ones a sample.
_MODES = 64
# Sites whose parameters are compared.
_SITES = 10_000


@dataclass(frozen=True, slots=True)
class LineOutlook:
    """One line of an experiment.

    Attributes:
        points: Solves that are asked for: cases, sweeps and draws; an adaptive sweep adds to them.
        one: The costliest point that was looked at.
        searched: Solves besides that searches for located values are expected to take.
        levels: Cutoffs that were assumed, where a model leaves them open.
        refusal: E532 where it cannot fit in memory.
        reason: Why there is no estimate; empty where there is one.
    """

    experiment: str
    label: str
    points: int
    one: Outlook | None
    levels: Mapping[str, int]
    refusal: Diagnostic | None = None
    reason: str = ""
    searched: int = 0

    @property
    def seconds(self) -> float:
        """All points and searches, on one core."""
        solves = self.points + self.searched
        one = self.one
        return 0.0 if one is None else one.once + one.seconds * solves

    def to_json(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "experiment": self.experiment,
            "method": self.label,
            "points": self.points,
            "searched": self.searched,
            "each": None if self.one is None else asdict(self.one),
            "seconds": self.seconds,
            "levels": dict(self.levels),
            "fits": self.refusal is None,
            "reason": self.reason or (self.refusal.message if self.refusal else ""),
        }


def line_outlooks(plan: Plan) -> Iterator[LineOutlook]:
    """Every line of an experiment; those that are skipped come with their reason."""
    name = plan.experiment.name
    for line in plan.lines:
        yield _line(plan, line)
    for label, reason in plan.skipped.items():
        yield LineOutlook(name, label, 0, None, {}, reason=reason)


def _line(plan: Plan, line: Line) -> LineOutlook:
    name = plan.experiment.name
    every = list(plan.points(line))
    if not every:
        return LineOutlook(name, line.label, 0, None, {}, reason="no points")
    points, ends = len(every) * plan.draws, (every[0], every[-1])
    found: list[tuple[Outlook, dict[str, int], Environment]] = []
    for index in dict.fromkeys(ends):
        try:
            one, levels, environment = _point(plan, line, index)
        except (ModelError, TypeError, ValueError, ArithmeticError) as fault:
            reason = (
                fault.diagnostics[0].message
                if isinstance(fault, ModelError)
                else str(fault)
            )
            return LineOutlook(name, line.label, points, None, {}, reason=reason)
        if one is None:
            reason = "this method has no estimate"
            return LineOutlook(name, line.label, points, None, {}, reason=reason)
        found.append((one, levels, environment))
    one, levels, environment = max(found, key=lambda item: item[0].memory)
    refusal = None
    room = available_memory()
    if one.memory > room:
        refusal = _refusal(plan, line, one, room, environment)
    searched = _searched(plan, line, bool(levels))
    return LineOutlook(
        name, line.label, points, one, levels, refusal, searched=searched
    )


def _searched(plan: Plan, line: Line, open_: bool) -> int:
    """Points that the searches of a line are expected to solve.

    Args:
        open_: Whether levels are open: a search is then made with two choices of them.
    """
    branches = line.method in ("meanfield", "fokkerplanck")
    total = 0
    for request in plan.experiment.requests:
        if isinstance(request, tree.Locate):
            swept = [a for a in line.axes if request.parameter.key not in a.names]
            times = len(plan.cases) * plan.draws * prod(len(a.values) for a in swept)
            total += times * solves(request.goal, branches)
    return 2 * total if open_ else total


def _inequivalent(session: Session, environment: Environment, case: str | None) -> int:
    """How many sites differ in the parameters that are theirs."""
    model = session.plan.model
    terms = (*model.hamiltonian, *model.dissipators)
    written = tuple((term.value, term.rate) for term in terms)
    if in_time(session.options(environment, operators=False)):
        # the last statement about a mode holds
        starts = {
            name.key: start.value
            for start in session.plan.initial_states(case)
            for name in names_in(start.places)
            if any(name.key == mode.rpartition(".")[2] for mode in model.modes)
        }
        written += tuple((start, None) for start in starts.values())
    found = 1
    for name, parameter in model.parameters.items():
        if parameter.index and mentions(written, {name.rpartition(".")[2]}):
            every = list(environment.sites(parameter.index))[:_SITES]
            values = {environment.value(parameter, site) for site in every}
            found = max(found, len(values))
    return found


def _point(
    plan: Plan,
    line: Line,
    index: tuple[int, ...],
    levels: Mapping[str, int] | None = None,
) -> tuple[Outlook | None, dict[str, int], Environment]:
    """One point, its assumed levels, and the numbers there."""
    layers = [*plan.point_layers(line, index), cutoffs.layer(levels or {})]
    environment = Environment(plan.model, layers, plan.options.seed)
    declared = cutoffs.declared(environment)
    open_ = [name for name, count in declared.items() if count is None]
    assumed: dict[str, int] = {}
    case = plan.cases[index[0]]
    if line.method not in OUTLOOKS:
        return None, assumed, environment
    session = Session(plan, line)
    options = session.options(environment)
    guess = cutoffs.estimate(plan.model, environment) if open_ else {}
    frame = session.frames.at(environment, options, open_, case, 0, guess)
    if open_:
        if frame is not None:
            _, positions = space_of(plan.model, environment, NUMERIC)
            guess |= levels_of(frame, environment, positions)
        assumed = {name: cutoffs.above(guess[name]) for name in open_}
        layers.append(cutoffs.layer(assumed))
        environment = Environment(plan.model, layers, plan.options.seed)
    centers = {} if frame is None else frame.centers
    return _outlook(session, environment, case, centers), assumed, environment


def _outlook(
    session: Session,
    environment: Environment,
    case: str | None,
    centers: Mapping[int, complex],
) -> Outlook:
    model, line = session.plan.model, session.line
    options = session.options(environment)
    sites = sum(
        1 for mode in model.modes.values() for _ in environment.sites(mode.index)
    )
    order = int(options.get("order", 2)) if line.method == "cumulants" else 0
    looked_at = MOMENT_MODES if order else _MODES
    system = numeric(model, environment, None if sites <= looked_at else 3)
    if centers:
        from qsyncdsl.algebra.displaced import moved

        system = moved(system, centers)
    own = cutoffs.declared(environment)
    kinds = {mode.label: mode.dimension for mode in system.space.modes}
    cell = prod(
        own.get(cutoffs.option(mode)) or _first(kinds, mode.name)
        for mode in model.modes.values()
    )
    grid = options.get("times")
    times = len(np.atleast_1d(grid)) if grid is not None else 1
    return OUTLOOKS[line.method](
        sizes(
            system,
            cell,
            sites + len(model.variables),
            options,
            times,
            all(
                _is_mixture(initial.value)
                for initial in session.plan.initial_states(case)
            ),
            _inequivalent(session, environment, case),
            order,
        )
    )


def _is_mixture(state: tree.Expr) -> bool:
    """Whether a state is one of definite numbers, or a mixture of these."""
    word = state.function if isinstance(state, tree.Call) else state
    return getattr(word, "key", "") in _MIXTURES


def _first(kinds: Mapping[str, int], name: str) -> int:
    """Basis states of a mode that is no boson."""
    return next((d for label, d in kinds.items() if label.startswith(name)), 2)


def _refusal(
    plan: Plan, line: Line, one: Outlook, room: float, environment: Environment
) -> Diagnostic:
    """E532: what cannot fit, with the levels that would."""
    had = {n: c for n, c in cutoffs.declared(environment).items() if c is not None}
    help_ = "choose a method that keeps less: 'trajectories', 'cumulants', 'langevin'"
    if line.method == "cumulants":
        help_ = "lower the order, or the size"
    for shrink in np.linspace(0.95, 0.1, 18) if had else ():
        fewer = {n: max(2, int(c * shrink)) for n, c in had.items()}
        smaller, _, _ = _point(plan, line, (0,) * (1 + len(line.axes)), fewer)
        if smaller is not None and smaller.memory <= room:
            help_ = f"{cutoffs.text(fewer)} would fit"
            break
    message = f"'{line.label}' needs about {one.memory / 1e9:.3g} GB, {room / 1e9:.3g} GB are free"
    return Diagnostic("E532", message, line.node.span, "too large", help=help_)
