"""Means over draws of disorder, with what is known against any of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from qsyncdsl.diagnostics import Diagnostic
from qsyncdsl.result import Trust
from qsyncdsl.run.labels import Labelled
from qsyncdsl.run.point_results import PointResult

# Numbers of which the smallest is the worst.
_SMALL_IS_BAD = ("smallest", "effective_samples")
# Coordinate of distributions over levels or numbers of events: where they end nothing follows.
_COUNTED = "n"


def averaged(draws: Sequence[PointResult]) -> PointResult:
    """The measures of a point averaged over draws of disorder, with standard errors."""
    first = draws[0]
    if len(draws) == 1:
        return first
    failures = {name: fault for d in draws for name, fault in d.failures.items()}
    measures: dict[str, Labelled] = {}
    for name in first.measures:
        values = [d.measures[name] for d in draws if name in d.measures]
        if len(values) < len(draws):
            continue
        mean = average(values)
        if mean is None:
            failures[name] = _apart(name)
        else:
            measures[name] = mean
    trust = together(d.trust for d in draws)
    return replace(first, measures=measures, failures=failures, trust=trust)


def average(draws: Sequence[Labelled]) -> Labelled | None:
    r"""Mean over draws with its standard error; None where they are values of different arguments.

    $\sigma^2 = \frac{1}{n(n-1)}\sum_k(x_k - \bar x)^2$, of complex numbers with the modulus.
    """
    if len(draws) == 1:
        return draws[0]
    alike = _alike(draws)
    if alike is None:
        return None
    stack = np.array([draw.values for draw in alike])
    error = stack.std(axis=0, ddof=1) / np.sqrt(len(draws))
    return Labelled(stack.mean(axis=0), alike[0].dims, alike[0].coords, error)


def _alike(draws: Sequence[Labelled]) -> list[Labelled] | None:
    """The draws on the same coordinates; shares of numbers of quanta or of events end in zeros."""
    longest = max(draws, key=lambda draw: draw.values.size)
    if longest.dims == (_COUNTED,):
        draws = [_filled(draw, longest) for draw in draws]
    same = all(
        draw.dims == longest.dims
        and draw.values.shape == longest.values.shape
        and all(
            np.array_equal(draw.coords[dim], along)
            for dim, along in longest.coords.items()
        )
        for draw in draws
    )
    return list(draws) if same else None


def _filled(draw: Labelled, longest: Labelled) -> Labelled:
    if draw.dims != longest.dims:
        return draw
    values = np.zeros(longest.values.shape, dtype=draw.values.dtype)
    values[: len(draw.values)] = draw.values
    return replace(draw, values=values, coords=longest.coords)


def _apart(name: str) -> Diagnostic:
    """E662: values that have no mean."""
    return Diagnostic(
        "E662",
        f"'{name}' has no mean over the draws: it has other arguments, or another length, in each",
        help="give its grid or extent, or measure a number",
    )


def together(found: Iterable[Trust]) -> Trust:
    """The worst numbers of several reports, the facts of the first, each warning once."""
    reports = list(found)
    facts: dict[str, str] = {}
    warnings: dict[tuple[str, str | None], Diagnostic] = {}
    for trust in reports:
        facts = {**trust.facts, **facts}
        for warning in trust.warnings:
            known = warnings.setdefault((warning.code, warning.help), warning)
            if warning.message > known.message:
                warnings[warning.code, warning.help] = warning
    numbers = worst(trust.numbers for trust in reports)
    return Trust(numbers, facts, tuple(warnings.values()))


def worst(found: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The worst of each number by name."""
    columns: dict[str, list[float]] = {}
    for numbers in found:
        for name, value in numbers.items():
            columns.setdefault(name, []).append(value)
    return {
        name: float((min if name.startswith(_SMALL_IS_BAD) else max)(values))
        for name, values in columns.items()
    }
