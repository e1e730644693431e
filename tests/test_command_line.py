"""The commands as a person types them, and what they leave behind."""

import json
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from tests.conftest import ROOT


def test_eval_prints_one_document(command):
    code, out, _ = command(
        "eval", "vdp_kerr", "--set", "levels=16", "--sweep", "Delta = linspace(-K, 5*K, 3)",
        "--solve", "steadystate", "--measure", "S = abs(<a>)/sqrt(<a'*a>)", "--measure", "A = <a>", "--json",
    )  # fmt: skip
    document = json.loads(out)
    found = document["experiments"]["eval"]
    assert code == 0
    assert found["sweep"] == {"Delta": [-50.0, 100.0, 250.0]}
    method = found["methods"]["steadystate"]
    assert method["measures"]["S"]["dims"] == ["Delta"]
    assert np.shape(method["measures"]["S"]["value"]) == (3,)
    assert set(method["measures"]["A"]["value"][0]) == {"re", "im"}
    assert method["trust"]["residual"] < 1e-12


def test_run_leaves_a_dataset_that_plain_xarray_opens(command, tmp_path):
    code, out, err = command(
        "run",
        "vdp_kerr",
        "--only",
        "resonances",
        "--sweep",
        "Delta = linspace(2*K, 4*K, 5)",
    )
    assert code == 0, out + err
    folder = tmp_path / "results" / "vdp_kerr"
    assert sorted(p.name for p in folder.iterdir()) == [
        "resonances.nc",
        "resonances_1.png",
        "resonances_1.svg",
        "store",
    ]
    dataset = xr.open_dataset(folder / "resonances.nc", engine="h5netcdf")
    assert dataset["S"].dims == ("method", "Delta")
    assert dataset["peak2"].sel({"method": "steadystate"}).item() == pytest.approx(
        151.98340910400412, abs=1e-4
    )
    assert json.loads(dataset.attrs["parameters"])["K"] == 50
    assert "hamiltonian" in dataset.attrs["model_text"]
    assert (
        command("plot", str(folder / "resonances.nc"), "--out", str(tmp_path))[0] == 0
    )
    assert (tmp_path / "resonances_1.png").stat().st_size > 5000
    # a folder of results that were copied has no store
    copied = tmp_path / "copied"
    copied.mkdir()
    (folder / "resonances.nc").rename(copied / "resonances.nc")
    assert command("plot", str(copied))[0] == 0
    assert (copied / "resonances_1.svg").exists()


def test_complex_numbers_survive_the_file(command, tmp_path):
    import qsyncdsl

    text = "mode a : boson(levels = 12)\nhamiltonian a'*a + 0.5*(a + a')\ndissipator 1 : a\nexperiment e { solve steadystate; measure A = <a> }"
    (tmp_path / "m.qsync").write_text(text)
    assert command("run", "m.qsync", "-q")[0] == 0
    dataset = qsyncdsl.open_results(tmp_path / "results" / "m" / "e.nc")
    value = dataset["A"].sel({"method": "steadystate"}).item()
    assert value == pytest.approx(-0.4 - 0.2j, abs=1e-7)


def test_an_expectation_that_fails_is_exit_code_4(command, tmp_path):
    text = "mode a : boson(levels = 4)\nhamiltonian a'*a\ndissipator 1 : a\nexperiment e { solve steadystate; measure n = <a.n>; expect n is 1 within 0.1 }\n"
    (tmp_path / "m.qsync").write_text(text)
    assert command("test", "m.qsync")[0] == 4
    assert command("run", "m.qsync")[0] == 4


def test_only_one_experiment_is_tested(command, tmp_path):
    text = "mode a : boson(levels = 4)\ndissipator 1 : a\nexperiment e { solve steadystate; measure n = <a.n>; expect n is 1 within 0.1 }\nexperiment f { solve steadystate; measure n = <a.n>; expect n is 0 within 0.1 }\n"
    (tmp_path / "m.qsync").write_text(text)
    assert command("test", "m.qsync")[0] == 4
    code, out, _ = command("test", "m.qsync", "--only", "f")
    assert code == 0
    assert "1 passed, 0 failed" in out
    code, _, err = command("test", "m.qsync", "--only", "g")
    assert code == 1
    assert "E705" in err


def test_long_sums_of_one_form_are_explained_in_short(command, tmp_path):
    text = (
        "mode r : rotor(nmax = 9)\nmode u : levels(12)\nparameter J = 2\n"
        "hamiltonian r.n^2 - J/2*sum(n in -9..8, |n+1><n| of r + h.c.)\n"
        "dissipator 1 : sum(n in 0..10, sqrt(n + 1)*|n><n+1| of u)\n"
    )
    (tmp_path / "m.qsync").write_text(text)
    _, out, _ = command("explain", "m.qsync")
    joined = " ".join(out.split())
    assert "- J/2 [Σ |n⟩⟨n+1|(r), n = -9..8] - J/2 [Σ |n⟩⟨n-1|(r), n = -8..9]" in joined
    assert (
        "|0⟩⟨1|(u) + sqrt(2) |1⟩⟨2|(u) + ... (8 more) + sqrt(11) |10⟩⟨11|(u)" in joined
    )
    assert "⟨3|" not in joined


