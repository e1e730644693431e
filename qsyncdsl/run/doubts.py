"""Which numbers cannot be trusted, and why: one rule for each kind of error.

A number is doubted where an error that is known to be in it is larger than a thousandth of it, or
than the accuracy that was asked for, or where the state it is read from is no state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from qsyncdsl.run.table import Table

# Errors that are passed over: relative, and absolute for numbers near zero.
RELATIVE, ABSOLUTE = 1e-3, 1e-6
# Populations of a highest level, where the truncation error could not be found.
_TOP = 1e-3
_NEGATIVE, _TRACE = -1e-7, 1e-6
# Error of the elements of a state by the steps between two kicks.
_FLOW = 1e-7
# Findings that concern every number of a line.
_CODES = frozenset({"W504", "W564", "W506", "W511", "W520", "W525", "W526"})
# Steps of a run on which a negative diffusion was taken as 0.
_CLIPPED = 1e-2
# Part of a state that a map may miss.
_OUTSIDE = 1e-2
# Relative error of an exact equation of moments, by what truncated Wigner leaves out: numbers were seen to be off
# by a part of it up to all of it.
_RESIDUAL = 0.05
# Relative change by another closure.
_CLOSURE = 0.03
# Relative change by what linearized fluctuations leave out.
_BACK_ACTION = 0.05
# Relative change of a number from the start of its window to the end.
_DRIFT = 0.1
# Jumps that each realization was to be expected to have, where all together had fewer than ten.
_RARE = 1e-3
# Independent samples below which a standard error means nothing.
_SAMPLES = 10.0


def doubts(
    trust: Mapping[str, Any],
    scales: Mapping[str, float],
    errors: Mapping[str, float],
    accuracy: float = 0.0,
) -> dict[str, tuple[str, ...]]:
    """The reasons to doubt each measure of a line; measures without reasons are left out.

    Args:
        trust: The worst numbers of the line, its facts and warnings.
        scales: Largest modulus of each measure.
        errors: Largest standard error of each measure, where there is one.
        accuracy: What was asked for; 0 where nothing was.
    """
    common = tuple(_common(trust))
    found = {}
    for name, scale in scales.items():
        own = _own(trust, name, scale, errors.get(name, 0.0), accuracy)
        reasons = (*common, *own)
        if reasons:
            found[name] = reasons
    return found


def line_doubts(
    table: Table, label: str, trust: Mapping[str, Any]
) -> dict[str, tuple[str, ...]]:
    """The doubts of one line of a table."""
    scales, errors = {}, {}
    for name, column in table.data.items():
        own = np.abs(column.at("method", table.line(label)).values)
        if name.endswith("_error") and name.removesuffix("_error") in table.data:
            errors[name.removesuffix("_error")] = _most(own)
        elif np.isfinite(own).any():
            scales[name] = _most(own)
    return doubts(trust, scales, errors)


def _most(values: np.ndarray) -> float:
    """The largest finite value; 0 if there is none."""
    finite = values[np.isfinite(values)]
    return float(finite.max(initial=0.0))


def _common(trust: Mapping[str, Any]) -> Iterator[str]:
    """Reasons that concern every measure."""
    known = any(name.startswith("truncation_error of ") for name in trust)
    for name, value in trust.items():
        if not isinstance(value, float):
            continue
        if name.startswith("top_population_") and value > _TOP and not known:
            label = name.removeprefix("top_population_")
            yield f"the highest level of '{label}' has population {value:.1e}"
    smallest = trust.get("smallest_eigenvalue", 0.0)
    if smallest < _NEGATIVE:
        yield f"the density matrix has the eigenvalue {smallest:.1e}"
    trace = trust.get("trace_error", 0.0)
    if trace > _TRACE:
        yield f"the trace is off by {trace:.1e}"
    flow = trust.get("flow_error", 0.0)
    if flow > _FLOW:
        yield f"the flow between kicks leaves an error of {flow:.1e}"
    moved = trust.get("density_change", 0.0)
    if moved > RELATIVE:
        yield f"the moments of its density still change by {100 * moved:.2g} %"
    clipped = trust.get("clipped_fraction", 0.0)
    if clipped > _CLIPPED:
        yield f"the diffusion is negative in {100 * clipped:.2g} % of the steps"
    if trust.get("rare_jumps", 0.0) > _RARE:
        yield "its realizations had fewer than ten jumps in all: take more of them"
    for name, value in trust.items():
        if name.startswith("wigner_residual_") and value > _RESIDUAL:
            label = name.removeprefix("wigner_residual_")
            yield (
                f"its Wigner function breaks an equation of moments of '{label}' by {100 * value:.2g} %, "
                "which truncated Wigner leaves out"
            )
    closures = str(trust.get("closures", ""))
    if "gives no answer" in closures:
        yield f"the closure of {closures}"
    for warning in trust.get("warnings", ()):
        if warning["code"] in _CODES:
            yield str(warning["message"])


def _own(
    trust: Mapping[str, Any], name: str, scale: float, error: float, accuracy: float
) -> Iterator[str]:
    """Reasons that concern one measure."""
    limit = (
        accuracy * max(1.0, scale) * 1.001
        if accuracy
        else max(ABSOLUTE, RELATIVE * scale)
    )
    cut = trust.get(f"truncation_error of {name}", 0.0)
    if cut > limit:
        yield f"other cutoffs change it by {cut:.2g}"
    step = trust.get(f"step_error of {name}", 0.0)
    if step > max(limit, 2 * error):
        yield (
            f"the steps of its integration leave an error of {step:.2g}"
            if "tolerance" in trust
            else f"a step of twice the length changes it by {step:.2g}"
        )
    closed = trust.get(f"closure_difference of {name}", 0.0)
    if closed > max(ABSOLUTE, _CLOSURE * scale):
        yield f"another closure changes it by {closed:.2g}"
    back = trust.get(f"back_action of {name}", 0.0)
    if back > max(ABSOLUTE, _BACK_ACTION * scale):
        yield f"fluctuations that act back on means change it by {back:.2g}"
    outside = trust.get(f"outside of {name}", 0.0)
    if outside > _OUTSIDE:
        yield f"its map misses {100 * outside:.3g} % of the state: give an extent"
    drift = trust.get(f"drift of {name}", 0.0)
    if drift > max(limit, _DRIFT * scale, 2 * error):
        yield f"it changes by {drift:.2g} within its window: start that later"
    if trust.get(f"lone of {name}", 0.0):
        yield "it is that of one realization, without an error: give realizations"
    samples = trust.get(f"effective_samples of {name}", _SAMPLES)
    if samples < _SAMPLES:
        yield f"it rests on {samples:.2g} independent samples"
