"""What every problem has: coefficients as functions of the parameters, and points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qsyncdsl.diagnostics import ModelError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Coefficients:
    r"""The functions $f_k(p, t)$ as readable source text.

    Attributes:
        parameters: Names of the parameters, in the order of the argument `p`.
        source: `def coefficients(p, t): ... return (f_0, f_1, ...)`; plain Python on `math`
            and `cmath` names, fit to be printed, hashed and sent to a worker.
        count: Number of functions.
        time_dependent: Indices of those in which `t` occurs.
    """

    parameters: tuple[str, ...]
    source: str
    count: int
    time_dependent: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Varying:
    """A coefficient that differs from site to site.

    Attributes:
        coefficient: Index of its function f_k.
        gather: For each parameter of f_k that is an array, the position in it for each instance.
    """

    coefficient: int
    gather: Mapping[str, np.ndarray] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lowered:
    """A problem of one method, and which parameters its coefficients depend on, in order."""

    problem: Any
    parameters: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One point of parameter space at which a problem is solved.

    Attributes:
        values: Values of `Coefficients.parameters`, in order.
        initial: Density matrix or state vector at the start, where the method needs one.
            For fields means and variances, shape (2, F); for product states the factors of
            all modes; for moments the `Law` of each mode.
        times: Grid of times, where the method needs one.
        options: The options of the solve line at this point.
        seed: Of everything random at this point.
        requests: What trajectories shall record, each a `Request`.
        previous: What the method made of the end of the point before, where points follow one
            another; it takes the place of the initial state.
        tell: Called with the share that is done of a point that takes long.
        middle: Values of the parameters in the middle of the stretch of a sweep that the point is part
            of, where what was made there may serve the whole stretch.
        guess: What was found at the same point with other cutoffs, where that helps.
        sole: Whether the answer is known to be the only one: it is with other cutoffs.
        fewer: Gives the solver and the point of the same answer with fewer levels, which was found already.
        coarser: What the tolerance of an integration in time is multiplied by: above 1 for a run that tells
            the error of another, below 1 for an accuracy.
        alone: Whether it is the only point of its line.
    """

    values: tuple[Any, ...]
    initial: Any = field(default=None, repr=False)
    times: np.ndarray | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    requests: tuple[Any, ...] = field(default=(), repr=False)
    previous: Mapping[str, np.ndarray] | None = field(default=None, repr=False)
    tell: Callable[[float], None] | None = field(
        default=None, repr=False, compare=False
    )
    middle: tuple[Any, ...] | None = field(default=None, repr=False)
    sole: bool = False
    guess: Mapping[str, np.ndarray] | None = field(default=None, repr=False)
    fewer: Callable[[], tuple[Any, Point]] | None = field(default=None, repr=False)
    coarser: float = 1.0
    alone: bool = False

    @property
    def longer(self) -> float:
        """What a longest step is multiplied by: as steps of order 8 for such a tolerance are."""
        return float(self.coarser**0.125)

    @property
    def start(self) -> Any:
        """The initial state of a stationary problem, which is asked for where there are several answers.

        Raises:
            ModelError: E340 for one that does not fit.
        """
        if isinstance(self.initial, ModelError):
            raise self.initial
        return self.initial
