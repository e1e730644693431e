r"""One experiment under several methods: where they agree, in units of their errors.

At every point that two methods share, the difference $d$ of a measure is held against
$\sigma = \sqrt{\sigma_1^2 + \sigma_2^2}$, the errors that the methods themselves know (sampling, steps,
cutoffs), and against what may be passed over, five per cent of the larger of the value there
and a tenth of its largest value. An approximation holds at a point where $|d| \le \max(3\sigma, \epsilon)$.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr

# Methods by what they leave out, the exact ones first.
EXACTNESS = (
    "steadystate", "evolve", "floquet", "eigen", "trajectories", "cumulants",
    "fokkerplanck", "langevin", "gaussian", "meanfield", "classical",
)  # fmt: skip
TOLERANCE = 0.05
_SIGMAS = 3.0
_FLOOR = 1e-9


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure under one method against the reference.

    Attributes:
        points: How many points the two share.
        difference: The largest difference, in units of what may be passed over at its point.
        at: Where that is.
        value, reference: The two numbers there.
        sigmas: The difference there in units of the errors; None where neither knows one.
        held: Share of the points at which the method holds.
        where: Those points, in words.
        verdict: `agrees`, `in part`, `deviates`, or `not shared`.
    """

    measure: str
    method: str
    against: str
    points: int
    difference: float
    at: str
    value: float
    reference: float
    sigmas: float | None
    held: float
    where: str
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """The same for machines."""
        return asdict(self)


def reference_method(methods: Mapping[str, str]) -> str:
    """The label of the line that leaves out least; the first of equals."""
    order = {word: k for k, word in enumerate(EXACTNESS)}
    return min(methods, key=lambda label: order.get(methods[label], len(order)))


def compare(result: Any, tolerance: float = TOLERANCE) -> tuple[Comparison, ...]:
    """Every measure of every method against the one that leaves out least.

    Args:
        result: An experiment with at least two methods.
        tolerance: What may be passed over, relative.
    """
    methods = {line.label: line.method for line in result.plan.lines}
    if len(methods) < 2:
        return ()
    best = reference_method(methods)
    return tuple(_all(result, best, tolerance))


def _all(result: Any, best: str, tolerance: float) -> Iterator[Comparison]:
    dataset: xr.Dataset = result.dataset
    for name in map(str, dataset.data_vars):
        if name.endswith("_error") and name.removesuffix("_error") in dataset:
            continue
        for line in result.plan.lines:
            if line.label != best:
                yield _one(result, name, line.label, best, tolerance)


def _one(result: Any, name: str, label: str, best: str, tolerance: float) -> Comparison:
    """One measure, one method."""
    dataset = result.dataset
    one = dataset[name].sel({"method": label})
    other = dataset[name].sel({"method": best})
    difference = np.abs(one - other)
    both = np.isfinite(difference.values)
    count = int(both.sum())
    if not count:
        nan = float("nan")
        return Comparison(
            name, label, best, 0, nan, "", nan, nan, None, 0.0, "", "not shared"
        )
    errors = [_error(result, name, x) for x in (label, best)]
    sigma = np.sqrt(errors[0] ** 2 + errors[1] ** 2)
    size = np.abs(other.values)
    largest = float(size[both].max())
    passed = tolerance * np.maximum(size, 0.1 * largest) + _FLOOR
    excess = difference.values / np.maximum(passed, _SIGMAS * sigma)
    holds = both & (excess <= 1)
    worst = int(np.argmax(np.where(both, difference.values / passed, -1.0)))
    known = float(np.broadcast_to(sigma, both.shape).ravel()[worst])
    found = float(difference.values.ravel()[worst])
    share = float(holds.sum()) / count
    return Comparison(
        measure=name,
        method=label,
        against=best,
        points=count,
        difference=found / float(passed.ravel()[worst]),
        at=place(one, worst),
        value=_real(one.values.ravel()[worst]),
        reference=_real(other.values.ravel()[worst]),
        sigmas=found / known if known > 0 else None,
        held=share,
        where=_where(one, holds, both),
        verdict="agrees" if share == 1 else "in part" if share > 0 else "deviates",
    )


def _real(value: Any) -> float:
    """A number, or the modulus of a complex one."""
    return float(abs(value)) if np.iscomplexobj(value) else float(value)


def _error(result: Any, name: str, label: str) -> np.ndarray:
    """What a method knows of the error of a measure: standard error, cutoff and step."""
    dataset = result.dataset
    variable = dataset.get(f"{name}_error")
    given = 0.0 if variable is None else variable.sel({"method": label}).values
    sampled = np.nan_to_num(np.asarray(given, dtype=float))
    trust = result.trust[label]
    more = [
        float(trust.get(f"{kind} of {name}", 0.0))
        for kind in ("truncation_error", "step_error")
    ]
    return np.asarray(np.sqrt(sampled**2 + sum(x**2 for x in more)))


def place(array: xr.DataArray, flat: int) -> str:
    """`Delta = 3`; empty where there are no dimensions."""
    if not array.dims:
        return ""
    index = np.unravel_index(flat, array.shape)
    parts = []
    for dim, k in zip(array.dims, index, strict=True):
        value = array[dim].values[k] if dim in array.coords else k + 1
        shown = value if isinstance(value, str) else f"{value:.4g}"
        parts.append(f"{dim} = {shown}")
    return ", ".join(parts)


def _where(array: xr.DataArray, holds: np.ndarray, both: np.ndarray) -> str:
    """The intervals of a one-dimensional sweep on which a method holds; else a count."""
    count, all_ = int(holds.sum()), int(both.sum())
    if count in (0, all_):
        return "" if count == 0 else "everywhere"
    if array.ndim != 1 or array.dims[0] not in array.coords:
        return f"{count} of {all_} points"
    values = array[array.dims[0]].values[both]
    inside = holds[both]
    pieces = [
        f"{values[first]:.4g}" + (f"..{values[last]:.4g}" if last > first else "")
        for first, last in _runs(inside)
    ]
    if len(pieces) > 3:
        return f"{count} of {all_} points"
    return f"{array.dims[0]} = {', '.join(pieces)}"


def _runs(inside: Sequence[bool] | np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each run of true values."""
    found: list[tuple[int, int]] = []
    for k, value in enumerate(inside):
        if not value:
            continue
        if found and found[-1][1] == k - 1:
            found[-1] = (found[-1][0], k)
        else:
            found.append((k, k))
    return found
