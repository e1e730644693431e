"""What is refused rather than answered wrongly."""

import pytest

from qsyncdsl import pipeline
from qsyncdsl.diagnostics import ModelError
from tests.conftest import rendered, run_text


def failure(text: str) -> str:
    """The code of the only failure of the experiment `e`."""
    (line,) = run_text(text)["e"].trust.values()
    (found,) = {f["code"] for f in line["failures"]}
    return str(found)


BASE = "parameter x = {x}\nmode a : boson(levels = 5)\n{terms}\nexperiment e {{ solve {solve}; measure n = <a.n> }}"


@pytest.mark.parametrize(
    ("code", "x", "terms", "solve"),
    [
        ("E503", "-1", "hamiltonian a.n; dissipator x : a", "steadystate"),
        (
            "E503",
            "1",
            "hamiltonian a.n; dissipator cos(t) : a",
            "evolve(times = [0, 3])",
        ),
        ("E506", "1", "hamiltonian a.n*cos(t); dissipator x : a", "steadystate"),
        ("E509", "1", "hamiltonian a.n; dissipator x : a", "evolve(times = [0, 2, 1])"),
        ("E504", "1", "hamiltonian a.n", "steadystate"),
    ],
)
def test_a_solver_refuses_with_a_code(code, x, terms, solve):
    assert failure(BASE.format(x=x, terms=terms, solve=solve)) == code


def skipped(text):
    """Why the one method of a text is not for its model."""
    (reason,) = run_text(text)["e"].plan.skipped.values()
    return reason


def test_classical_variables_are_not_left_out_silently():
    text = "variable u : real\nequation d/dt u = -u\nmode a : boson(levels = 3)\nhamiltonian a.n\ndissipator 1 : a\nexperiment e { solve steadystate; measure n = <a.n> }"
    assert "classical variables" in skipped(text)


def test_atoms_with_channels_of_their_own_need_another_method():
    text = "mode A : ensemble(4)\nhamiltonian A.Jz\ndissipator 1 : A[m].plus for m in A\nexperiment e { solve evolve(times = [0, 1]); measure z = <A.Jz> }"
    assert "no product basis" in skipped(text)


def test_levels_that_are_not_given_are_asked_for_where_no_method_chooses_them():
    from qsyncdsl.algebra.build import examine
    from qsyncdsl.diagnostics import ModelError
    from qsyncdsl.lower.lindblad import lindblad
    from qsyncdsl.model.environment import Environment
    from tests.conftest import model_of

    model = model_of("mode a : boson\nhamiltonian a.n\ndissipator 1 : a")
    system = examine(model, Environment(model))
    with pytest.raises(ModelError) as fault:
        lindblad(system)
    assert fault.value.diagnostics[0].code == "E402"


def test_a_coherent_state_that_does_not_fit_is_refused():
    text = "mode a : boson(levels = 4)\nhamiltonian a.n\ndissipator 1 : a\ninitial a = coherent(3)\nexperiment e { solve evolve(times = [0, 1]); measure n = <a.n> }"
    assert failure(text) == "E340"


def test_a_parameter_that_depends_on_itself_by_a_setting_is_refused():
    from qsyncdsl.diagnostics import ModelError

    text = "parameter x = 1, y = 2*x\nmode a : boson(levels = 3)\nhamiltonian y*a.n\ndissipator 1 : a\nexperiment e { solve steadystate; measure n = <a.n> }"
    with pytest.raises(ModelError) as fault:
        run_text(text, "x=y")
    assert fault.value.diagnostics[0].code == "E311"


def test_a_parameter_that_is_set_to_a_list_is_refused():
    from qsyncdsl.diagnostics import ModelError

    text = "parameter x = 1\nmode a : boson(levels = 3)\nhamiltonian x*a.n\ndissipator 1 : a\nexperiment e { solve steadystate; measure n = <a.n> }"
    with pytest.raises(ModelError) as fault:
        run_text(text, "x=[1, 2]")
    assert fault.value.diagnostics[0].code == "E325"


def test_a_sweep_over_cutoffs_keeps_every_distribution():
    text = "parameter x = 1\nmode a : boson(levels = 3)\nhamiltonian x*(a + a')\ndissipator 1 : a\nexperiment e { sweep levels = [3, 5]; solve steadystate; measure P = fock_distribution(a) }"
    found = run_text(text)["e"].dataset["P"].values[0]
    assert found.shape == (2, 5)
    assert found[0, :3].sum() == pytest.approx(1)
    assert found[1].sum() == pytest.approx(1)


def test_a_large_lattice_is_checked_without_being_solved():
    from qsyncdsl import pipeline
    from tests.conftest import model_of

    text = "lattice s = ring(50000)\nmode a[s] : boson(levels = 2)\nhamiltonian a[j]'*a[j] for j in s\ncoupling a[j]'*a[k] + h.c. for (j, k) in s.edges\nexperiment e { solve steadystate; measure n = <a[1].n> }"
    pipeline.examine_at(model_of(text))


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("hamiltonian sum(a.n for k in 1..3)", "E101", "sum(k in sites, x[k])"),
        ("hamiltonian 2*(a.n a.n)", "E106", "an operator is missing here"),
        ("parameter y = max(1 2)", "E106", "lists with ','"),
        ("hamiltonian (a.n ? 2)", "E101", "unexpected '?'"),
        ("hamiltonian 2*(a.n", "E102", "never closed"),
        ("hamiltonian 2*(a.n]", "E102", "never closed"),
    ],
)
def test_what_stands_inside_brackets_that_close_is_the_fault(line, code, said):
    text = f"mode a : boson(levels = 4)\n{line}\ndissipator 1 : a\n"
    found = rendered(text)
    assert f"error[{code}]" in found
    assert said in found