def test_a_method_that_is_not_for_the_model_is_skipped_with_its_reason(
    command, tmp_path
):
    text = "mode s : qubit\nhamiltonian s.z\ndissipator 1 : s.minus\nexperiment e { solve langevin(time = 1); solve steadystate; measure n = <s.n> }"
    (tmp_path / "m.qsync").write_text(text)
    code, out, _ = command("run", "m.qsync")
    assert code == 0
    assert "langevin: skipped" in out
    assert "qubit" in out


def test_two_processes_give_the_same_bits(command, tmp_path):
    arguments = (
        "eval",
        "vdp_pair_two_level",
        "--sweep",
        "V = linspace(1, 20, 24)",
        "--solve",
        "steadystate",
        "--measure",
        "C = concurrence(a1, a2)",
        "--json",
    )
    one = json.loads(command(*arguments)[1])["experiments"]["eval"]["methods"][
        "steadystate"
    ]["measures"]
    two = json.loads(command(*arguments, "--jobs", "2")[1])["experiments"]["eval"][
        "methods"
    ]["steadystate"]["measures"]
    assert one == two


@pytest.mark.parametrize(
    "arguments",
    [
        ("explain", "vdp_kerr"),
        ("explain", "vdp_kerr", "--latex"),
        ("explain", "vdp_kerr", "--code"),
        ("explain", "kicked_rotor", "--solve", "classical"),
        ("explain", "kicked_rotor", "--solve", "classical", "--latex"),
        ("models",),
        ("models", "show", "vdp_kerr"),
    ],
)
def test_what_is_shown_fits_its_purpose(command, arguments):
    code, out, _ = command(*arguments)
    assert code == 0
    assert out.strip()


def test_explain_shows_the_equation_of_motion(command):
    out = command("explain", "vdp_pair_dissipative")[1]
    assert "U(1) n(a1) + n(a2)" in out
    assert "d⟨a1⟩/dt" in out


@pytest.mark.parametrize("arguments", [(), ("--solve", "langevin")])
def test_explain_shows_typed_equations(command, arguments):
    code, out, _ = command("explain", "josephson_bloch", *arguments)
    assert code == 0
    assert "dphi/dt = r*(-iL + ib + xiJ" in out
    assert "4 variables" in out
    assert "Hamiltonian" not in out


def test_check_is_light():
    script = "import sys\nfrom qsyncdsl import pipeline\npipeline.check('vdp_kerr')\nprint([m for m in ('numpy', 'sympy', 'scipy', 'qutip', 'numba', 'matplotlib', 'xarray') if m in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout
    assert out.strip() == "[]"


def test_the_python_door_gives_the_same_dataset():
    import qsyncdsl

    datasets = qsyncdsl.load("phase_slip_duality").run("bands")
    assert (
        float(abs(datasets["bands"]["Ebox"] - datasets["bands"]["Eloop"].values).max())
        < 1e-9
    )


@pytest.mark.parametrize(
    ("arguments", "verdicts", "code"),
    [
        ((), ["passed", "passed"], 0),
        (("--set", "F = 2"), ["skipped", "passed"], 0),
        (("--set", "F = 2", "--strict"), ["skipped", "passed"], 4),
        # the same value, and levels, which are no physics
        (("--set", "F = 2/2", "--set", "levels_a = 25"), ["passed", "passed"], 0),
        (("--set", "kappa = 2"), ["skipped", "skipped"], 0),
    ],
)
def test_expectations_are_of_the_parameters_of_the_file(
    command, tmp_path, arguments, verdicts, code
):
    """What the command line changes, and an expectation does not name, makes it another question."""
    (tmp_path / "m.qsync").write_text(
        "parameter F = 1, kappa = 4\nmode a : boson(levels = 24)\n"
        "hamiltonian F*(a + a')\ndissipator kappa : a\n"
        "experiment e {\n  solve   steadystate\n  measure n = <a'*a>\n"
        "  expect  n is 0.25 within 1e-6\n  expect  n at F = 2 is 1 within 1e-6\n}\n"
    )
    found, out, _ = command("run", "m.qsync", "-q", "--json", *arguments)
    told = json.loads(out)["experiments"]["e"]["expectations"]
    assert [one["verdict"] for one in told] == verdicts
    assert found == code
