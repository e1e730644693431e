"""Quantum jumps of rotors under a static force: against density matrices and closed forms."""

import numpy as np
import pytest

from tests.conftest import run_text, values

ROTOR = """
parameter hbar = 0.5, f = 1
mode r : rotor(nmax = 16)
hamiltonian r.p^2/2 - f*r.x
kick every 1 : 0.8*cos(r.x)
dissipator 0.29 : r.shift(-1)*sqrt(max(r.p/hbar, 0))
dissipator 0.29 : r.shift(+1)*sqrt(max(-r.p/hbar, 0))
initial r = coherent(x = 0, p = 0.38*2*pi)
"""


def agree(
    text, other="evolve", times="[0, 0.7, 1, 1.6, 2.3]", realizations=200, **more
):
    """`<r.p>` and `<cos x>` at times are those of the density matrix within four standard errors."""
    result = run_text(
        f"""{text}
experiment e {{
  solve   trajectories(times = {times}, realizations = {realizations})
  solve   {other}(times = {times})
  measure p = <r.p>
  measure c = <r.cos>
}}""",
        **more,
    )["e"]
    for name in ("p", "c"):
        found, exact = values(result, name, "trajectories"), values(result, name, other)
        error = result.dataset[f"{name}_error"].sel({"method": "trajectories"}).values
        assert np.ptp(exact) > 0.02
        assert np.all(np.abs(found - exact) < 4 * error + 1e-7), (found, exact, error)
    return result


@pytest.mark.parametrize("f", [1, -1.3, 0])
def test_a_kicked_rotor_follows_its_density_matrix(f):
    # with f < 0 the momentum goes through 0, where the friction has a branch point; with f = 0
    # nothing moves
    agree(ROTOR.replace("f = 1", f"f = {f}"), times="[0, 0.7, 1, 1.6, 3, 4.3]")


def test_friction_on_the_label_has_its_own_steady_momentum():
    # labels change where the quasi-momentum is an integer, and the friction with them
    text = ROTOR.replace("max(r.p/hbar, 0)", "max(r.n, 0)")
    agree(text.replace("max(-r.p/hbar, 0)", "max(-r.n, 0)"))


@pytest.mark.slow
def test_a_potential_between_the_kicks_is_followed():
    agree(ROTOR.replace("- f*r.x", "- f*r.x + 0.3*cos(r.x)"), realizations=100)


@pytest.mark.slow
def test_a_potential_that_moves_is_followed_too():
    agree(ROTOR.replace("- f*r.x", "- f*r.x + 0.6*sin(2*t)*cos(r.x)"), realizations=50)


def test_two_rotors_are_pulled_at_the_same_time():
    agree(
        """
mode r, s : rotor(nmax = 4)
hamiltonian 0.4*r.p^2 - 0.9*r.x + 0.4*s.p^2 + 0.5*s.x - 0.3*cos(r.x)*cos(s.x) - 0.2*cos(s.x) - 0.5*cos(r.x)
dissipator 0.3 : r.shift(-1)*sqrt(max(r.p, 0))
dissipator 0.3 : s.shift(+1)*sqrt(max(-s.p, 0))
initial r = fock(1)
""",
        times="[0, 0.5, 1.1]",
        realizations=60,
    )


def test_a_force_alone_moves_the_momentum_and_nothing_else():
    result = run_text("""
mode r : rotor(nmax = 12)
hamiltonian r.p^2/2 - 3.7*r.x
dissipator 0 : r.shift(1)
initial r = coherent(x = 0, p = 2)
experiment e {
  solve   trajectories(times = [0, 1, 7.3, 40], realizations = 1)
  measure p = <r.p>
  measure w = <r.p^2> - <r.p>^2
}""")["e"]
    p, w = values(result, "p", "trajectories"), values(result, "w", "trajectories")
    # the window follows 148 labels with a packet that keeps its width
    assert np.allclose(p, 2 + 3.7 * np.array([0, 1, 7.3, 40]), atol=1e-8)
    assert np.allclose(w, w[0], atol=1e-8)


@pytest.mark.parametrize(
    ("f", "hbar", "P", "error", "periods", "realizations"),
    [
        # shared reference P_mcwf_*: value and standard error of another program
        (1.0, 0.5, 3.5425731215, 0.0123135029, 400, 6),
        (0.9, 0.05, 3.1279446724, 0.0048630186, 250, 6),
        (1.8, 0.012, 6.2832923398, 0.0003285483, 130, 1),
    ],
)
def test_time_averages_along_trajectories_are_the_references(
    f, hbar, P, error, periods, realizations
):
    result = run_text(f"""
parameter hbar = {hbar}, f = {f}, g = sqrt(-log(0.75))
mode r : rotor(nmax = ceil(16/sqrt(hbar)))
hamiltonian r.p^2/2 - f*r.x
kick every 1 : 0.8*cos(r.x)
dissipator g^2 : r.shift(-1)*sqrt(max(r.p/hbar, 0))
dissipator g^2 : r.shift(+1)*sqrt(max(-r.p/hbar, 0))
initial r = coherent(x = 0, p = 0.38*2*pi)
experiment e {{
  solve   trajectories(time = {periods}, burn_in = 30, realizations = {realizations})
  measure P = <r.p>
}}""")["e"]
    own = float(result.dataset["P_error"].squeeze())
    found = float(result.dataset["P"].squeeze())
    assert own < 0.05
    assert abs(found - P) < 4 * np.hypot(own, error)


def test_density_matrices_of_a_pulled_rotor_have_no_mean():
    result = run_text(
        ROTOR
        + """
experiment e {
  solve   trajectories(time = 2)
  measure F = fock_distribution(r)
  measure p = <r.p>
}"""
    )["e"]
    text = result.dataset.attrs["trust"] + str(result.dataset.attrs)
    assert "E662" in text
    assert np.isfinite(float(result.dataset["p"].squeeze()))