@pytest.mark.parametrize(
    ("code", "terms", "solve", "measure"),
    [
        ("E403", "hamiltonian a.n^(-1); dissipator 1 : a", "steadystate", "<a.n>"),
        ("E511", "dissipator 1 : a", "steadystate(accuracy = -1)", "<a.n>"),
        ("E511", "dissipator 1 : a", "evolve(time = 1 + i)", "<a.n>"),
        ("E511", "dissipator 1 : a", "evolve(time = 9, window = [5, 2])", "<a.n>"),
        ("E511", "dissipator 1 : a", "langevin(time = 9, dt = -1)", "<a.n>"),
        ("E511", "dissipator 1 : a", "evolve(times = [0, inf])", "<a.n>"),
        ("E642", "dissipator 1 : a", "steadystate", "wigner(a, points = 0)"),
        ("E642", "dissipator 1 : a", "steadystate", "wigner(a, extent = -2)"),
        (
            "E642",
            "dissipator 1 : a",
            "steadystate",
            "spectrum(a', a, frequencies = [])",
        ),
        ("E609", "dissipator 1 : a", "steadystate", "eigenvalues(-2)"),
    ],
)
def test_values_that_no_option_or_argument_can_have(code, terms, solve, measure):
    """They hung, ended as faults of the program, or were passed over."""
    text = f"mode a : boson(levels = 5)\n{terms}\nexperiment e {{ solve {solve}; measure n = {measure} }}"
    assert failure(text) == code


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("hamiltonian (a + a')^400", "E307"),
        ("hamiltonian a^1e9 + h.c.", "E307"),
        ("mode b : boson(levels = 1e9)", "E314"),
        ("experiment f { sweep g = []; solve steadystate; measure n = <a.n> }", "E702"),
    ],
)
def test_sizes_beyond_reason_are_refused_at_once(line, code):
    text = f"parameter g = 1\nmode a : boson(levels = 5)\ndissipator g : a\n{line}\n"
    if "experiment" not in line:
        text += "experiment e { solve steadystate; measure n = <a.n> }"
    with pytest.raises(ModelError) as fault:
        run_text(text)
    assert fault.value.diagnostics[0].code == code


def test_a_list_of_one_frequency_may_be_written_as_a_number():
    """H = a'a, loss 1: <a(t) a'(0)> has a line of height 4 at 1 and 4/17 at 3."""
    text = """
mode a : boson(levels = 5)
hamiltonian a.n
dissipator 1 : a
experiment e { solve steadystate; measure S = spectrum(a, a', frequencies = 3) }
"""
    found = run_text(text)["e"].dataset["S"].values
    assert found.ravel() == pytest.approx([4 / 17])


def test_a_file_of_edges_without_any_is_no_lattice(tmp_path):
    (tmp_path / "edges.csv").write_text("")
    path = tmp_path / "m.qsync"
    path.write_text(
        'lattice L = graph("edges.csv")\nmode a[L] : qubit\nhamiltonian a[1].z\n'
    )
    with pytest.raises(ModelError) as fault:
        pipeline.describe(str(path), pipeline.Request())
    assert "the file has no edges" in fault.value.diagnostics[0].message


def test_definitions_deep_in_one_another_and_long_sums_are_no_faults_of_ours(
    command, tmp_path
):
    base = "mode a : boson(levels = 5)\ndissipator 1 : a\n"
    ask = "experiment e { solve steadystate; measure n = %s }\n"
    chain = "".join(f"define d{k} = d{k - 1} + 1\n" for k in range(1, 3000))
    (tmp_path / "deep.qsync").write_text(
        base + f"define d0 = 1\n{chain}" + ask % "d2999"
    )
    code, _, errors = command("run", "deep.qsync")
    assert code == 1
    assert "E108" in errors
    (tmp_path / "long.qsync").write_text(
        base + "hamiltonian a.n" + " + a.n" * 3000 + "\n" + ask % "<a.n>"
    )
    code, _, errors = command("run", "long.qsync")
    assert code == 1
    assert "E108" in errors
    assert "long.qsync:3:1" in errors


def test_lines_may_end_in_carriage_returns(command, tmp_path):
    text = "mode a : boson(levels = 5)\rdissipator 1 : a\r"
    (tmp_path / "old.qsync").write_bytes(text.encode())
    assert command("check", "old.qsync")[0] == 0


def test_a_measure_that_has_the_name_of_a_parameter_is_called_a_measure():
    found = rendered(
        BASE.replace("measure n", "measure x").format(
            x=1, terms="dissipator x : a", solve="steadystate"
        )
    )
    assert "the measure 'x' hides a declared name" in found


def test_what_a_cutoff_loses_is_never_a_hundred_per_cent():
    text = """
mode a : boson(levels = 22)
dissipator 1 : a
initial a = coherent(3)
experiment e { solve evolve(times = [0, 1]); measure n = <a.n> }
"""
    (line,) = run_text(text)["e"].trust.values()
    assert "keep only 99.98" in line["failures"][0]["message"]
