"""Points that follow one another: hysteresis, chains that were cut, branches along a search."""

import json

import numpy as np
import pytest

from qsyncdsl.run import line as line_module
from qsyncdsl.run.follow import FollowTask
from tests.conftest import run_text
from tests.test_store import bits, run

# A bistable classical resonator: a driven cavity with a Kerr term and two stable amplitudes.
DUFFING = """
parameter F = 1
mode a : boson
hamiltonian -3*a'*a + 0.5*a'^2*a^2 + F*(a + a')
dissipator 1 : a
experiment e {
  sweep   F = linspace(0.2, 3, 29) PROTOCOL
  solve   classical(time = 40, window = [39, 40])
  measure n = <a'*a>
}
"""


def branches(F):
    """|alpha|^2 of the fixed points: x ((x - 3)^2 + 1/4) = F^2."""
    roots = np.roots([1, -6, 9.25, -(F**2)])
    return np.sort(roots[np.abs(roots.imag) < 1e-9].real)


def test_up_and_down_follow_the_two_branches_of_a_bistable_cavity():
    dataset = run_text(DUFFING.replace("PROTOCOL", "updown"))["e"].dataset
    assert dataset["n"].dims == ("method", "direction", "F")
    n = dataset["n"].sel({"method": "classical"})
    lower = [branches(F)[0] for F in dataset["F"].values]
    upper = [branches(F)[-1] for F in dataset["F"].values]
    several = np.array([len(branches(F)) == 3 for F in dataset["F"].values])
    # Close to the fold everything is slow.
    up, down = n.sel(direction="up").values, n.sel(direction="down").values
    assert several.sum() > 8
    assert np.allclose(up[several][:-1], np.array(lower)[several][:-1], atol=1e-4)
    assert np.allclose(down[several][1:], np.array(upper)[several][1:], atol=1e-4)


def test_stationary_moments_follow_the_branches_too():
    text = DUFFING.replace("PROTOCOL", "updown")
    text = text.replace(
        "classical(time = 40, window = [39, 40])", "cumulants(order = 1)"
    )
    n = run_text(text)["e"].dataset["n"].sel({"method": "cumulants"})
    ends = [branches(F)[[0, -1]] for F in n["F"].values]
    assert np.allclose(n.sel(direction="up").values, [low for low, _ in ends])
    assert np.allclose(n.sel(direction="down").values, [high for _, high in ends])


def test_down_alone_is_the_way_back():
    whole = run_text(DUFFING.replace("PROTOCOL", "updown"))["e"].dataset["n"]
    down = run_text(DUFFING.replace("PROTOCOL", "down"))["e"].dataset["n"]
    assert down.dims == ("method", "F")
    assert np.allclose(down.values, whole.sel(direction="down").values, atol=1e-6)


def test_the_word_of_the_solve_line_holds_against_that_of_the_sweep():
    text = DUFFING.replace("[39, 40])", "[39, 40], protocol = reset)")
    dataset = run_text(text.replace("PROTOCOL", "updown"))["e"].dataset
    reset = run_text(DUFFING.replace("PROTOCOL", ""))["e"].dataset
    assert np.array_equal(dataset["n"].values, reset["n"].values)


def test_a_state_without_a_start_is_the_same_on_both_ways():
    text = DUFFING.replace("PROTOCOL", "updown").replace("boson", "boson(levels = 12)")
    text = text.replace("linspace(0.2, 3, 29)", "[0.2, 0.4]")
    dataset = run_text(text.replace("  measure", "  solve steadystate\n  measure"))[
        "e"
    ].dataset
    n = dataset["n"].sel({"method": "steadystate"})
    assert np.array_equal(n.sel(direction="up").values, n.sel(direction="down").values)
    assert np.isfinite(dataset["n"].values).all()


@pytest.mark.parametrize("method", ["langevin", "gaussian", "evolve"])
def test_every_method_that_can_hands_its_end_over(method):
    options = {
        "langevin": "langevin(time = 3, window = [2, 3], realizations = 20)",
        "gaussian": "gaussian(time = 3, window = [2, 3])",
        "evolve": "evolve(times = [0, 1])",
    }[method]
    text = f"""
parameter w = 1
mode a : boson(levels = 20)
hamiltonian w*a'*a
dissipator 0.02 : a
initial a = coherent(1.5)
experiment e {{ sweep w = [1, 2, 3] continue; solve {options}; measure n = <a'*a> }}
"""
    n = run_text(text)["e"].dataset["n"].values[0]
    first, last = n.reshape(3, -1)[:, 0], n.reshape(3, -1)[:, -1]
    assert (np.diff(first) < 0).all()
    if method == "evolve":
        assert np.allclose(first[1:], last[:-1], atol=1e-6)


def test_langevin_draws_other_noise_at_every_step():
    text = """
parameter w = 1
mode a : boson(levels = 20)
hamiltonian w*a'*a
dissipator 0.02 : a
experiment e {
  sweep   w = [1, 1] continue
  solve   langevin(time = 300, window = [299, 300], realizations = 20)
  measure x = mean(along(<a.q>))
}
"""
    x = run_text(text)["e"].dataset["x"].values.ravel()
    assert abs(x[0] - x[1]) > 1e-3


