"""The trust report: what is wrong is loud, what is known of an error is said."""

import json
import re

import numpy as np
import pytest

from qsyncdsl.report.terminal import number_text, phrases
from qsyncdsl.run.doubts import doubts
from tests.conftest import MODELS, run_text, values

CAVITY = """
parameter F = 1.97
mode a : boson(levels = {levels})
hamiltonian F*(a + a')
dissipator 1 : a
experiment e {{ solve steadystate; measure n = <a'*a>; measure x = <a.q> }}
"""


def reasons(result, method="steadystate"):
    """Why each measure of a method is doubted."""
    return result.trust[method]["doubts"]


# ── three failures that are silent elsewhere ─────────────────────────────────────────────────


def test_a_cutoff_that_is_too_small_is_loud():
    """<n> = 4 F^2 = 15.5; with 12 levels a steady state comes out with half of that."""
    result = run_text(CAVITY.format(levels=12))["e"]
    wrong = float(values(result, "n"))
    assert wrong < 0.6 * 4 * 1.97**2
    trust = result.trust["steadystate"]
    assert "cutoffs change it" in " ".join(reasons(result)["n"])
    assert trust["truncation_error of n"] > 1
    assert [w["code"] for w in trust["warnings"]] == ["W502"]


def test_levels_that_are_left_open_give_the_right_number():
    result = run_text(CAVITY.format(levels="auto"))["e"]
    assert values(result, "n") == pytest.approx(4 * 1.97**2, rel=1e-6)
    assert reasons(result) == {}


CATS = """
parameter alpha = 1.2
mode a : boson(levels = 24)
hamiltonian 0*a.n
dissipator 1 : a^2 - alpha^2
{initial}
experiment e {{ solve steadystate; measure n = <a'*a>; measure A = <a>; measure P = <exp(i*pi*a.n)> }}
"""


def test_a_steady_state_that_is_not_unique_is_refused_with_what_is_conserved():
    result = run_text(CATS.format(initial=""))["e"]
    (failure,) = result.trust["steadystate"]["failures"]
    assert failure["code"] == "E504"
    assert "2 independent" in failure["message"]
    assert "(-1)^n(a)" in failure["message"]


def test_of_several_steady_states_the_one_that_is_reached_is_given():
    """From the vacuum the even cat: <n> = |alpha|^2 tanh |alpha|^2."""
    result = run_text(CATS.format(initial="initial a = vacuum"))["e"]
    square = 1.2**2
    assert values(result, "n") == pytest.approx(square * np.tanh(square), abs=1e-8)
    trust = result.trust["steadystate"]
    assert [w["code"] for w in trust["warnings"]] == ["W501"]
    assert "2 independent" in trust["uniqueness"]


LOPSIDED = """
parameter K = 1, phase = {phase}
mode a : boson(levels = 6)
hamiltonian a.n + K*(exp(i*phase)*a^2 + exp(i*phase)*a'^2)
dissipator 1 : a
experiment e {{ sweep phase = [0, 0.3]; solve steadystate; measure n = <a'*a> }}
"""


def test_a_hamiltonian_that_is_hermitian_only_at_some_points_is_refused_at_the_others():
    result = run_text(LOPSIDED.format(phase=0))["e"]
    (failure,) = result.trust["steadystate"]["failures"]
    assert failure["code"] == "E502"
    assert failure["points"] == 1
    assert "a²" in failure["message"] or "a†²" in failure["message"]
    found = values(result, "n")
    assert np.isfinite(found[0])
    assert np.isnan(found[1])


# ── cutoffs ──────────────────────────────────────────────────────────────────────────────────


def test_located_values_know_their_truncation_error():
    """The maximum of a driven oscillator's response, on 7 and on 20 levels."""
    text = """
parameter F = 1, Delta = 0
mode a : boson(levels = 7)
hamiltonian -Delta*a'*a + 0.2*a'^2*a^2 + F*(a + a')
dissipator 1 : a
experiment e {
  solve   steadystate
  measure n = <a'*a>
  locate  D : Delta in -1..1 where n is maximal
}"""
    few = run_text(text)["e"]
    many = run_text(text.replace("levels = 7", "levels = 20"))["e"]
    moved = float(values(few, "D")[()] - values(many, "D")[()])
    told = few.trust["steadystate"]["truncation_error of D"]
    assert 0.5 * abs(moved) < told < 2 * abs(moved)
    assert "D" in few.trust["steadystate"]["doubts"]
    assert not many.doubtful


def test_the_truncation_error_of_the_worst_point_is_the_change_of_its_numbers():
    text = CAVITY.replace("experiment e {{", "experiment e {{ sweep F = [0.2, 0.6];")
    result = run_text(text.format(levels=8))["e"]
    trust = result.trust["steadystate"]
    made = np.abs(values(result, "n") - 4 * np.array([0.2, 0.6]) ** 2)
    assert trust["truncation_error of n"] == pytest.approx(made[1], rel=0.1)
    assert "levels_a = 10 in place of 8" in trust["truncation"]


