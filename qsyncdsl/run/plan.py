"""What an experiment asks for: its cases, axes, lines, measures, and the points they make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise, product
from typing import Any

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.scoped import initial, override
from qsyncdsl.model.types import Experiment, Initial, Model, Override
from qsyncdsl.registry import methods
from qsyncdsl.run.staircases import of_a_sweep
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import is_auto


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line adds to a file.

    Attributes:
        cases: Cases chosen, in place of those of the experiments.
        sets: Values that hold in every experiment.
        sweeps: Axes that replace those of the same name, or are added.
        seed: For everything random.
        jobs: Processes to use.
    """

    cases: tuple[str, ...] = ()
    sets: tuple[Override, ...] = ()
    sweeps: tuple[tree.Sweep, ...] = ()
    seed: int = 0
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension of a sweep.

    Attributes:
        dim: Name of the dimension: the parameter's, or `point` for several together.
        names: The parameters.
        values: For each point of the axis, the value of each parameter.
        note: The word of the sweep: `updown`, `adaptive`, ...
        stride: Every so many values make the grid that was written; between them are those that an
            adaptive sweep may add.
    """

    dim: str
    names: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    note: str = ""
    stride: int = 1
    _layers: dict[int, tuple[Override, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def layer(self, k: int) -> tuple[Override, ...]:
        """The overrides at one point of the axis."""
        if k not in self._layers:
            pairs = zip(self.names, self.values[k], strict=True)
            self._layers[k] = tuple(Override(n, v) for n, v in pairs)
        return self._layers[k]


@dataclass(frozen=True, slots=True)
class Line:
    """One `solve` line: a method with its options, its own settings and its own axes.

    Attributes:
        protocol: `reset` where every point starts anew; `continue`, `down`, `updown` where each starts
            from the end of its neighbor.
        along: The position of the axis along which points follow one another; -1 for none.
        criteria: Measures that an adaptive sweep looks at, and how exactly they shall be known.
    """

    label: str
    method: str
    node: tree.Solve
    overrides: tuple[Override, ...]
    axes: tuple[Axis, ...]
    protocol: str = "reset"
    along: int = -1
    criteria: tuple[tuple[str, float], ...] = ()

    @property
    def directions(self) -> tuple[str, ...]:
        """`up` and `down` where the axis is swept both ways."""
        return ("up", "down") if self.protocol == "updown" else ()


@dataclass(frozen=True)
class Plan:
    """An experiment, ready to be run."""

    model: Model
    experiment: Experiment
    options: Options
    cases: tuple[str | None, ...]
    sets: tuple[Override, ...]
    axes: tuple[Axis, ...]
    lines: tuple[Line, ...]
    skipped: Mapping[str, str]
    measures: Mapping[str, tree.Measure]
    initials: tuple[Initial, ...]
    draws: int = 1
    notes: tuple[str, ...] = ()
    staircases: Mapping[str, tree.Measure] = field(default_factory=dict)
    keeps: bool = False

    def layers(self, case: str | None) -> list[tuple[Override, ...]]:
        """The layers of overrides below the sweep: case, set, command line."""
        chosen = self.model.cases[case].overrides if case else ()
        return [chosen, self.sets, self.options.sets]

    def initial_states(self, case: str | None) -> tuple[Initial, ...]:
        """The initial states of a case, as written."""
        chosen = self.model.cases[case].initials if case else ()
        return (*self.model.initials, *chosen, *self.initials)

    def points(self, line: Line) -> Iterator[tuple[int, ...]]:
        """Positions along (case, axes...) of all points of a line."""
        yield from product(
            range(len(self.cases)),
            *(range(0, len(axis.values), axis.stride) for axis in line.axes),
        )

    def point_layers(
        self, line: Line, index: tuple[int, ...]
    ) -> list[tuple[Override, ...]]:
        """All layers of one point."""
        swept = [axis.layer(k) for axis, k in zip(line.axes, index[1:], strict=True)]
        return [*self.layers(self.cases[index[0]]), *swept, line.overrides]

    def line(self, label: str) -> Line | None:
        """A line by its label."""
        return next((line for line in self.lines if line.label == label), None)


def make_plan(model: Model, experiment: Experiment, options: Options) -> Plan:
    """Lay out an experiment.

    Raises:
        ModelError: E701 (an unknown case), and those of evaluating grids.
    """
    requests = experiment.requests
    cases = _cases(model, requests, options)
    sets = tuple(
        override(setting, model.scope)
        for request in requests
        if isinstance(request, tree.Set)
        for setting in request.settings
    )
    below = [model.cases[cases[0]].overrides if cases[0] else (), sets, options.sets]
    environment = Environment(model, below, options.seed)
    axes = _axes(model, environment, requests, options)
    lines, skipped = _lines(model, environment, requests, axes)
    draws = [request for request in requests if isinstance(request, tree.Average)]
    asked = {r.place.name.key: r for r in requests if isinstance(r, tree.Measure)}
    return Plan(
        model=model,
        experiment=experiment,
        options=options,
        cases=cases,
        sets=sets,
        axes=axes,
        lines=lines,
        skipped=skipped,
        measures={n: r for n, r in asked.items() if not of_a_sweep(r)},
        staircases={n: r for n, r in asked.items() if of_a_sweep(r)},
        initials=tuple(
            initial(r, model.scope) for r in requests if isinstance(r, tree.Initial)
        ),
        keeps=any(isinstance(request, tree.Keep) for request in requests),
        draws=environment.numbers.integer(draws[-1].count, model.scope) if draws else 1,
    )


# Points that an adaptive sweep may put between two of the grid: a power of 2.
FINER = 64
# Protocols in which a point starts from the end of its neighbor.
_FOLLOWING = ("updown", "down", "continue")


def _cases(
    model: Model, requests: tuple[tree.Request, ...], options: Options
) -> tuple[str | None, ...]:
    if options.cases:
        for name in options.cases:
            if name not in model.cases:
                known = ", ".join(model.cases) or "none"
                raise ModelError(
                    [
                        Diagnostic(
                            "E701",
                            f"there is no case '{name}'",
                            help=f"declared: {known}",
                        )
                    ]
                )
        return options.cases
    named = [
        name.key for r in requests if isinstance(r, tree.Cases) for name in r.names
    ]
    return tuple(named) or (None,)


def _axes(
    model: Model,
    environment: Environment,
    requests: tuple[tree.Request, ...],
    options: Options,
) -> tuple[Axis, ...]:
    """The axes of the file, replaced and added to by those of the command line."""
    found: dict[tuple[str, ...], Axis] = {}
    sweeps = [r for r in requests if isinstance(r, tree.Sweep)]
    for sweep in (*sweeps, *options.sweeps):
        for setting in sweep.settings:
            axis = _axis(model, environment, setting, sweep)
            for names in [names for names in found if set(names) & set(axis.names)]:
                if names != axis.names:
                    del found[names]
            found[axis.names] = axis
    axes = list(found.values())
    if sum(axis.dim == "point" for axis in axes) > 1:
        axes = [
            axis if axis.dim != "point" else replace(axis, dim="_".join(axis.names))
            for axis in axes
        ]
    return tuple(axes)


def _axis(
    model: Model, environment: Environment, setting: tree.Setting, sweep: tree.Sweep
) -> Axis:
    values = environment.numbers.evaluate(setting.value, model.scope)
    if isinstance(values, tuple) and not values:
        raise ModelError(
            [Diagnostic("E702", "a sweep needs values", setting.value.span)]
        )
    note = sweep.protocol.word if sweep.protocol else ""
    if isinstance(setting.place, tree.Group):
        names = tuple(name.key for name in setting.place.names)
        rows = tuple(tuple(row) if isinstance(row, tuple) else (row,) for row in values)
        for row in rows:
            if len(row) != len(names):
                message = f"{len(names)} parameters are swept together, {len(row)} values are given"
                raise ModelError([Diagnostic("E702", message, setting.value.span)])
        return _finer(Axis("point", names, rows, note))
    name = setting.place.name.key
    listed = values if isinstance(values, tuple) else (values,)
    if hasattr(values, "start"):
        listed = tuple(values)
    return _finer(Axis(name, (name,), tuple((value,) for value in listed), note))


def _finer(axis: Axis) -> Axis:
    """An adaptive axis with the values that may be added, equally spaced between its own."""
    rows = axis.values
    numbers = all(isinstance(x, int | float | complex) for row in rows for x in row)
    if axis.note != "adaptive" or len(rows) < 2 or not numbers:
        return axis
    found: list[tuple[Any, ...]] = []
    for low, high in pairwise(rows):
        found.append(low)
        found += [
            tuple(x + (y - x) * (k / FINER) for x, y in zip(low, high, strict=True))
            for k in range(1, FINER)
        ]
    return replace(axis, values=(*found, rows[-1]), stride=FINER)


def _lines(
    model: Model,
    environment: Environment,
    requests: tuple[tree.Request, ...],
    axes: tuple[Axis, ...],
) -> tuple[tuple[Line, ...], dict[str, str]]:
    """The solve lines that can be run, and why the others cannot."""
    lines: list[Line] = []
    skipped: dict[str, str] = {}
    for request in requests:
        if not isinstance(request, tree.Solve):
            continue
        method = request.method.key
        label = request.label.key if request.label else method
        if not methods[method].available:
            skipped[label] = f"method '{method}' is not implemented yet"
            continue
        overrides, own = [], {axis.names: axis for axis in axes}
        for setting in request.overrides or ():
            value = (
                None
                if is_auto(setting.value)
                else environment.numbers.evaluate(setting.value, model.scope)
            )
            if isinstance(value, tuple) or isinstance(setting.place, tree.Group):
                axis = _axis(
                    model, environment, setting, tree.Sweep(setting.span, (), None)
                )
                same = own.get(axis.names)
                if same is not None and same.note in _FOLLOWING:
                    # another grid of the sweep, not another sweep
                    axis = replace(axis, note=same.note)
                own = {n: a for n, a in own.items() if not set(n) & set(axis.names)}
                own[axis.names] = axis
            else:
                overrides.append(override(setting, model.scope))
        chosen = tuple(own.values())
        criteria = _criteria(model, environment, requests, chosen)
        protocol, along = ("reset", -1) if criteria else _protocol(request, chosen)
        lines.append(
            Line(
                label,
                method,
                request,
                tuple(overrides),
                chosen,
                protocol,
                along,
                criteria,
            )
        )
    return tuple(lines), skipped


def _protocol(request: tree.Solve, axes: tuple[Axis, ...]) -> tuple[str, int]:
    """How the points of a line follow one another, and along which axis.

    The word of the solve line holds against that of the sweep; it means the last axis unless a sweep
    names another.
    """
    noted = [k for k, axis in enumerate(axes) if axis.note in _FOLLOWING]
    along = noted[-1] if noted else len(axes) - 1
    word = axes[along].note if noted else "reset"
    for option in request.options or ():
        if isinstance(option, tree.Option) and option.name.key == "protocol":
            word = getattr(option.value, "key", word)
    if word not in _FOLLOWING:
        return "reset", -1
    # Without a sweep only a search can follow a branch.
    return ("continue", -1) if not axes else (word, along)


def _criteria(
    model: Model,
    environment: Environment,
    requests: tuple[tree.Request, ...],
    axes: tuple[Axis, ...],
) -> tuple[tuple[str, float], ...]:
    """The measures of the adaptive sweeps among some axes, with their tolerances.

    Raises:
        ModelError: E707 for a tolerance that is not positive.
    """
    found: dict[str, float] = {}
    free = {name for axis in axes if axis.stride > 1 for name in axis.names}
    for request in requests:
        protocol = request.protocol if isinstance(request, tree.Sweep) else None
        if protocol is None or protocol.measure is None or not free:
            continue
        assert protocol.tolerance is not None
        value = environment.numbers.evaluate(protocol.tolerance, model.scope)
        if isinstance(value, complex) or not value > 0:
            fault = Diagnostic(
                "E707", "a tolerance must be positive", protocol.tolerance.span
            )
            raise ModelError([fault])
        found[protocol.measure.key] = float(value)
    return tuple(found.items())
