"""What a dataset says of itself: units, what was computed and how, how far it can be trusted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from qsyncdsl.model.environment import Environment
from qsyncdsl.run.averages import worst
from qsyncdsl.run.plan import Plan
from qsyncdsl.run.point_results import PointResult
from qsyncdsl.run.table import Table
from qsyncdsl.syntax.walk import mentions

_VERSIONS = ("qsyncdsl", "numpy", "scipy", "sympy", "qutip", "xarray")


def split_unit(text: str) -> dict[str, str]:
    """`"frequency [MHz]"` as a long name and units.

    >>> split_unit("frequency [MHz]")
    {'long_name': 'frequency', 'units': 'MHz'}
    """
    if text.endswith("]") and "[" in text:
        name, _, unit = text[:-1].rpartition("[")
        return {"long_name": name.strip(), "units": unit.strip()}
    return {"long_name": text} if text else {}


def describe(plan: Plan, table: Table) -> None:
    """Give parameters and measures their long names and units."""
    for name, parameter in plan.model.parameters.items():
        if name in table.coords:
            table.coords[name].attrs.update(split_unit(parameter.description))
    for name, request in {**plan.measures, **plan.staircases}.items():
        if name in table.data and request.description:
            table.data[name].attrs.update(split_unit(request.description.value))
    if "time" in table.coords:
        table.coords["time"].attrs.setdefault("long_name", "time")


def attributes(
    plan: Plan, results: Mapping[str, Sequence[PointResult]]
) -> dict[str, Any]:
    """All that is needed to know what was computed, and how."""
    model = plan.model
    environment = Environment(model, plan.layers(plan.cases[0]), plan.options.seed)
    trust = {label: line_trust(points) for label, points in results.items()}
    return {
        "title": model.title,
        "model": Path(model.source.name).stem,
        "experiment": plan.experiment.name,
        "description": plan.experiment.description,
        "references": "\n".join(model.references),
        "parameters": json.dumps(
            {k: _plain(v) for k, v in environment.all_values().items()}
        ),
        "settled": json.dumps(sorted(_settled(plan))),
        "methods": json.dumps({line.label: line.node.span.text for line in plan.lines}),
        "skipped": json.dumps(dict(plan.skipped)),
        "notes": "\n".join(plan.notes),
        "trust": json.dumps(trust, sort_keys=True),
        "seed": plan.options.seed,
        "versions": json.dumps(versions()),
        "model_text": model.source.text,
    }


def _settled(plan: Plan) -> set[str]:
    """Parameters that a setting made independent of all swept ones."""
    swept = {name for axis in plan.axes for name in axis.names}
    return {
        override.name
        for layer in plan.layers(plan.cases[0])
        for override in layer
        if isinstance(override.value, int | float | complex)
        or not mentions(override.value, swept)
    }


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    found = {}
    for name in _VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def line_trust(points: Sequence[PointResult]) -> dict[str, Any]:
    """The worst numbers of a line, its facts, and its warnings, each once with a count."""
    numbers = worst(point.trust.numbers for point in points)
    facts: dict[str, str] = {}
    for point in points:
        for name, fact in point.trust.facts.items():
            facts.setdefault(name, fact)
    warnings: dict[str, list[Any]] = {}
    for point in points:
        for warning in point.trust.warnings:
            key = f"{warning.code} {warning.help}"
            warnings.setdefault(key, [warning, 0])[1] += 1
            if warning.message > warnings[key][0].message:
                warnings[key][0] = warning
    failures: dict[str, list[Any]] = {}
    for point in points:
        for name, fault in point.failures.items():
            failures.setdefault(f"{name} {fault.message}", [name, fault, 0])[2] += 1
    return {
        **numbers,
        **facts,
        "warnings": [
            {"code": w.code, "message": w.message, "help": w.help, "points": n}
            for w, n in warnings.values()
        ],
        "failures": [
            {"measure": name, "code": f.code, "message": f.message, "points": n}
            for name, f, n in failures.values()
        ],
    }


def _plain(value: Any) -> Any:
    """A parameter's value for JSON."""
    return {"re": value.real, "im": value.imag} if isinstance(value, complex) else value