EDGE = """
parameter Delta = 0.3, F = {drive}
mode a1 : boson(levels = {first})
mode a2 : boson(levels = {second})
hamiltonian Delta/2*(a1'*a1 - a2'*a2) + F*(a1 + a1')
dissipator  1 : a1', a2'
dissipator  0.4 : a1^2, a2^2
coupling    0.5 : a1 - a2
experiment e {{
  solve   steadystate(solver = {solver})
  measure n = <a1'*a1>
  measure S = entropy(a2)
}}
"""


@pytest.mark.parametrize(
    ("drive", "first", "second", "solver"),
    [
        (0, 10, 10, "direct"),
        (0, 12, 10, "direct"),
        (0.5, 7, 7, "direct"),
        (0, 10, 10, "iterative"),
        (0.5, 7, 7, "iterative"),
    ],
)
def test_what_more_levels_change_is_what_a_solve_with_them_gives(
    drive, first, second, solver
):
    """The state with more levels is only looked for to a thousandth of what they change.

    Levels beyond change 1/(1 - r) of that, where the highest population falls by r, of what fewer change r/(1 - r).
    """

    def solved(**levels):
        return run_text(EDGE.format(drive=drive, solver=solver, **levels))["e"]

    few = solved(first=first, second=second)
    trust = few.trust["steadystate"]
    told = dict(re.findall(r"levels_a(\d) = (\d+)", trust["truncation"]))
    many = solved(first=told.get("1", first), second=told.get("2", second))
    tops = [f"top_population_a{k}" for k in told]
    other = many.trust["steadystate"]
    if int(told["1"]) > first:
        share = 1 / (1 - max(other[top] / trust[top] for top in tops))
    else:
        fall = max(trust[top] / other[top] for top in tops)
        share = max(0.05, 2 * fall / (1 - fall))
    for name in ("n", "S"):
        change = share * abs(values(many, name) - values(few, name))
        assert trust[f"truncation_error of {name}"] == pytest.approx(change, rel=0.01)


def test_a_cutoff_that_is_not_felt_is_not_examined():
    result = run_text(CAVITY.format(levels=60))["e"]
    assert "truncation" not in result.trust["steadystate"]


def test_a_cutoff_that_biases_a_pair_of_optomechanical_cells_is_reported(
    command, tmp_path
):
    """Panel (b) on few phonon levels: the numbers come with reasons to doubt them."""
    (path,) = (p for p in MODELS if p.stem == "optomech_pair")
    text = path.read_text(encoding="utf-8")
    text = text[: text.index("\nexperiment")]
    text = "\n".join(x for x in text.splitlines() if not x.startswith("initial"))
    (tmp_path / "pair.qsync").write_text(text)
    code, out, _ = command(
        "eval", "pair.qsync", "--case", "fig3b",
        "--set", "levels_a1 = 2", "--set", "levels_a2 = 2",
        "--set", "levels_b1 = 4", "--set", "levels_b2 = 4",
        "--solve", "steadystate", "--measure", "m1 = phase_moment(b2, b1, 1)",
        "--measure", "n = <b1'*b1>", "--json", "--strict",
    )  # fmt: skip
    found = json.loads(out)["experiments"]["eval"]["methods"]["steadystate"]
    assert code == 3
    assert found["measures"]["n"]["trusted"] is False
    assert "cutoffs change it" in found["measures"]["n"]["doubts"][0]


# ── where it is shown ────────────────────────────────────────────────────────────────────────


def test_doubts_are_shown_kept_and_turned_into_an_exit_code(command, tmp_path):
    import xarray as xr

    (tmp_path / "m.qsync").write_text(CAVITY.format(levels=12))
    code, out, _ = command("run", "m.qsync")
    assert code == 0
    assert "!" in out
    assert "not to be trusted" in out
    assert command("run", "m.qsync", "--strict", "-q")[0] == 3
    dataset = xr.open_dataset(tmp_path / "results/m/e.nc", engine="h5netcdf")
    assert json.loads(dataset["n"].attrs["doubts"])["steadystate"]


def test_an_expectation_of_a_doubtful_number_is_said_to_be_one(command, tmp_path):
    """With 12 levels the wrong number comes out as expected: `test` says so, `--strict` fails it."""
    wrong = "measure n = <a'*a>; expect n is 6 within 4"
    text = CAVITY.format(levels=12).replace("measure n = <a'*a>", wrong)
    (tmp_path / "m.qsync").write_text(text)
    code, out, _ = command("test", "m.qsync")
    assert code == 0
    assert "doubtful: other cutoffs change it by" in " ".join(out.split())
    assert command("test", "m.qsync", "--strict")[0] == 4


