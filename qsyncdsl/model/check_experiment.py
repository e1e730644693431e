"""Checking what an experiment asks for."""

from __future__ import annotations

from collections.abc import Callable

from qsyncdsl.diagnostics import Diagnostic, ModelError
from qsyncdsl.model import faults
from qsyncdsl.model.inference import Inference
from qsyncdsl.model.kinds import CONSTANTS, NUMBER, UNKNOWN, VALUE, Kind
from qsyncdsl.model.scoped import initial
from qsyncdsl.model.signature import bind
from qsyncdsl.model.types import Experiment, Initial, Model
from qsyncdsl.registry import methods
from qsyncdsl.source import Span
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import is_auto, names_in

PLOT_OPTIONS = frozenset(
    {"xscale", "yscale", "title", "xlabel", "ylabel", "xlim", "ylim", "cmap"}
)
# Names that stand for a coordinate of results.
_COORDINATES = ("time", "phi", "omega", "tau", "n")


def check_experiment(
    model: Model,
    experiment: Experiment,
    report: Callable[[Diagnostic], None],
    used: set[str],
    check_initial: Callable[[Initial], None],
) -> None:
    """Hold every request of an experiment against the model."""
    _Requests(model, experiment, report, used, check_initial).check()


class _Requests:
    """One experiment."""

    def __init__(
        self,
        model: Model,
        experiment: Experiment,
        report: Callable[[Diagnostic], None],
        used: set[str],
        check_initial: Callable[[Initial], None],
    ) -> None:
        self.model = model
        self.experiment = experiment
        self.report = report
        self.check_initial = check_initial
        self.names: dict[str, Kind] = {}
        self.places: dict[str, Span] = {}
        self.swept: dict[str, Span] = {}
        self.labels: dict[str, Span] = {}
        self.kinds = Inference(report, measuring=True, extra=self.names, used=used)

    def check(self) -> None:
        """Declarations first, then all requests in order."""
        self._declare()
        for request in self.experiment.requests:
            getattr(self, "_" + type(request).__name__.lower())(request)

    def _declare(self) -> None:
        """Names and labels are known in the whole experiment."""
        known = settable(self.model)
        for request in self.experiment.requests:
            if isinstance(request, tree.Measure):
                self._new(
                    request.place.name, VALUE if request.place.arguments else UNKNOWN
                )
            elif isinstance(request, tree.Locate):
                self._new(request.name, NUMBER, known_parameter=True)
            elif isinstance(request, tree.Solve):
                label = request.label or request.method
                if label.key in self.labels:
                    self.report(
                        faults.duplicate(label, self.labels[label.key], "label")
                    )
                self.labels.setdefault(label.key, label.span)
            elif isinstance(request, tree.Sweep):
                for setting in request.settings:
                    for name in _place_names(setting.place):
                        if name.key in self.swept:
                            self.report(faults.swept_twice(name, self.swept[name.key]))
                        self.swept.setdefault(name.key, name.span)
                        if name.key not in known:
                            self.report(faults.unknown_parameter(name, known))

    def _new(self, name: tree.Name, kind: Kind, known_parameter: bool = False) -> None:
        if name.key in CONSTANTS:
            self.report(faults.reserved(name))
        elif name.key in self.places:
            self.report(faults.duplicate(name, self.places[name.key], "measure"))
        elif (entity := self.model.scope.find(name.key)) is not None:
            self.report(faults.hides(name, entity, "measure"))
        self.names[name.key] = kind
        self.places.setdefault(name.key, name.span)

    # ── settings ─────────────────────────────────────────────────────────────────────────────

    def _cases(self, request: tree.Cases) -> None:
        for name in request.names:
            if name.key not in self.model.cases:
                self.report(faults.unknown_case(name, self.model.cases))

    def _set(self, request: tree.Set) -> None:
        for setting in request.settings:
            self._setting(setting)

    def _setting(self, setting: tree.Setting, located: bool = False) -> None:
        """NAME = value of a parameter or a cutoff."""
        known = settable(self.model)
        for name in _place_names(setting.place):
            if name.key not in known:
                self.report(faults.unknown_parameter(name, known))
        if isinstance(setting.place, tree.Group) or not open_levels(
            setting.place.name.key, setting.value
        ):
            self._value(setting.value)

    def _value(self, node: tree.Expr) -> None:
        kind = self.kinds.of(node, self.model.scope, {})
        if kind.name in ("operator", "mode"):
            self.report(faults.operator_for_number(node, "a value"))

    def _sweep(self, request: tree.Sweep) -> None:
        for setting in request.settings:
            kind = self.kinds.of(setting.value, self.model.scope, {})
            if kind.name not in ("list", "set", "unknown", "number", "value"):
                self.report(
                    faults.wrong_kind(
                        setting.value, "a grid", "a list", f"a {kind.name}"
                    )
                )
            for name in names_in(setting.value):
                if name.key in self.swept:
                    self.report(faults.swept_grid(name, self.swept[name.key]))
            if isinstance(setting.place, tree.Group) and isinstance(
                setting.value, tree.List
            ):
                self._rows(setting.place, setting.value)

    def _rows(self, place: tree.Group, grid: tree.List) -> None:
        """Points of a zipped sweep have one value for each parameter."""
        for row in grid.items:
            count = len(row.items) if isinstance(row, tree.Tuple | tree.List) else 1
            if count != len(place.names):
                message = f"{len(place.names)} parameters are swept together, {count} values are given"
                self.report(Diagnostic("E249", message, row.span))

    def _initial(self, request: tree.Initial) -> None:
        self.check_initial(initial(request, self.model.scope))

    # ── methods and measures ─────────────────────────────────────────────────────────────────

    def _solve(self, request: tree.Solve) -> None:
        if request.method.key not in methods:
            self.report(faults.unknown_method(request.method, methods))
            return
        word = methods[request.method.key]
        try:
            given = bind(word, request.arguments, request)
        except ModelError as fault:
            for diagnostic in fault.diagnostics:
                self.report(diagnostic)
            given = dict.fromkeys(word.one_of, ())
        if word.one_of and not any(name in given for name in word.one_of):
            self.report(faults.without_times(request.method))
        kinds = {argument.name: argument for argument in word.arguments}
        for name, value in given.items():
            if isinstance(value, tuple):
                continue
            if kinds[name].kind == "word":
                if getattr(value, "key", "") not in kinds[name].words:
                    self.report(
                        faults.unknown_word(
                            value, value.span.text, name, kinds[name].words
                        )
                    )
            elif kinds[name].kind in ("real", "integer"):
                self.kinds.number(value, self.model.scope, {}, f"'{name}'")
            else:
                self.kinds.of(value, self.model.scope, {})
        for setting in request.overrides or ():
            self._setting(setting)
        if request.until is not None:
            self._until(request, request.until)

    def _until(self, request: tree.Solve, until: tree.Until) -> None:
        """`until error(S) < number`, for a measure S of this experiment."""
        word = methods[request.method.key]
        measures = [
            r.place.name.key
            for r in self.experiment.requests
            if isinstance(r, tree.Measure)
        ]
        if not any(argument.name == "realizations" for argument in word.arguments):
            self.report(faults.no_realizations(until, request.method))
        elif until.measure is None or until.measure.key not in measures:
            self.report(faults.bad_until(until, measures))
        else:
            self.kinds.number(until.bound, self.model.scope, {}, "'until'")

    def _measure(self, request: tree.Measure) -> None:
        bindings: dict[str, Kind] = {}
        for argument in request.place.arguments:
            if isinstance(argument, tree.Each):
                bindings |= self.kinds.bind(
                    argument.pattern, argument.domain, self.model.scope, bindings
                )
            else:
                self.report(
                    faults.wrong_kind(
                        argument, "the index of a measure", "a binder", "a value"
                    )
                )
        kind = self.kinds.of(request.value, self.model.scope, bindings)
        kind = self._finished(kind, request.value)
        if not request.place.arguments:
            self.names[request.place.name.key] = kind

    def _finished(self, kind: Kind, node: tree.Expr) -> Kind:
        """A measure is a number, a list or a function, never an operator."""
        if kind.name in ("operator", "mode"):
            self.report(
                faults.wrong_kind(
                    node, "a measure", "a number", "an operator: take its mean, <...>"
                )
            )
            return UNKNOWN
        return kind

    def _locate(self, request: tree.Locate) -> None:
        known = settable(self.model)
        if request.parameter.key not in known:
            self.report(faults.unknown_parameter(request.parameter, known))
        if not isinstance(request.range, tree.Range):
            self.report(faults.not_an_interval(request.range))
        else:
            self.kinds.of(request.range, self.model.scope, {})
        goal = request.goal
        if isinstance(goal, tree.Extremum):
            self.kinds.of(goal.value, self.model.scope, {})
            return
        kind = self.kinds.of(goal, self.model.scope, {})
        if kind.name in ("number", "operator", "mode", "list"):
            self.report(
                faults.wrong_kind(
                    goal,
                    "what is looked for",
                    "a condition",
                    f"a {kind.name}; write 'where x = 0', 'x > 0' or 'x is maximal'",
                )
            )

    # ── plots and expectations ───────────────────────────────────────────────────────────────

    def _plot(self, request: tree.Plot) -> None:
        coordinates = dict.fromkeys((*_COORDINATES, *self._index_names()), NUMBER)
        shown = Inference(
            self.report, True, {**coordinates, **self.names}, self.kinds.used
        )
        axes = request.axes
        nodes = list(request.values)
        nodes += (
            []
            if axes is None
            else [axes.x]
            if isinstance(axes, tree.Versus)
            else [axes.x, axes.y]
        )
        for node in nodes:
            shown.of(node, self.model.scope, {})
        for setting in request.at or ():
            for name in _place_names(setting.place):
                self._of_picture(name, setting, coordinates)
        for setting in request.options or ():
            for name in _place_names(setting.place):
                if name.key not in PLOT_OPTIONS:
                    self.report(faults.unknown_option(name, PLOT_OPTIONS))

    def _of_picture(
        self, name: tree.Name, setting: tree.Setting, coordinates: dict[str, Kind]
    ) -> None:
        """One setting of the `at` of a picture: a dimension that the results have."""
        known = {**dict.fromkeys(self.swept, NUMBER), **coordinates}
        if name.key in (*known, "method", "case"):
            self._at(name, setting, known)
        elif name.key != "direction":
            self.report(faults.not_swept(name, [*known, "method", "case", "direction"]))

    def _index_names(self) -> list[str]:
        return [
            name.key
            for request in self.experiment.requests
            if isinstance(request, tree.Measure)
            for argument in request.place.arguments
            if isinstance(argument, tree.Each)
            for name in names_in(argument.pattern)
        ]

    def _average(self, request: tree.Average) -> None:
        self.kinds.number(request.count, self.model.scope, {}, "the number of draws")

    def _keep(self, request: tree.Keep) -> None:
        if request.what.key != "states":
            self.report(
                faults.unknown_word(
                    request.what, request.what.written, "thing to keep", ["states"]
                )
            )

    def _expect(self, request: tree.Expect) -> None:
        coordinates = dict.fromkeys(("time", *self._index_names()), NUMBER)
        inner = Inference(
            self.report, True, {**coordinates, **self.names}, self.kinds.used
        )
        inner.of(request.value, self.model.scope, {})
        for setting in request.at or ():
            for name in _place_names(setting.place):
                self._at(name, setting, coordinates)
        for node in (request.outcome.value, request.outcome.error):
            if node is not None:
                inner.of(node, self.model.scope, {})

    def _at(
        self, name: tree.Name, setting: tree.Setting, coordinates: dict[str, Kind]
    ) -> None:
        """One setting of an `at`."""
        value = setting.value
        if name.key == "method":
            known = {*self.labels, *self._solved_methods()}
            if getattr(value, "key", "") not in known:
                self.report(faults.not_solved(value, value.span.text, sorted(known)))
        elif name.key == "case":
            if getattr(value, "key", "") not in self.model.cases:
                shown = value if isinstance(value, tree.Name) else name
                self.report(faults.unknown_case(shown, self.model.cases))
        elif name.key in coordinates or name.key in settable(self.model):
            if not open_levels(name.key, value):
                self._value(value)
        else:
            known_names = [*settable(self.model), "method", "case", *coordinates]
            self.report(faults.unknown_parameter(name, known_names))

    def _solved_methods(self) -> set[str]:
        return {
            r.method.key for r in self.experiment.requests if isinstance(r, tree.Solve)
        }


def settable(model: Model) -> list[str]:
    """Names that a case, a sweep or the command line can set."""
    bosons = [
        m.name.replace(".", "_") for m in model.modes.values() if m.kind == "boson"
    ]
    levels = ["levels", *(f"levels_{boson}" for boson in bosons)] if bosons else []
    accuracy = [] if "accuracy" in model.parameters else ["accuracy"]
    return [*model.parameters, *levels, *accuracy]


def open_levels(name: str, value: object) -> bool:
    """`levels = auto`, `levels_a = auto`: the program chooses."""
    return name.partition("_")[0] == "levels" and is_auto(value)


def _place_names(place: tree.Place | tree.Group) -> tuple[tree.Name, ...]:
    return place.names if isinstance(place, tree.Group) else (place.name,)
