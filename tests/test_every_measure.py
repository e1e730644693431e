"""Every measure of the language under every method: a value, or a refusal that says why."""

import re

import pytest

from qsyncdsl.registry import measures
from tests.conftest import run_text

# One argument of each kind; lists, words and expressions by the name of the argument.
ARGUMENTS = {
    "mode": "a", "subsystem": "a", "operator": "a'*a", "integer": "1", "state": "[vacuum, vacuum]",
    "rerun": "<a>", "condition": "abs(<a>) > 0.1", "expression": "real(<a>)", "real": "0.3",
    "syntax": "h", "list": "[0, 1]", "measure": "m", "number": "1",
}  # fmt: skip
SECOND = {"mode": "b", "subsystem": "b"}
# Undefined in this model: no stay ends, no orbit closes, the vacuum at t = 0 has no phase and no g2.
UNDEFINED = {"x_residence_times", "x_period", "x_g2", "x_sync_phase"}
# Words whose arguments are not those of this model; they have tests of their own.
ELSEWHERE = {"pair_energies", "plateaus"}

TWO = """
mode a, b : boson(levels = 3)
hamiltonian 0.3*a'*a - 0.2*b'*b + 0.2*(a + a')
coupling   0.25*(a'*b + h.c.)
dissipator 1 : a
dissipator 0.8 : b
dissipator 0.1 : a'
"""
LATTICE = """
lattice s = complete(100)
mode a[s] : boson(levels = 3)
hamiltonian 0.3*a[j]'*a[j] for j in s
coupling   0.25/100*(a[j]'*a[k] + h.c.) for (j, k) in s.edges
dissipator 1 : a[j] for j in s
dissipator 0.1 : a[j]' for j in s
"""
SOLVES = [
    "steadystate", "evolve(times = linspace(0, 2, 5))", "evolve(time = 2)", "eigen",
    "trajectories(times = linspace(0, 2, 5), realizations = 4, cutoff = warn)",
    "trajectories(time = 2, realizations = 4, cutoff = warn)",
    "langevin(times = linspace(0, 2, 5), realizations = 16)", "langevin(time = 2, realizations = 16)",
    "classical(times = linspace(0, 2, 5))", "classical(time = 2)",
    "gaussian(times = linspace(0, 2, 5))", "gaussian(time = 2)",
    "cumulants(order = 2)", "cumulants(order = 2, times = linspace(0, 2, 5))",
    "meanfield", "meanfield(times = linspace(0, 2, 5))", "fokkerplanck",
]  # fmt: skip


def call(name):
    """A measure with an argument of every kind that it asks for."""
    taken, used = [], set()
    for argument in measures[name].arguments:
        if not argument.required:
            continue
        again = SECOND if argument.kind in used else ARGUMENTS
        taken.append(again.get(argument.kind, ARGUMENTS[argument.kind]))
        used.add(argument.kind)
    return f"{name}({', '.join(taken)})" if taken else name


def measured(model, solve, lines):
    """Failures of measures, and the measures that have no value without one."""
    text = f"{model}experiment e {{\n  solve {solve}\n" + "\n".join(lines) + "\n}\n"
    result = run_text(text)["e"]
    (label,) = result.trust
    failures = result.trust[label]["failures"]
    said = {failure["measure"] for failure in failures}
    lost = {
        str(name)
        for name, values in result.dataset.data_vars.items()
        if values.isnull().all() and not str(name).endswith("_error")
    }
    return failures, lost - said


@pytest.mark.slow
@pytest.mark.parametrize("solve", SOLVES)
def test_every_measure_has_a_value_or_a_reason(solve):
    lines = [
        f"  measure x_{name} = {call(name)}"
        for name in measures
        if name not in ELSEWHERE
    ]
    model = TWO
    if solve == "fokkerplanck":
        model = LATTICE
        lines = [re.sub(r"\b([ab])\b(?!\[)", r"\1_", line) for line in lines]
        lines = [line.replace("a_", "a[1]").replace("b_", "a[2]") for line in lines]
        lines = [line for line in lines if "fidelity" not in line]
    failures, silent = measured(model, solve, lines)
    bugs = [f for f in failures if f["code"].startswith("E9")]
    assert not bugs, bugs
    assert silent <= UNDEFINED
