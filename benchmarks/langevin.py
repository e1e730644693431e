"""Langevin steps of a 30 x 30 optomechanical array: ours against vectorized NumPy, alternating.

Run: python benchmarks/langevin.py. One thread, CPU time, medians of ratios.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from qsyncdsl import pipeline
from qsyncdsl.algebra.fields import build_fields
from qsyncdsl.lower.langevin import langevin
from qsyncdsl.model.environment import Environment
from qsyncdsl.problem import FieldProblem, Point
from qsyncdsl.resources import bundled_models
from qsyncdsl.solve.fields import numbers
from qsyncdsl.solve.lanes import streams
from qsyncdsl.solve.sde import _Kernel

SIDE, LANES, STEPS, DT, REPEATS = 30, 16, 100, 0.02, 7


def ours(
    problem: FieldProblem, values: tuple[float, ...], weak: bool, order: int
) -> float:
    """CPU time of STEPS steps, kernel compiled before."""
    kernel = _Kernel(problem, numbers(problem, Point(values)), LANES, weak, order)
    start = np.full((problem.count, LANES), 0.5 + 0.5j)
    times = np.array([STEPS * DT])
    begin = time.process_time()
    list(kernel.run(start, streams(0, 0, LANES), times, DT, False))
    return time.process_time() - begin


def plain(rng: np.random.Generator) -> float:
    """The same with arrays: Euler-Maruyama, 8 realizations at once, as a user would write it."""
    g0 = kappa = 0.3
    drive, gamma, delta, hop = 0.33, 0.074, 0.3, 0.3
    shape = (8, SIDE, SIDE)
    a, b = np.full(shape, 0.5 + 0.5j), np.full(shape, 0.5 + 0.5j)
    noise_a, noise_b = np.sqrt(kappa / 4 * DT), np.sqrt(gamma / 4 * DT)
    begin = time.process_time()
    for _ in range(STEPS):
        near = sum(np.roll(b, s, axis) for s in (1, -1) for axis in (1, 2))
        da = (1j * delta + 2j * g0 * b.real - kappa / 2) * a - 1j * drive
        db = (-1j - gamma / 2) * b + 1j * g0 * np.abs(a) ** 2 + 1j * hop / 4 * near
        a += da * DT + noise_a * (
            rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
        )
        b += db * DT + noise_b * (
            rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
        )
    return time.process_time() - begin


def main() -> None:
    """Print nanoseconds for each site and step, and ratios."""
    model, _ = pipeline.load_source(pipeline.read(bundled_models()["optomech_array"]))
    environment = Environment(model, [])
    lowered = langevin(build_fields(model, environment), "", {"ordering": "naive"})
    parameters = lowered.parameters
    values = tuple(environment.value(model.parameters[n], i) for n, i in parameters)
    updates = SIDE**2 * STEPS
    rng = np.random.default_rng(0)
    for name, weak, order in (
        ("Euler-Maruyama, Gaussian", False, 1),
        ("Euler-Maruyama, weak noise", True, 1),
        ("predictor-corrector, Gaussian", False, 2),
    ):
        ours(lowered.problem, values, weak, order)
        pairs = []
        for _ in range(REPEATS):
            mine = ours(lowered.problem, values, weak, order) / (updates * LANES)
            pairs.append((mine, plain(rng) / (updates * 8)))
        ratio = statistics.median(p / m for m, p in pairs)
        mine = statistics.median(m for m, _ in pairs)
        theirs = statistics.median(p for _, p in pairs)
        print(
            f"{name:<32} {mine * 1e9:6.1f} ns   NumPy {theirs * 1e9:6.1f} ns   {ratio:5.1f} x"
        )


if __name__ == "__main__":
    main()
