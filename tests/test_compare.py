"""One experiment under several methods, and what a run would cost before it is begun."""

import json

import numpy as np
import pytest

from qsyncdsl import pipeline
from qsyncdsl.run.compare import compare, reference_method
from qsyncdsl.run.methods import outlook
from qsyncdsl.source import Source
from tests.conftest import run_text

LINEAR = """
parameter F = 1
mode a : boson(levels = 20)
hamiltonian 0.5*a'*a + F*(a + a')
dissipator 1 : a
experiment e {
  sweep   F = [0.2, 0.5, 1]
  solve   classical(time = 60, burn_in = 40)
  solve   steadystate
  measure A = <a>
  measure n = <a'*a>
}
"""


def test_methods_agree_where_both_are_exact():
    rows = compare(run_text(LINEAR)["e"])
    assert [(r.measure, r.method, r.against) for r in rows] == [
        ("A", "classical", "steadystate"),
        ("n", "classical", "steadystate"),
    ]
    assert {r.verdict for r in rows} == {"agrees"}
    assert {r.points for r in rows} == {3}


BLOCKADE = """
parameter F = 1
mode a : boson(levels = 12)
hamiltonian 8*a'^2*a^2 + F*(a + a')
dissipator 1 : a
experiment e {
  sweep   F = [0.02, 0.04, 0.3]
  solve   steadystate
  solve   classical(time = 60, burn_in = 40)
  measure A = abs(<a>)
}
"""


def test_an_approximation_holds_where_it_holds():
    """Strong anharmonicity: the classical field is right for a weak drive only."""
    (row,) = compare(run_text(BLOCKADE)["e"])
    assert row.verdict == "in part"
    assert row.where == "F = 0.02..0.04"
    assert row.at == "F = 0.3"
    assert row.held == pytest.approx(2 / 3)


SAMPLED = """
mode a : boson(levels = 14)
hamiltonian 0.4*(a + a')
dissipator 1 : a
experiment e {
  solve   steadystate
  solve   langevin(time = 30, burn_in = 10, realizations = 64)
  measure n = <a'*a>
}
"""


def test_sampled_differences_are_counted_in_standard_errors():
    result = run_text(SAMPLED)["e"]
    (row,) = compare(result, tolerance=1e-6)
    error = float(result.dataset["n_error"].sel({"method": "langevin"}))
    assert row.sigmas == pytest.approx(abs(row.value - row.reference) / error, rel=0.01)
    assert row.verdict == "agrees"


def test_the_method_that_leaves_out_least_is_the_reference():
    chosen = {"x": "classical", "y": "cumulants", "z": "langevin"}
    assert reference_method(chosen) == "y"


def test_compare_prints_a_table_of_80_columns_and_a_document(command, tmp_path):
    (tmp_path / "m.qsync").write_text(BLOCKADE)
    code, out, _ = command("compare", "m.qsync")
    assert code == 0
    assert "in part (3)" in out
    assert max(map(len, out.splitlines())) <= 80
    _, out, _ = command("compare", "m.qsync", "--json")
    (row,) = json.loads(out)["e"]
    assert row["method"] == "classical"


# ── the plan ─────────────────────────────────────────────────────────────────────────────────


def planned(command, *arguments):
    code, out, _ = command("run", *arguments, "--plan", "--json")
    return code, json.loads(out)


def test_a_plan_counts_unknowns_as_the_solver_does(command, tmp_path):
    from qsyncdsl.run.plan import Options, make_plan
    from qsyncdsl.run.session import Session
    from tests.conftest import model_of

    _, (line, *_) = planned(command, "vdp_pair_dissipative", "--only", "tongue")
    assert line["points"] == 41 * 26
    (path,) = (p for p in _models() if p.stem == "vdp_pair_dissipative")
    model = model_of(path.read_text(encoding="utf-8"))
    plan = make_plan(model, model.experiments["tongue"], Options())
    found = Session(plan, plan.lines[0]).solve(plan.layers(None), None)
    assert (
        found.trust.facts["solver"]
        == f"sparse LU, {line['each']['unknowns']:.0f} unknowns"
    )


def _models():
    from tests.conftest import MODELS

    return MODELS


