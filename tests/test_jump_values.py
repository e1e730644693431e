"""Published and independently computed values of quantum jumps: the optomechanical pair, a kicked rotor.

Each value stands with the error of its source; sampled ones are compared within four standard errors of
both sides. Weiss et al. (2016), Fig. 3, by a separate waiting-time program; where it has several runs, the
error is their scatter, since dwell times of 100/Omega make the errors of single runs too small.
"""

import numpy as np
import pytest

from qsyncdsl import pipeline
from tests.measured import agree, measured
from tests.test_jumps import no_jump_error

PAIR = {
    "m1": "real(phase_moment(b2, b1, 1))",
    "m2": "real(phase_moment(b2, b1, 2))",
    "W0": "fraction(abs(along(arg(<b1'*b2>))) < pi/2)",
    "nb": "<b1'*b1>",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "levels", "time", "wanted"),
    [
        # one run of 8000
        ("fig3a", 16, 1000, ((0.8450, 0.0106), (0.5623, 0.0196), (1.0, 0.01), (5.332, 0.074))),
        # three runs of 12000, 6000, 8000 with 24, 24, 24 levels (5 photons in the last): mean and scatter
        ("fig3b", 24, 3000, ((-0.358, 0.168), (0.300, 0.048), (0.289, 0.101), (7.136, 0.165))),
        # two runs of 9000 and 16000; the specification pools m1 to 0.20(11)
        ("fig3c", 20, 3000, ((0.20, 0.11), (0.172, 0.025), (0.648, 0.08), (5.373, 0.069))),
    ],
)  # fmt: skip
def test_the_optomechanical_pair_by_quantum_jumps(case, levels, time, wanted):
    solve = f"trajectories(time = {time}, burn_in = 300, realizations = 6)"
    sets = (f"levels_b1 = {levels}", f"levels_b2 = {levels}")
    found = measured("optomech_pair", solve, PAIR, sets, [case])
    values, errors = found
    assert np.nanmax(errors["m1"]) < 0.35
    agree(found, dict(zip(PAIR, wanted, strict=True)))
    # pi dominates where the two others are at 0
    assert (values["m1"] < 0) == (case == "fig3b")


@pytest.mark.slow
def test_the_pair_stays_without_a_jump_for_a_while():
    """Probability of no jump until t = 5 from the vacuum with 4 x 14 levels, by another program."""
    text = pipeline.find("optomech_pair").read_text(encoding="utf-8")
    text = text[: text.index("\ncase")].replace("levels = 24", "levels = 14")
    worst, _, norm = no_jump_error(text, np.array([1.0, 5.0]))
    assert worst < 1e-8
    assert norm**2 == pytest.approx(0.3026123731730861, abs=2e-8)
