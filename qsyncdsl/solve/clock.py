"""The period of a kicked or periodic model, and how many periods make a cycle."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import LindbladProblem, Point
from qsyncdsl.solve import coefficients
from qsyncdsl.solve.checks import refuse_unphysical
from qsyncdsl.solve.kick_maps import period as kick_period

# Largest b in f T/hbar = a/b for which the map over b periods is solved.
_LONGEST = 64
# Agreement of a coefficient with itself one period later.
_PERIODIC = 1e-9


@dataclass(frozen=True)
class Clock:
    """The period and how many of them make a cycle; None where no cycle closes."""

    period: float
    count: int | None


def clock_of(problem: LindbladProblem, point: Point, f: np.ndarray) -> Clock:
    """The period of everything, and the number of periods after which the map returns.

    Raises:
        SolveError: E540, E544, E545.
    """
    given = float(np.real(point.options.get("period", 0) or 0))
    kicks = kick_period(problem, f) if problem.kicks else 0.0
    if given < 0 or not np.isfinite(given):
        raise SolveError(Diagnostic("E540", f"a period is positive, not {given:g}"))
    if not (given or kicks):
        raise SolveError(
            Diagnostic(
                "E544",
                "what is the period of this model?",
                help="give it: floquet(period = 2*pi/w), or kick the model: kick every T : G",
            )
        )
    inner = 1
    if given and kicks:
        inner = round(given / kicks)
        if inner < 1 or abs(inner * kicks - given) > 1e-9 * given:
            raise SolveError(
                Diagnostic(
                    "E540",
                    f"the period {given:g} is no multiple of that of the kicks, {kicks:g}",
                    help="leave the option away, or give the period of the coefficients",
                )
            )
    base = kicks or given
    _refuse_aperiodic(problem, point, base * inner)
    turns = [_fraction(float(f[force.rate].real) * base) for force in problem.forces]
    if any(turn is None for turn in turns):
        return Clock(base, None)
    count = lcm(inner, *(turn.denominator for turn in turns if turn is not None))
    return Clock(base, count if count <= _LONGEST else None)


def _refuse_aperiodic(problem: LindbladProblem, point: Point, period: float) -> None:
    """E545 unless every coefficient is the same one period later."""
    moving = problem.coefficients
    if not moving.time_dependent:
        return
    for part in (0.0, 0.137, 0.291, 0.4434, 0.6182, 0.787, 0.921):
        now = coefficients.evaluate(moving, point.values, part * period)
        later = coefficients.evaluate(moving, point.values, (part + 1) * period)
        change = np.abs(later - now) > _PERIODIC * np.maximum(np.abs(now), 1.0)
        if change.any():
            k = int(np.argmax(change))
            message = (
                f"a coefficient is not periodic: {complex(now[k]).real:.6g} at t = "
                f"{part * period:.4g} and {complex(later[k]).real:.6g} one period later"
            )
            raise SolveError(
                Diagnostic(
                    "E545",
                    message,
                    help=f"floquet(period = ...) takes the common period of all, not {period:g}",
                )
            )
        refuse_unphysical(problem, now)


def periods_asked(point: Point, period: float) -> int:
    """Periods of the record that is asked for; 0 for a steady state.

    Raises:
        SolveError: E547 for numbers that make no record, E548 for `times`.
    """
    if "times" in point.options:
        raise SolveError(
            Diagnostic(
                "E548",
                "'floquet' knows the state at the end of each period only",
                help="ask for floquet(periods = 100), or solve by 'evolve'",
            )
        )
    if "periods" in point.options:
        count = int(point.options["periods"])
    elif "time" in point.options:
        count = round(float(np.real(point.options["time"])) / period)
    else:
        return 0
    if count < 1:
        raise SolveError(Diagnostic("E547", "a record has at least one period"))
    if point.initial is None:
        raise SolveError(
            Diagnostic(
                "E511",
                "a record needs an initial state",
                help="initial r = coherent(x = 0, p = 2)",
            )
        )
    return count


def _fraction(turns: float) -> Fraction | None:
    """A simple fraction a/b; None where there is none."""
    found = Fraction(turns).limit_denominator(_LONGEST)
    return found if abs(float(found) - turns) < 1e-9 * max(abs(turns), 1.0) else None