HUGE = """
mode a, b, c : boson(levels = 60)
hamiltonian 0.1*(a + a') + (a'*b*c + h.c.)
dissipator 1 : a, b, c
experiment e { solve steadystate; measure n = <a.n> }
"""


def test_what_cannot_fit_is_refused_with_what_would(command, tmp_path):
    (tmp_path / "m.qsync").write_text(HUGE)
    code, (line,) = planned(command, "m.qsync")
    assert code == 3
    assert line["fits"] is False
    assert "GB are free" in line["reason"]
    _, out, _ = command("run", "m.qsync", "--plan")
    assert "would fit" in out
    assert "E532" in out


def test_a_plan_allocates_nothing(command, tmp_path):
    import tracemalloc

    (tmp_path / "m.qsync").write_text(HUGE)
    tracemalloc.start()
    planned(command, "m.qsync")
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    "name",
    ["optomech_pair", "optomech_gaussian_chain", "atomic_ensembles", "vdp_global"],
)
def test_every_line_of_a_bundled_model_has_a_plan(name):
    for line in pipeline.outlooks(name):
        if not line.reason:
            assert np.isfinite([line.one.unknowns, line.one.memory, line.seconds]).all()


def test_blocks_are_counted_by_convolution():
    from qsyncdsl.algebra.symmetry import Symmetry

    assert sorted(outlook.blocks((3, 3), Symmetry(((1, 1),), (0,)))) == [1, 1, 2, 2, 3]
    assert outlook.blocks((4,), Symmetry(((1,),), (2,))) == (2, 2)
    assert outlook.blocks((4, 5), Symmetry((), ())) == (20,)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(
    ("modes", "terms"),
    [
        ("mode a : boson\nmode b : boson", "0.3*(a'*b + h.c.) + 0.2*a'^2*a^2"),
        ("mode a : boson\nmode b : boson", "0.3*(a'*b + h.c.) + 0.2*(a^2 + a'^2)"),
        ("mode a : boson\nmode b : qubit", "0.3*(a'*b.minus + h.c.) + 0.1*b.z"),
        ("mode a : boson\nmode b : levels(3)", "0.3*(a*|2><0| of b + h.c.)"),
        ("mode a : boson\nmode b : ensemble(9)", "0.3*(a'*b.Jminus + h.c.)"),
    ],
)
def test_a_plan_counts_the_moments_that_are_followed(modes, terms, order, tmp_path):
    from qsyncdsl.algebra.build import build
    from qsyncdsl.lower.cumulants import cumulants
    from qsyncdsl.model.environment import Environment
    from qsyncdsl.solve.cumulants import CumulantSolver

    text = f"""{modes}
hamiltonian {terms}
dissipator 1 : a
experiment e {{ solve cumulants(order = {order}); measure n = <a'*a> }}
"""
    path = tmp_path / "m.qsync"
    path.write_text(text)
    model, _ = pipeline.load_source(Source("m", text))
    (line,) = pipeline.outlooks(str(path))
    lowered = cumulants(build(model, Environment(model)), "m", {"order": order})
    rows, _, _ = CumulantSolver(lowered.problem).form
    assert line.one.unknowns == len(rows)


def test_a_product_state_costs_the_same_on_every_lattice_whose_cells_are_equal():
    seconds = []
    for side in (3, 5, 30):
        request = pipeline.Request(sets=(f"L={side}",))
        (line,) = pipeline.outlooks("optomech_array", request, ("transition",))
        seconds.append(line.one.seconds)
    assert max(seconds) < 2 * min(seconds)
    # a core takes 0.6 to 1.1 s
    assert 0.2 < seconds[-1] < 3


def test_a_plan_counts_the_solves_of_searches_and_the_cells_that_differ():
    """Disordered thresholds: 33 points, each with the search for its critical coupling."""
    request = pipeline.Request(sets=("infinite=0",))
    (line,) = pipeline.outlooks("vdp_ensemble_disordered", request, ("threshold",))
    assert line.points == 33
    assert 10 * 33 < line.searched < 40 * 33
    assert line.one.unknowns == 400 * 14**2
    # one core takes 150 to 320 s
    assert 80 < line.seconds < 900
    assert line.to_json()["searched"] == line.searched
    request = pipeline.Request(sets=("gamma=0",))
    (equal, _) = pipeline.outlooks("vdp_ensemble_disordered", request, ("transition",))
    assert equal.searched == 0
