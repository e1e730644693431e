"""`expect`: the numbers that a file says should come out, each at its own point."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, ModelError, SolveError
from qsyncdsl.measure.evaluate import MeasureEvaluator
from qsyncdsl.model.check_experiment import settable
from qsyncdsl.model.environment import Environment
from qsyncdsl.model.evaluate import Evaluator
from qsyncdsl.model.numbers import show
from qsyncdsl.model.types import Override, Scope
from qsyncdsl.model.values import Frame
from qsyncdsl.result import Trust
from qsyncdsl.run import cutoffs
from qsyncdsl.run.doubts import doubts
from qsyncdsl.run.located import Located
from qsyncdsl.run.plan import Line, Plan
from qsyncdsl.run.point_results import PointResult
from qsyncdsl.run.session import Session
from qsyncdsl.run.solved import Solved
from qsyncdsl.run.swept import Found, Swept
from qsyncdsl.run.truncation import (
    NEGLIGIBLE,
    other_levels,
    share_beyond,
)
from qsyncdsl.syntax import tree
from qsyncdsl.syntax.walk import is_auto, mentions

# Agreement that is asked for where a file states no error.
_EXACT = 1e-9


@dataclass(frozen=True)
class Verdict:
    """One expectation and what became of it.

    Attributes:
        text: The expectation as written.
        wanted, got: As text.
        verdict: `passed`, `failed` or `skipped`.
        reason: Why it failed or was skipped.
        doubt: Why the number that came out cannot be trusted, whatever the verdict.
    """

    experiment: str
    text: str
    wanted: str
    got: str
    verdict: Literal["passed", "failed", "skipped"]
    reason: str = ""
    diagnostic: Diagnostic | None = None
    doubt: str = ""


class _AtEvaluator(Evaluator):
    """Numbers of an `at`, among them located values."""

    def __init__(self, environment: Environment, located: Mapping[str, Any]) -> None:
        super().__init__(environment)
        self.located = located

    def name(self, node: tree.Name, scope: Scope, frame: Frame) -> Any:
        """A located value, or what a model declares."""
        if node.key in self.located:
            return self.located[node.key]
        return super().name(node, scope, frame)


# Finds realizations that were done: by the address of their point, their number and unit.
Kept = Callable[[bytes, int, int], list[Any]]


class Expectations:
    """Checks the expectations of one experiment; points that several share are solved once.

    Args:
        kept: For each line, where realizations are found that were done for the sweep.
        results: For each line, what the sweep found.
    """

    def __init__(
        self,
        plan: Plan,
        kept: Mapping[str, Kept] | None = None,
        results: Mapping[str, Sequence[PointResult]] | None = None,
    ) -> None:
        self.plan = plan
        self._swept = Swept(plan, results)
        self._kept = kept or {}
        self._sessions: dict[str, Session] = {}
        self._solved: dict[Any, tuple[Solved, Located]] = {}

    def requests(self) -> list[tree.Expect]:
        """The expectations, in order."""
        return [r for r in self.plan.experiment.requests if isinstance(r, tree.Expect)]

    def check(self) -> Iterator[Verdict]:
        """The verdict on each."""
        for request in self.requests():
            yield self.one(request)

    def one(self, request: tree.Expect) -> Verdict:
        """The verdict on one expectation."""
        name, text = self.plan.experiment.name, " ".join(request.span.text.split())
        wanted = " ".join(request.outcome.span.text.split())
        label = self._chosen(request, "method")
        try:
            reason = self._skipped(label) or self._changed(request)
            if reason:
                return Verdict(name, text, wanted, "", "skipped", reason)
            got, right = self._compare(request, self._line(label))
            doubt = self._doubt(request, self._line(label), got, right)
        except (ModelError, SolveError) as fault:
            found = (
                fault.diagnostics[0]
                if isinstance(fault, ModelError)
                else fault.diagnostic
            )
            # A method that refuses the model is skipped, as one that is not implemented.
            if refusal(found):
                return Verdict(name, text, wanted, "", "skipped", found.message, found)
            return Verdict(name, text, wanted, "", "failed", found.message, found)
        word: Any = "passed" if right else "failed"
        return Verdict(name, text, wanted, show_all(got), word, doubt=doubt)

    def again(self, request: tree.Expect, kept: Mapping[str, str]) -> Verdict:
        """A verdict that was kept, as `got` and `verdict`."""
        text = " ".join(request.span.text.split())
        wanted = " ".join(request.outcome.span.text.split())
        word: Any = kept["verdict"]
        name, doubt = self.plan.experiment.name, kept.get("doubt", "")
        return Verdict(name, text, wanted, kept["got"], word, doubt=doubt)

    # ── where ────────────────────────────────────────────────────────────────────────────────

    def _chosen(self, request: tree.Expect, word: str) -> str | None:
        """The name after `method =` or `case =`."""
        for setting in request.at or ():
            if isinstance(setting.place, tree.Place) and setting.place.name.key == word:
                return getattr(setting.value, "key", "")
        return None

    def _line(self, label: str | None) -> Line:
        if label is None:
            return self.plan.lines[0]
        found = self.plan.line(label)
        if found is None:
            found = next(line for line in self.plan.lines if line.method == label)
        return found

    def _skipped(self, label: str | None) -> str:
        """Why an expectation cannot be looked at; empty if it can."""
        if label is None:
            requests = [
                r for r in self.plan.experiment.requests if isinstance(r, tree.Solve)
            ]
            if not requests:
                return "the experiment solves nothing"
            first = requests[0]
            label = first.label.key if first.label else first.method.key
        if label in self.plan.skipped:
            return self.plan.skipped[label]
        known = {line.label for line in self.plan.lines} | {
            line.method for line in self.plan.lines
        }
        return "" if label in known else f"'{label}' is not solved here"

    def _changed(self, request: tree.Expect) -> str:
        """Which parameter the command line changed, so that the number is not that of the file; empty for none."""
        model, options = self.plan.model, self.plan.options
        case = self._case(request)
        if not options.sets or (case is not None and case not in model.cases):
            return ""
        layers = self.plan.layers(case)
        before = Environment(model, layers[:-1], options.seed)
        after = Environment(model, layers, options.seed)
        named = {
            s.place.name.key
            for s in request.at or ()
            if isinstance(s.place, tree.Place)
        }
        for setting in options.sets:
            parameter = model.parameters.get(setting.name)
            if parameter is None or setting.name in named:
                continue
            listed = bool(parameter.index or setting.index or setting.random)
            if listed or before.value(parameter) != after.value(parameter):
                return f"the command line sets {setting.name}"
        return ""

    def _layers(
        self, request: tree.Expect, line: Line, case: str | None
    ) -> list[tuple[Override, ...]]:
        """All layers of the point: what is not named is as declared or set."""
        below = [*self.plan.layers(case), line.overrides]
        model = self.plan.model
        settings = [
            s
            for s in request.at or ()
            if isinstance(s.place, tree.Place)
            and not self._is_dimension(s.place.name.key)
        ]
        names = {r.name.key for r in self._locates()}
        below.append(
            tuple(
                Override(_name(s), s.value, model.scope)
                for s in settings
                if is_auto(s.value)
            )
        )
        settings = [s for s in settings if not is_auto(s.value)]
        first = [s for s in settings if not mentions(s.value, names)]
        environment = Environment(model, below, self.plan.options.seed)
        layer = tuple(
            Override(_name(s), environment.numbers.evaluate(s.value, model.scope))  # type: ignore[union-attr]
            for s in first
        )
        if len(first) == len(settings):
            return [*below, layer]
        located = Located(self._session(line), self._locates(), [*below, layer], case)
        evaluator = _AtEvaluator(
            Environment(model, [*below, layer], self.plan.options.seed), located
        )
        rest = tuple(
            Override(_name(s), evaluator.evaluate(s.value, model.scope))  # type: ignore[union-attr]
            for s in settings
            if s not in first
        )
        return [*below, (*layer, *rest)]

    def _is_dimension(self, name: str) -> bool:
        """Whether `at NAME` picks from a result instead of setting a parameter."""
        return name not in settable(self.plan.model)

    def _locates(self) -> list[tree.Locate]:
        return [r for r in self.plan.experiment.requests if isinstance(r, tree.Locate)]

    def _session(self, line: Line) -> Session:
        if line.label not in self._sessions:
            session = Session(self.plan, line)
            session.kept = self._kept.get(line.label)
            self._sessions[line.label] = session
        return self._sessions[line.label]

    def _solve(
        self,
        line: Line,
        layers: list[tuple[Override, ...]],
        case: str | None,
        draw: int = 0,
    ) -> Solved:
        key = (
            line.label,
            case,
            draw,
            tuple((o.name, str(o.value)) for layer in layers for o in layer),
        )
        if key not in self._solved:
            session = self._session(line)
            located = Located(session, self._locates(), layers, case, draw)
            self._solved[key] = (
                session.solve(layers, case, draw, located),
                located,
            )
        return self._solved[key][0]

    def _known(
        self,
        request: tree.Expect,
        line: Line,
        layers: list[tuple[Override, ...]],
        case: str | None,
    ) -> Found | None:
        """A measure or an element of one, as the sweep found it; None where it did not."""
        picks = {
            s.place.name.key
            for s in request.at or ()
            if isinstance(s.place, tree.Place) and self._is_dimension(s.place.name.key)
        }
        if picks - {"method", "case"}:
            return None
        environment = Environment(self.plan.model, layers, self.plan.options.seed)
        return self._swept.found(request.value, environment, line, layers, case)

    # ── what ─────────────────────────────────────────────────────────────────────────────────

    def _doubt(
        self, request: tree.Expect, line: Line, got: np.ndarray, right: bool
    ) -> str:
        """Why the numbers are doubted; empty where nothing is known against them."""
        if self._only_located(request.value):
            return ""
        case = self._case(request)
        layers = self._layers(request, line, case)
        known = self._known(request, line, layers, case)
        trust = known.trust if known else self._solve(line, layers, case).trust
        # An expectation that holds is at its tolerance whatever is cut off below this.
        warned = any(w.code == "W502" for w in trust.warnings)
        if warned or (not right and cutoffs.highest(trust.numbers) > NEGLIGIBLE):
            error = self._cut(request, line, layers, case, got, trust)
            if error is not None:
                numbers = dict.fromkeys(map(_of, self._own(request)), error)
                trust = replace(trust, numbers={**trust.numbers, **numbers})
        told = [{"code": w.code, "message": w.message} for w in trust.warnings]
        own = self._own(request)
        size = float(np.nanmax(np.abs(got), initial=0.0))
        errors = dict.fromkeys(own, known.error) if known else {}
        found = doubts(
            {**trust.numbers, "warnings": told}, dict.fromkeys(own, size), errors
        )
        reasons = dict.fromkeys(reason for why in found.values() for reason in why)
        return "; ".join(reasons)

    def _own(self, request: tree.Expect) -> list[str]:
        """The measures in an expectation; one without a name where there are none."""
        return [n for n in self.plan.measures if mentions(request.value, {n})] or [""]

    def _cut(
        self,
        request: tree.Expect,
        line: Line,
        layers: list[tuple[Override, ...]],
        case: str | None,
        got: np.ndarray,
        trust: Trust,
    ) -> float | None:
        """What other cutoffs change of the numbers; None where that is not known."""
        session = self._session(line)
        known = any(name.startswith(_of("")) for name in trust.numbers)
        found_by_search = mentions(request.value, {r.name.key for r in self._locates()})
        if known or found_by_search or session.method.populations is None:
            return None
        had, levels = other_levels(self.plan, layers, trust)
        if not levels:
            return None
        changed = [*layers, cutoffs.layer(had | levels)]
        try:
            other = _listed(self._value(request, line, changed, case))
        except (ModelError, SolveError):
            return None
        if other.shape != got.shape or not np.isfinite(got).any():
            return None
        larger = all(levels[n] >= had[n] for n in levels)
        there = self._solve(line, changed, case).trust
        beyond = share_beyond(trust, there, levels, fewer=not larger)
        return beyond * float(np.nanmax(np.abs(other - got)))

    def _case(self, request: tree.Expect) -> str | None:
        """The case of an expectation: the one it names, or the only one."""
        return self._chosen(request, "case") or (
            self.plan.cases[0] if len(self.plan.cases) == 1 else None
        )

    def _compare(self, request: tree.Expect, line: Line) -> tuple[np.ndarray, bool]:
        """The values, and whether they are as expected."""
        case = self._case(request)
        if case is not None and case not in self.plan.model.cases:
            raise ModelError(
                [Diagnostic("E701", f"there is no case '{case}'", request.span)]
            )
        layers = self._layers(request, line, case)
        scope = self.plan.model.scope
        outcome = request.outcome
        got = self._mean(request, line, layers, case)
        if outcome.word == "none":
            return got, bool(np.isnan(got).all())
        assert outcome.value is not None
        environment = Environment(self.plan.model, layers, self.plan.options.seed)
        located = Located(self._session(line), self._locates(), layers, case)
        numbers = _AtEvaluator(environment, located)
        wanted = _listed(numbers.evaluate(outcome.value, scope))
        if outcome.word in ("below", "above"):
            right = (
                got.real < wanted.real
                if outcome.word == "below"
                else got.real > wanted.real
            )
            return got, bool(np.all(right))
        error = (
            _listed(numbers.evaluate(outcome.error, scope)).real
            if outcome.error is not None
            else _EXACT * np.maximum(np.abs(wanted), 1e-300)
        )
        if got.shape != wanted.shape:
            message = f"{got.size} numbers come out, {wanted.size} are expected"
            raise ModelError([Diagnostic("E720", message, request.value.span)])
        return got, bool(np.all(np.abs(got - wanted) <= error))

    def _mean(
        self,
        request: tree.Expect,
        line: Line,
        layers: list[tuple[Override, ...]],
        case: str | None,
    ) -> np.ndarray:
        """The values, of measures averaged over the draws of disorder.

        Raises:
            ModelError: E724 for an expression, of which the mean is not that of its measures.
        """
        draws = self.plan.draws
        if draws == 1 or self._only_located(request.value):
            return _listed(self._value(request, line, layers, case))
        node = request.value
        named = node.function if isinstance(node, tree.Call) else node
        if getattr(named, "key", None) not in self.plan.measures:
            message = "a mean over draws is that of a measure, not of an expression"
            help_ = "name what is expected: 'measure y = ...', then 'expect y'"
            raise ModelError([Diagnostic("E724", message, node.span, help=help_)])
        found = [
            _listed(self._value(request, line, layers, case, draw))
            for draw in range(draws)
        ]
        return np.asarray(np.mean(found, axis=0))

    def _value(
        self,
        request: tree.Expect,
        line: Line,
        layers: list[tuple[Override, ...]],
        case: str | None,
        draw: int = 0,
    ) -> Any:
        """The expected expression at its point."""
        scope = self.plan.model.scope
        if self._only_located(request.value):
            located = Located(self._session(line), self._locates(), layers, case)
            environment = Environment(self.plan.model, layers, self.plan.options.seed)
            return _AtEvaluator(environment, located).evaluate(request.value, scope)
        known = self._known(request, line, layers, case)
        if known is not None:
            return known.value
        evaluator = self._solve(line, layers, case, draw).evaluator
        value = evaluator.evaluate(request.value, scope)
        for setting in request.at or ():
            place = setting.place
            if isinstance(place, tree.Place) and self._is_dimension(place.name.key):
                if place.name.key in ("method", "case"):
                    continue
                wanted = evaluator.environment.numbers.evaluate(setting.value, scope)
                value = _pick(value, place, evaluator, wanted)
        return value

    def _only_located(self, node: tree.Expr) -> bool:
        """Whether an expression needs no state of its own."""
        names = {r.name.key for r in self._locates()}
        return mentions(node, names) and not mentions(node, set(self.plan.measures))


def _of(name: str) -> str:
    """What the truncation error of a measure is called."""
    return f"truncation_error of {name}"


def refusal(fault: Diagnostic) -> bool:
    """Whether a method says that it is not for this model."""
    return fault.code in (
        "E401",
        "E404",
        "E410",
        "E412",
        "E415",
        "E416",
        "E417",
        "E418",
        "E419",
        "E440",
        "E441",
        "E442",
        "E443",
        "E444",
    )


def _name(setting: tree.Setting) -> str:
    """The name that is set."""
    assert isinstance(setting.place, tree.Place)
    return setting.place.name.key


def _pick(
    value: Any, place: tree.Place, evaluator: MeasureEvaluator, wanted: Any
) -> Any:
    """The element of a result at a time or an index."""
    name = place.name.key
    if isinstance(value, dict):
        return value[wanted]
    if name == "time" and evaluator.series:
        times = np.asarray(evaluator.time)
        k = int(np.argmin(np.abs(times - float(wanted))))
        spacing = float(np.diff(times).max()) if len(times) > 1 else 0.0
        if abs(times[k] - float(wanted)) > 1e-9 * max(1.0, spacing):
            raise ModelError(
                [
                    Diagnostic(
                        "E721",
                        f"{show(wanted)} is not on the grid of times",
                        place.span,
                    )
                ]
            )
        return np.asarray(value)[k]
    raise ModelError(
        [
            Diagnostic(
                "E722",
                f"'{place.name.written}' is neither a parameter nor a dimension",
                place.span,
            )
        ]
    )


def _listed(value: Any) -> np.ndarray:
    """A number or a list as a flat complex array."""
    values = value.values() if isinstance(value, dict) else value
    try:
        return np.atleast_1d(
            np.array(
                tuple(values)
                if not np.isscalar(values) and not isinstance(values, np.ndarray)
                else values,
                dtype=complex,
            )
        ).ravel()
    except (TypeError, ValueError):
        raise SolveError(
            Diagnostic("E723", "this is not a number or a list of numbers")
        ) from None


def show_all(values: np.ndarray) -> str:
    """Numbers as text; NaN is "none"."""
    parts = ["none" if np.isnan(v) else show(complex(v)) for v in values]
    return parts[0] if len(parts) == 1 else "[" + ", ".join(parts) + "]"
