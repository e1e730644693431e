"""Running an experiment: every line over its points, the expectations, the dataset."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from qsyncdsl.diagnostics import ModelError, SolveError
from qsyncdsl.result import Trust
from qsyncdsl.run.dataset import assemble
from qsyncdsl.run.description import line_trust
from qsyncdsl.run.doubts import line_doubts
from qsyncdsl.run.expect import Expectations, Kept, Verdict, refusal
from qsyncdsl.run.follow import line_run
from qsyncdsl.run.line import LineRun, Workshop
from qsyncdsl.run.plan import Plan
from qsyncdsl.run.point_results import PointResult
from qsyncdsl.run.points import Points
from qsyncdsl.run.store.address import Addresses, digest
from qsyncdsl.run.store.columns import Row
from qsyncdsl.run.store.folder import Store
from qsyncdsl.run.store.shelf import Shelf
from qsyncdsl.run.table import Table
from qsyncdsl.run.truncation import examined, examined_search, with_truncation
from qsyncdsl.syntax import tree

if TYPE_CHECKING:
    import xarray as xr

# Called with a label, the number done, the number to do, and facts by name.
Progress = Callable[..., None]


@dataclass(frozen=True)
class ExperimentResult:
    """The outcome of an experiment.

    Attributes:
        table: Measures and located values over method, case and sweeps.
        verdicts: The expectations.
        trust: For each line the worst numbers, facts, warnings and failures, and under `doubts`
            the reasons not to trust a measure, by name.
        seconds: Wall time of each line.
    """

    plan: Plan
    table: Table
    verdicts: tuple[Verdict, ...]
    trust: dict[str, dict[str, Any]]
    seconds: dict[str, float]

    @cached_property
    def dataset(self) -> xr.Dataset:
        """The table as an xarray dataset."""
        return self.table.to_xarray()

    @property
    def doubtful(self) -> bool:
        """Whether a number is not to be trusted."""
        return any(trust["doubts"] for trust in self.trust.values())

    @property
    def failed_points(self) -> int:
        """Points or measures that gave no number."""
        return sum(
            f["points"] for trust in self.trust.values() for f in trust["failures"]
        )


def run_experiment(
    plan: Plan, workshop: Workshop | None = None, expectations: bool = True
) -> ExperimentResult:
    """Run an experiment.

    Args:
        workshop: Where points are computed and kept: here and in memory if not given.
        expectations: Whether to check the `expect` lines too.
    """
    workshop = workshop or Workshop()
    results: dict[str, list[PointResult]] = {}
    seconds: dict[str, float] = {}
    refused: dict[str, str] = {}
    kept: dict[str, Kept] = {}
    for line in plan.lines:
        start = time.perf_counter()
        points = list(plan.points(line)) if wanted(plan) else []
        run = line_run(plan, line, workshop)
        for warning in run.complain():
            workshop.warn(warning)
        reason = _refused(run.points, points) if not len(run.shelf) else ""
        if reason:
            refused[line.label] = reason
            continue
        if run.begun is not None:
            kept[line.label] = run.begun.shelf.all_of
        found = run.run(points) if points else []
        results[line.label] = with_truncation(plan, found, _remembering(run))
        seconds[line.label] = time.perf_counter() - start
    plan = replace(
        plan,
        lines=tuple(line for line in plan.lines if line.label not in refused),
        skipped={**plan.skipped, **refused},
    )
    verdicts = _verdicts(plan, workshop, kept, results) if expectations else ()
    table, trust = _gathered(plan, results)
    return ExperimentResult(plan, table, verdicts, trust, seconds)


def _remembering(run: LineRun) -> Callable[[PointResult, str], PointResult]:
    """What other levels change at a point; kept on the shelf, so that it is found once."""

    def examine(point: PointResult, name: str) -> PointResult:
        place = run.addresses.point(point.index, point.draw)
        key = digest("truncation", place, sorted(run.items.items()), name)
        address, trust = bytes.fromhex(key), point.trust
        known = run.shelf.known(address, {})
        if known is not None:
            numbers = {**trust.numbers, **known.trust.numbers}
            facts = {**trust.facts, **known.trust.facts}
            return replace(point, trust=replace(trust, numbers=numbers, facts=facts))
        session = run.points.session
        told = (
            examined_search(run.plan, run.line, point, name, session)
            if name
            else examined(run.plan, run.line, point, session)
        )
        new = {n: v for n, v in told.trust.numbers.items() if n not in trust.numbers}
        said = {n: v for n, v in told.trust.facts.items() if n not in trust.facts}
        run.shelf.keep([Row(address, PointResult((), {}, Trust(new, said)), {})])
        run.shelf.close()
        return told

    return examine


def wanted(plan: Plan) -> bool:
    """Whether anything is asked of the points of a sweep."""
    requests = plan.experiment.requests
    return bool(plan.measures) or any(isinstance(r, tree.Locate) for r in requests)


def known_so_far(plan: Plan, store: Store) -> ExperimentResult:
    """What a store knows of an experiment, without computing anything."""
    results = {}
    for line in plan.lines:
        points = list(plan.points(line)) if wanted(plan) else []
        run = line_run(plan, line, Workshop(store=store))
        results[line.label] = run.known(points)
    table, trust = _gathered(plan, results)
    return ExperimentResult(plan, table, (), trust, dict.fromkeys(results, 0.0))


def _gathered(
    plan: Plan, results: dict[str, list[PointResult]]
) -> tuple[Table, dict[str, dict[str, Any]]]:
    """The table, and what is known of each line; doubts stand in both."""
    table = assemble(plan, results)
    trust = {label: line_trust(points) for label, points in results.items()}
    for line in plan.lines:
        label = line.label
        trust[label]["doubts"] = line_doubts(table, label, trust[label])
    for name, column in table.data.items():
        found = {
            label: own["doubts"][name]
            for label, own in trust.items()
            if name in own["doubts"]
        }
        if found:
            column.attrs["doubts"] = json.dumps(found)
    return table, trust


def _verdicts(
    plan: Plan,
    workshop: Workshop,
    kept: Mapping[str, Kept],
    results: Mapping[str, list[PointResult]],
) -> tuple[Verdict, ...]:
    """The verdict on every expectation; those that are kept are not looked for again."""
    checker = Expectations(plan, kept, results)
    requests = checker.requests()
    if not requests or not plan.lines:
        return tuple(checker.one(request) for request in requests)
    addresses = Addresses(plan, plan.lines[0])
    store = workshop.store
    shelf = store.verdicts(plan, addresses) if store else Shelf()
    found = []
    try:
        for done, request in enumerate(requests, start=1):
            found.append(_verdict(checker, request, addresses.verdict(request), shelf))
            workshop.tell("expectations", done, len(requests))
    finally:
        shelf.close()
    return tuple(found)


def _verdict(
    checker: Expectations, request: tree.Expect, address: bytes, shelf: Shelf
) -> Verdict:
    known = shelf.known(address, {})
    if known is not None:
        return checker.again(request, known.trust.facts)
    verdict = checker.one(request)
    if verdict.diagnostic is None and verdict.verdict != "skipped":
        facts = {"got": verdict.got, "verdict": verdict.verdict, "doubt": verdict.doubt}
        result = PointResult((), {}, Trust({}, facts))
        shelf.keep([Row(address, result, {})])
    return verdict


def _refused(here: Points, points: list[tuple[int, ...]]) -> str:
    """Why a method is not for this model; empty where it is."""
    if not points:
        return ""
    try:
        here.session.prepare(here.plan.point_layers(here.line, points[0]))
    except ModelError as fault:
        if refusal(fault.diagnostics[0]):
            return fault.diagnostics[0].message
    except SolveError:
        pass
    return ""
