"""Langevin steps of a 30 x 30 optomechanical array: ours against other programs, alternating.

Run: python benchmarks/langevin.py. One thread, CPU time, medians of ratios. NumPy always; the drift in C
where there is a compiler `cc`; XMDS2 where `xmds2` is installed (Debian package of that name).
"""

from __future__ import annotations

import ctypes
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from qsyncdsl import pipeline
from qsyncdsl.algebra.fields import build_fields
from qsyncdsl.lower.langevin import langevin
from qsyncdsl.model.environment import Environment
from qsyncdsl.problem import FieldProblem, Point
from qsyncdsl.resources import bundled_models
from qsyncdsl.solve.fields import numbers
from qsyncdsl.solve.kernels import compiled, kernel_source
from qsyncdsl.solve.lanes import streams
from qsyncdsl.solve.sde_kernel import Kernel

SIDE, LANES, STEPS, DT, REPEATS = 30, 16, 100, 0.02, 7
PEERS = Path(__file__).parent / "peers"
XMDS_STEPS = 20_000


def ours(
    problem: FieldProblem, values: tuple[float, ...], weak: bool, order: int
) -> float:
    """CPU time of STEPS steps, kernel compiled before."""
    kernel = Kernel(problem, numbers(problem, Point(values)), LANES, weak, order)
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


def seconds(work: Callable[[], Any]) -> float:
    """CPU time of this process for some work."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def drift_of_ours(kernel: Kernel) -> Callable[[], None]:
    """STEPS evaluations of the generated drift."""
    values = kernel.values
    # In one compiled loop, as a step does it.
    drift = compiled(kernel_source(kernel.problem, LANES), "drift")
    fixed = [np.ascontiguousarray(x) for x in (values.c.real, values.c.imag)]
    fixed += [np.ascontiguousarray(x) for x in (values.w.real, values.w.imag)]
    fields = [np.full((2 * SIDE**2, LANES), 0.5) for _ in range(4)]

    @njit  # type: ignore[untyped-decorator]
    def repeat(
        count: int,
        c: Any,
        d: Any,
        w: Any,
        v: Any,
        tables: Any,
        x: Any,
        y: Any,
        dx: Any,
        dy: Any,
    ) -> None:
        for _ in range(count):
            drift(c, d, w, v, tables, x, y, dx, dy)

    return lambda: repeat(STEPS, *fixed, kernel.tables, *fields)


def drift_in_c(folder: Path) -> Callable[[], None]:
    """The same by the C file beside this one."""
    library = folder / "peer.so"
    source = PEERS / "optomech_array.c"
    options = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
    subprocess.run(["cc", *options, "-o", str(library), str(source)], check=True)
    sites = np.arange(SIDE**2).reshape(SIDE, SIDE)
    near = [np.roll(sites, s, axis).ravel() for s in (1, -1) for axis in (0, 1)]
    table = np.ascontiguousarray(np.stack(near, 1), dtype=np.int64)
    numbers = (ctypes.c_double * 8)(0.3, 1.0, 0.3, 0.3, 0.074, 0.33, 0.0, 0.075)
    fields = [np.full((SIDE**2, LANES), 0.5) for _ in range(8)]
    arguments = [f.ctypes.data_as(ctypes.c_void_p) for f in fields]
    run = ctypes.CDLL(str(library)).drifts

    def work() -> None:
        run(STEPS, SIDE, table.ctypes.data_as(ctypes.c_void_p), numbers, *arguments)
        assert fields  # kept alive

    return work


def xmds(folder: Path) -> Callable[[], float]:
    """CPU time of the program that XMDS2 makes, for each site and step."""
    shutil.copy(PEERS / "optomech_array.xmds", folder)
    subprocess.run(
        ["xmds2", "optomech_array.xmds"], cwd=folder, check=True, capture_output=True
    )

    def work() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        subprocess.run(
            ["./optomech_array"], cwd=folder, check=True, capture_output=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        return (after - before) / (SIDE**2 * XMDS_STEPS)

    return work


def line(name: str, pairs: list[tuple[float, float]], peer: str) -> None:
    """Medians in nanoseconds and the median of the ratios."""
    mine = statistics.median(m for m, _ in pairs) * 1e9
    theirs = statistics.median(p for _, p in pairs) * 1e9
    ratio = statistics.median(p / m for m, p in pairs)
    print(f"{name:<32} {mine:6.1f} ns   {peer:<6} {theirs:6.1f} ns   {ratio:5.1f} x")


def main() -> None:
    """Print nanoseconds for each site and step, and ratios."""
    model, _ = pipeline.load_source(pipeline.read(bundled_models()["optomech_array"]))
    environment = Environment(model, [])
    lowered = langevin(build_fields(model, environment), "", {"ordering": "naive"})
    parameters = lowered.parameters
    values = tuple(environment.value(model.parameters[n], i) for n, i in parameters)
    problem = lowered.problem
    updates = SIDE**2 * STEPS
    rng = np.random.default_rng(0)
    for name, weak, order in (
        ("Euler-Maruyama, Gaussian", False, 1),
        ("Euler-Maruyama, weak noise", True, 1),
        ("predictor-corrector, Gaussian", False, 2),
    ):
        ours(problem, values, weak, order)
        pairs = []
        for _ in range(REPEATS):
            mine = ours(problem, values, weak, order) / (updates * LANES)
            pairs.append((mine, plain(rng) / (updates * 8)))
        line(name, pairs, "NumPy")
    with tempfile.TemporaryDirectory() as temporary:
        if shutil.which("xmds2"):
            theirs = xmds(Path(temporary))
            pairs = []
            for _ in range(REPEATS):
                mine = ours(problem, values, False, 1) / (updates * LANES)
                pairs.append((mine, theirs()))
            line("Euler-Maruyama, Gaussian", pairs, "XMDS2")
        if shutil.which("cc"):
            kernel = Kernel(problem, numbers(problem, Point(values)), LANES, False, 1)
            mine_drift, c_drift = drift_of_ours(kernel), drift_in_c(Path(temporary))
            mine_drift()
            each = updates * LANES
            pairs = [
                (seconds(mine_drift) / each, seconds(c_drift) / each)
                for _ in range(REPEATS)
            ]
            line("drift alone", pairs, "C")


if __name__ == "__main__":
    main()