def test_a_mean_field_branch_is_followed_through_a_first_order_transition():
    text = """
parameter V = 1, N = 100
lattice all = complete(N)
mode a[all] : boson(levels = 24)
coupling   V/N*(a[j]'*a[k] + h.c.)  for (j, k) in all.edges
dissipator 2 : a[j]'    for j in all
dissipator 0.4 : a[j]^2  for j in all
experiment e {
  sweep   V = linspace(0, 9, 10) updown
  solve   meanfield
  measure r = collective_amplitude(a[all])
}
"""
    result = run_text(text)["e"]
    r = result.dataset["r"].sel({"method": "meanfield"})
    up, down = r.sel(direction="up").values, r.sel(direction="down").values
    assert (down >= up - 1e-9).all()
    assert up[0] == down[0] == 0


def test_an_ordered_branch_is_not_lost_beside_its_end_nor_by_large_steps():
    """It ends at V = 1.67584 (Lee and Sadeghpour's model, independently computed); r = 0 is stable too.

    From 1.8 Newton's method finds the unstable side at 1.68, and from 3 nothing at 1.9.
    """
    text = """
parameter V = 3, N = 100
lattice all = complete(N)
mode a[all] : boson(levels = 60)
initial a[all] = coherent(4)
coupling   V/N*(a[j]'*a[k] + h.c.)  for (j, k) in all.edges
dissipator 2 : a[j]'       for j in all
dissipator 0.06 : a[j]^2   for j in all
experiment e {
  sweep   V = [1.65, 1.68, 1.8, 1.9, 3] down
  solve   meanfield
  solve   meanfield as alone with V = [1.68]
  measure r = collective_amplitude(a[all])
  measure rate = growth_rate
}
"""
    dataset = run_text(text)["e"].dataset
    r = dataset["r"].sel({"method": "meanfield"}).values
    assert r[0] == 0
    assert r[1] == pytest.approx(
        float(dataset["r"].sel({"method": "alone", "V": 1.68}))
    )
    assert (np.diff(r[1:]) > 0).all()
    # the phase of the order is free: nothing grows, and that does not decay
    assert np.allclose(
        dataset["rate"].sel({"method": "meanfield"}).values[1:], 0, atol=1e-6
    )


def test_a_line_with_a_coarser_grid_follows_as_its_sweep_does():
    text = DUFFING.replace("PROTOCOL", "updown").replace(
        "  measure",
        "  solve classical(time = 40, window = [39, 40]) as few with F = linspace(0.2, 3, 8)\n  measure",
    )
    n = run_text(text)["e"].dataset["n"]
    few = n.sel({"method": "few"}).dropna("F")
    assert few.sizes["F"] == 8
    assert np.abs(few.sel(direction="up") - few.sel(direction="down")).max() > 2
    assert np.allclose(few, n.sel({"method": "classical", "F": few["F"]}), atol=1e-3)


def test_a_search_follows_its_branch():
    text = DUFFING.replace("sweep   F = linspace(0.2, 3, 29) PROTOCOL\n", "")
    text = text.replace("[39, 40])", "[39, 40], protocol = continue)")
    text = text.replace(
        "  measure n = <a'*a>\n",
        "  measure n = <a'*a>\n"
        "  locate up : F in 0.5..3 where n > 2.5\n"
        "  locate down : F in 3..0.5 where n < 1.5\n",
    )
    dataset = run_text(text)["e"].dataset
    # dF/dx = 0 at the folds: 3x^2 - 12x + 9.25 = 0.
    low, high = np.sort(np.roots([3, -12, 9.25]).real)
    fold = [np.sqrt(x * ((x - 3) ** 2 + 0.25)) for x in (low, high)]
    assert dataset["up"].item() == pytest.approx(fold[0], rel=0.02)
    assert dataset["down"].item() == pytest.approx(fold[1], rel=0.02)


@pytest.mark.parametrize("broken", [3, 17, 40])
def test_a_chain_that_was_cut_goes_on_where_it_was(command, tmp_path, broken):
    text = DUFFING.replace("PROTOCOL", "updown")
    assert run(command, tmp_path, text, out="whole")[0] == 0
    call, count = FollowTask.__call__, [0]

    def cut(self, pieces):
        count[0] += sum(len(piece.steps) for piece in pieces)
        if count[0] > broken:
            raise KeyboardInterrupt
        return call(self, pieces)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FollowTask, "__call__", cut)
        assert run(command, tmp_path, text)[0] == 130
    status = json.loads(command("status", "out", "--json")[1])["lines"][0]
    assert 0 < status["done"] < status["total"] == 58
    count[0] = -1000

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FollowTask, "__call__", cut)
        assert command("resume", "out", "-q")[0] == 0
    assert count[0] + 1000 <= status["total"] - status["done"] + 1
    assert bits(tmp_path / "out") == bits(tmp_path / "whole")


@pytest.mark.slow
def test_chains_have_the_same_bits_in_processes(command, tmp_path, monkeypatch):
    text = DUFFING.replace("PROTOCOL", "updown").replace(
        "parameter F = 1", "parameter F = 1, G = 1"
    )
    text = text.replace("dissipator 1", "dissipator G").replace(
        "sweep   F", "sweep G = [1, 1.5]; sweep   F"
    )
    assert run(command, tmp_path, text)[0] == 0
    monkeypatch.setattr(line_module, "_ALONE", 0.0)
    monkeypatch.setattr(line_module, "_WORTH", 0.0)
    assert run(command, tmp_path, text, "--jobs", "2", out="two")[0] == 0
    assert bits(tmp_path / "two") == bits(tmp_path / "out")
