"""What is known of one solved point: its measures can be read, it can be kept, and others can start from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qsyncdsl.measure.evaluate import MeasureEvaluator
from qsyncdsl.model.environment import Environment
from qsyncdsl.result import Trust
from qsyncdsl.run.methods.entry import Closure, Replicas


@dataclass(frozen=True)
class Solved:
    """One solved point: what its measures are read from.

    Attributes:
        populations: Of the levels of every boson, by label; empty where there are no cutoffs.
        errors: What a larger cutoff changes of each measure, where it was tried.
        levels: The cutoffs that were chosen for that.
        again: The same with other tolerances of the steps and times of an average, by what these are
            multiplied; None where nothing is integrated in time.
        thinned: An average over a window from fewer of its times; None where there is none.
        closure: Another closure; None where there is none.
        few: From few of them, as `again(factor, finer, few=True)` takes them too.
    """

    evaluator: MeasureEvaluator
    environment: Environment
    trust: Trust
    replicas: Callable[[], Replicas | None]
    measured: Callable[[tuple[Any, ...]], MeasureEvaluator]
    ending: Callable[[], Mapping[str, np.ndarray] | None]
    state: Callable[[], Mapping[str, np.ndarray] | None]
    populations: Callable[[], Mapping[str, np.ndarray]] = dict
    guess: Callable[[], Mapping[str, np.ndarray] | None] = lambda: None
    errors: Mapping[str, float] = field(default_factory=dict)
    levels: Mapping[str, int] = field(default_factory=dict)
    again: Callable[..., Solved] | None = None
    thinned: Callable[[], MeasureEvaluator | None] = lambda: None
    few: Callable[[], MeasureEvaluator | None] = lambda: None
    closure: Callable[[], Closure | None] = lambda: None


@dataclass(frozen=True)
class Kept:
    """A result that was kept as arrays, and what was known of its error."""

    arrays: Mapping[str, np.ndarray]
    trust: Trust


@dataclass(frozen=True)
class Before:
    """Where the point before ended, and how many points there were before."""

    state: Mapping[str, np.ndarray]
    steps: int