def test_an_expectation_tells_what_the_cutoff_changes_of_its_number():
    """Five levels are too few by more than a thousandth; the change is that of the sweep."""
    text = """
    mode a : boson(levels = 5)
    dissipator 1 : a'
    dissipator 3 : a^2
    experiment e {
      solve   steadystate
      measure n = <a'*a>
      expect  2*n is 1.118 within 0.1
      expect  n is 7 within 0.1
    }
    """
    result = run_text(text)["e"]
    change = result.trust["steadystate"]["truncation_error of n"]
    right, wrong = result.verdicts
    assert (right.verdict, wrong.verdict) == ("passed", "failed")
    assert change > 1e-3
    assert wrong.doubt == f"other cutoffs change it by {change:.2g}"
    assert right.doubt == f"other cutoffs change it by {2 * change:.2g}"


def test_numbers_without_doubts_leave_no_mark(command, tmp_path):
    (tmp_path / "m.qsync").write_text(CAVITY.format(levels=60))
    code, out, _ = command("run", "m.qsync", "--strict")
    assert code == 0
    assert "not to be trusted" not in out


@pytest.mark.parametrize(
    ("trust", "part"),
    [
        ({"smallest_eigenvalue": -1e-3}, "eigenvalue"),
        ({"trace_error": 1e-3}, "trace"),
        ({"clipped_fraction": 0.2}, "negative in 20 %"),
        ({"wigner_residual_a": 0.47}, "by 47 %"),
        ({"truncation_error of n": 0.1}, "cutoffs"),
        ({"step_error of n": 0.1}, "step"),
        ({"effective_samples of n": 3.0}, "3 independent samples"),
        ({"top_population_a": 0.2}, "highest level"),
        (
            {"warnings": [{"code": "W525", "message": "a population is negative"}]},
            "a population is negative",
        ),
        (
            {"warnings": [{"code": "W526", "message": "second moments of no state"}]},
            "second moments of no state",
        ),
    ],
)
def test_each_kind_of_error_is_a_reason(trust, part):
    (reason,) = doubts(trust, {"n": 2.0}, {})["n"]
    assert part in reason


def test_a_step_error_below_the_sampling_error_is_no_reason():
    assert doubts({"step_error of n": 0.1}, {"n": 2.0}, {"n": 0.1}) == {}


def test_an_accuracy_that_was_asked_for_is_the_limit():
    trust = {"truncation_error of n": 1e-5}
    assert doubts(trust, {"n": 2.0}, {}) == {}
    assert doubts(trust, {"n": 2.0}, {}, 1e-6)


def test_a_map_that_misses_the_state_is_doubted_unless_it_was_asked_for():
    text = """
mode a : boson(levels = 80)
hamiltonian 3*(a + a')
dissipator 1 : a
experiment e {{ solve steadystate; measure W = wigner(a{0}); measure Q = husimi(a{1}) }}
"""
    doubts = run_text(text.format("", ", extent = 3"))["e"].trust["steadystate"][
        "doubts"
    ]
    (reason,) = doubts["W"]
    assert "misses" in reason
    assert "extent" in reason
    assert "Q" not in doubts
    wide = run_text(text.format(", extent = 10", ", extent = 10"))["e"]
    assert not wide.trust["steadystate"]["doubts"]


@pytest.mark.slow
def test_truncated_wigner_is_doubted_where_the_terms_it_leaves_out_count():
    """A driven van der Pol oscillator of 13 quanta, and of less than one: 5 % off, by five standard errors."""
    text = """
parameter kappa2 = 0.05
mode a : boson(levels = 40)
hamiltonian 0.5*(a + a')
dissipator 1 : a'
dissipator kappa2 : a^2
experiment e {{ set kappa2 = {rate}; solve langevin(time = 60, burn_in = 10, realizations = 64); solve steadystate; measure n = <a'*a> }}
"""
    many, few = (run_text(text.format(rate=rate))["e"] for rate in (0.05, 3))
    assert many.trust["langevin"]["wigner_residual_a"] < 0.02
    assert many.trust["langevin"]["doubts"] == {}
    assert few.trust["langevin"]["wigner_residual_a"] > 0.3
    assert "truncated Wigner" in " ".join(few.trust["langevin"]["doubts"]["n"])
    wrong, right = values(few, "n", "langevin"), values(few, "n")
    assert abs(wrong - right) > 0.02 * right


def test_lines_of_the_terminal_break_between_phrases():
    text = (
        "! n is not to be trusted: other cutoffs change it by 3.1; its map misses 2 %"
    )
    first, second = phrases(text, 64).splitlines()
    assert first.endswith("3.1;")
    assert second == "    its map misses 2 %"


def test_small_numbers_are_written_with_a_power_of_ten():
    assert number_text(1.2e-7, 3e-12) == "1.200000(30)e-7"
    assert number_text(0.0, 4.5e-14) == "0.0(45)e-14"
    assert number_text(2.5, 0.01) == "2.500(10)"
