"""Ratios of CPU time against plain QuTiP, alternating in one process.

OMP_NUM_THREADS=1 python benchmarks/steady_states.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import qutip

from qsyncdsl import pipeline
from qsyncdsl.source import Source

KERR = (
    "vdp_kerr",
    pipeline.Request(sets=("levels=16",), sweeps=("Delta = linspace(-K, 5*K, 241)",)),
    "S = abs(<a>)/sqrt(<a'*a>)",
)

PAIR = """
parameter N = 14
mode a1, a2 : boson(levels = 14)
hamiltonian 0.15*(a1'*a1 - a2'*a2)
dissipator 1 : a1', a2'
dissipator 3/14 : a1^2, a2^2
coupling 0.5 : a1 - a2
experiment pair { solve steadystate; measure n = <a1'*a1> }
"""


def kerr_ours() -> np.ndarray:
    name, request, measure = KERR
    return (
        pipeline.evaluate(name, ["steadystate"], [measure], request)
        .dataset["S"]
        .values[0]
    )


def kerr_qutip() -> np.ndarray:
    found = []
    for detuning in np.linspace(-50, 250, 241):
        a = qutip.destroy(16)
        n = a.dag() * a
        h = -detuning * n + 50 * n * n + 2.25j * (a - a.dag())
        rho = qutip.steadystate(h, [a.dag(), np.sqrt(7) * a * a])
        found.append(abs(qutip.expect(a, rho)) / np.sqrt(qutip.expect(n, rho)))
    return np.array(found)


def pair_ours() -> np.ndarray:
    model, _ = pipeline.load_source(Source("pair", PAIR))
    (result,) = pipeline.run_model(model, pipeline.Request())
    return result.dataset["n"].values


def pair_qutip() -> np.ndarray:
    a = qutip.destroy(14)
    one = qutip.qeye(14)
    x, y = qutip.tensor(a, one), qutip.tensor(one, a)
    h = 0.15 * (x.dag() * x - y.dag() * y)
    jumps = [
        x.dag(),
        y.dag(),
        np.sqrt(3 / 14) * x**2,
        np.sqrt(3 / 14) * y**2,
        np.sqrt(0.5) * (x - y),
    ]
    return np.array([qutip.expect(x.dag() * x, qutip.steadystate(h, jumps))])


def cpu(function: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    start = time.process_time()
    value = function()
    return time.process_time() - start, value


def main() -> None:
    for name, ours, plain in (
        ("driven Kerr vdP, 241 detunings, N = 16", kerr_ours, kerr_qutip),
        ("two coupled vdP, N = 14", pair_ours, pair_qutip),
    ):
        cpu(ours)
        ratios, times, worst = [], [], 0.0
        for _ in range(3):
            own, value = cpu(ours)
            other, expected = cpu(plain)
            ratios.append(other / own)
            times.append(own)
            worst = max(worst, float(np.abs(np.ravel(value) - expected).max()))
        ratio, seconds = statistics.median(ratios), statistics.median(times)
        print(
            f"{name:<42} {seconds:7.3f} s   QuTiP/ours {ratio:5.1f}   largest difference {worst:.1e}"
        )


if __name__ == "__main__":
    main()
