"""What pictures say: axes, legends, panels and color scales."""

import numpy as np
import pytest

from qsyncdsl.diagnostics import ModelError
from qsyncdsl.report.plot import figures
from tests.conftest import run_text

MODEL = """
parameter E = 0.4 "drive", Delta = 0, kappa = 1
mode a : boson(levels = 8)
hamiltonian -Delta*a'*a + E*(a + a')
dissipator kappa : a
experiment e "Response of a cavity" {{ {0} }}
"""


def drawn(text):
    """The only figure of an experiment."""
    result = run_text(MODEL.format(text.strip()))["e"]
    plan = result.plan
    ((_, figure),) = figures(result.dataset, plan.model, plan.experiment)
    return figure


def legend(figure):
    """The texts of the legend, wherever it stands."""
    (found,) = [
        *figure.legends,
        *(a.get_legend() for a in figure.axes if a.get_legend()),
    ]
    return [text.get_text() for text in found.get_texts()]


def test_the_modulus_of_a_complex_measure_says_so():
    figure = drawn(
        "sweep E = linspace(0, 0.4, 3); solve steadystate; measure A = <a>; plot A vs E"
    )
    (axes,) = figure.axes
    assert axes.get_ylabel() == "|A|"
    assert axes.get_xlabel() == "drive  E"
    assert axes.lines[0].get_ydata() == pytest.approx([0, 0.4, 0.8], abs=1e-3)
    assert figure.get_suptitle() == "Response of a cavity"


def test_points_of_a_list_are_named_by_what_is_set():
    figure = drawn(
        "sweep (E, Delta) = [(0.1, 0), (0.2, 1)]; solve steadystate;"
        " measure P = phase_distribution(a); plot P"
    )
    assert legend(figure) == ["E = 0.1, Δ = 0", "E = 0.2, Δ = 1"]


def test_a_quantity_that_does_not_depend_on_a_parameter_is_one_curve():
    figure = drawn(
        "sweep E = linspace(0, 1, 3), Delta = [0, 1]; solve steadystate;"
        " measure n = <a'*a>; measure bound = 4*E^2; plot n, bound vs E"
    )
    assert legend(figure) == ["n, Δ = 0", "n, Δ = 1", "bound, all Δ"]


def test_many_curves_that_differ_in_a_number_have_a_color_scale():
    figure = drawn(
        "sweep E = linspace(0, 1, 3), Delta = linspace(0, 1, 9); solve steadystate;"
        " measure n = <a'*a>; plot n vs E"
    )
    axes, scale = figure.axes
    assert len(axes.lines) == 9
    assert scale.get_ylabel() == "Δ"


def test_many_curves_of_several_measures_have_a_dash_for_each_beside_the_color_scale():
    figure = drawn(
        "sweep E = linspace(0, 1, 3), Delta = linspace(0, 1, 9); solve steadystate;"
        " measure n = <a'*a>; measure A = <a>; plot n, A vs E"
    )
    axes, scale = figure.axes
    assert scale.get_ylabel() == "Δ"
    assert legend(figure) == ["n", "|A|"]
    assert [line.get_linestyle() for line in axes.lines] == ["-"] * 9 + ["--"] * 9
    colors = [line.get_color() for line in axes.lines]
    assert colors[:9] == colors[9:]
    assert len(set(map(tuple, colors))) == 9


def test_a_picture_shows_the_value_of_the_grid_nearest_to_its_at():
    figure = drawn(
        "sweep E = linspace(0, 1, 3), Delta = [0, 0.5, 1]; solve steadystate; solve evolve(times = [0, 1]);"
        " measure n = <a'*a>; plot n vs E at Delta = 0.45, method = steadystate"
    )
    (axes,) = figure.axes
    (line,) = axes.lines
    assert line.get_ydata() == pytest.approx([0, 0.5, 2], abs=0.05)
    assert figure.get_suptitle() == "Response of a cavity, Δ = 0.5, steadystate"


def test_points_of_a_list_are_chosen_by_at():
    figure = drawn(
        "sweep (E, Delta) = [(0.1, 0), (0.2, 0), (0.1, 1), (0.2, 1)]; solve steadystate;"
        " measure n = <a'*a>; plot n vs E at Delta = 1"
    )
    (line,) = figure.axes[0].lines
    assert line.get_xdata() == pytest.approx([0.1, 0.2])
    assert line.get_ydata() == pytest.approx([0.01 / 1.25, 0.04 / 1.25], rel=1e-3)


def test_panels_of_phase_space_have_no_gaps_where_methods_differ_in_their_grids():
    figure = drawn(
        "solve steadystate; solve fokkerplanck; measure W = wigner(a); plot W"
    )
    quantum, density, _ = figure.axes
    for axes in (quantum, density):
        assert np.isfinite(np.ma.filled(axes.collections[0].get_array(), np.nan)).all()
    titles = [axes.get_title(loc="left") for axes in (quantum, density)]
    assert titles == ["steadystate", "fokkerplanck"]


def test_an_angle_does_not_draw_its_wrap():
    figure = drawn(
        "set Delta = -8; initial a = coherent(1); solve evolve(times = linspace(0, 1, 200));"
        " measure phase = arg(<a>); plot phase vs time"
    )
    y = figure.axes[0].lines[0].get_ydata()
    assert np.isnan(y).any()
    assert np.nanmax(np.abs(np.diff(y))) < 1


def test_one_series_is_drawn_against_another():
    """The amplitude of a driven cavity is -0.8i (1 - exp(-t/2))."""
    figure = drawn(
        "solve evolve(times = linspace(0, 4, 9)); measure n = <a'*a>; measure A = abs(<a>); plot A vs n"
    )
    (axes,) = figure.axes
    amplitude = 0.8 * (1 - np.exp(-np.linspace(0, 4, 9) / 2))
    (line,) = axes.lines
    assert line.get_ydata() == pytest.approx(amplitude, abs=1e-3)
    assert line.get_xdata() == pytest.approx(amplitude**2, abs=1e-3)


def test_subscripts_and_powers_of_ten_are_set_as_such():
    figure = drawn(
        "sweep E = linspace(0, 1, 3), Delta = [0, 1e6]; solve steadystate;"
        " measure n_c = <a'*a>; plot 2*n_c vs E"
    )
    assert figure.axes[0].get_ylabel() == "2·n$_{\\mathrm{c}}$"
    assert legend(figure) == ["Δ = 0", "Δ = 10⁶"]
    figure.canvas.draw()


def test_levels_of_several_measures_have_one_name_and_one_color_each():
    figure = drawn(
        "sweep Delta = linspace(0, 1, 4); solve eigen; measure A = eigenenergies(3);"
        " measure B = A + 1; plot A, B vs Delta"
    )
    (axes,) = figure.axes
    assert legend(figure) == ["A", "B"]
    assert [line.get_color() for line in axes.lines] == ["C0"] * 3 + ["C1"] * 3
    assert [line.get_linestyle() for line in axes.lines] == ["-"] * 3 + ["--"] * 3


def test_levels_of_one_measure_are_counted():
    figure = drawn(
        "sweep Delta = linspace(0, 1, 4); solve eigen; measure A = eigenenergies(3);"
        " plot A vs Delta"
    )
    assert legend(figure) == ["A(1)", "A(2)", "A(3)"]


def test_curves_for_the_same_setting_have_its_color_and_the_dash_of_their_measure():
    figure = drawn(
        "sweep E = linspace(0, 1, 3), Delta = [0, 1]; solve steadystate;"
        " measure n = <a'*a>; measure A = <a>; plot n, A vs E"
    )
    (axes,) = figure.axes
    looks = [(line.get_color(), line.get_linestyle()) for line in axes.lines]
    assert looks == [("C0", "-"), ("C1", "-"), ("C0", "--"), ("C1", "--")]
    assert legend(figure) == ["n, Δ = 0", "n, Δ = 1", "|A|, Δ = 0", "|A|, Δ = 1"]


def test_maps_that_are_nowhere_negative_have_a_scale_from_zero():
    figure = drawn("solve steadystate; measure Q = husimi(a, points = 21); plot Q")
    (mesh,) = figure.axes[0].collections
    assert mesh.cmap.name == "Blues"
    assert mesh.get_clim()[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("described", "shown"),
    [
        (
            "number of quanta in the cavity, about the vacuum",
            "number of quanta in the cavity,\nabout the vacuum  V",
        ),
        ("V_O over I_O [V_C]", None),
    ],
)
def test_long_labels_are_broken_and_subscripts_are_drawn(described, shown):
    figure = drawn(
        "sweep E = linspace(0, 0.4, 3); solve steadystate;"
        f' measure V = <a\'*a> "{described}"; plot V vs E'
    )
    sub = r"{}$_{{\mathrm{{{}}}}}$".format
    written = f"{sub('V', 'O')} over {sub('I', 'O')}  V  [{sub('V', 'C')}]"
    assert figure.axes[0].get_ylabel() == (shown or written)


@pytest.mark.parametrize(("most", "cyclic"), [(3.1, True), (2, False)])
def test_maps_of_angles_have_a_circle_of_colors(most, cyclic):
    figure = drawn(
        f"sweep E = linspace(-{most}, {most}, 5), Delta = [0, 1]; solve steadystate;"
        " measure angle = arg(exp(i*E)); plot angle over (E, Delta)"
    )
    (mesh,) = figure.axes[0].collections
    assert (mesh.get_cmap().name == "twilight_shifted") == cyclic


@pytest.mark.parametrize("plotted", ["C", "C(2)", "C(1), C(2)"])
def test_values_of_an_indexed_measure_have_the_bands_of_their_errors(plotted):
    figure = drawn(
        "sweep E = [0.1, 0.4]; solve langevin(time = 3, realizations = 8);"
        f" measure C[d in 1..2] = <a'^d*a^d>; plot {plotted} vs E"
    )
    (axes,) = figure.axes
    assert len(axes.collections) == len(axes.lines) == (1 if plotted == "C(2)" else 2)


def test_an_axis_of_a_map_may_depend_on_other_swept_quantities():
    """One panel for each value of a third quantity, with its own axis; or a skew grid in one panel."""
    panels = drawn(
        "sweep E = [0.1, 0.2], Delta = [0, 0.5, 1], kappa = [1, 2]; solve steadystate; measure n = <a'*a>; "
        "plot n over (E/kappa, Delta/kappa)"
    )
    shown = [axes for axes in panels.axes if axes.get_xlabel()]
    # twice the rate, half of both axes
    assert len(shown) == 2
    wide, narrow = (axes.dataLim.height for axes in shown)
    assert wide == pytest.approx(2 * narrow)
    figure = drawn(
        "sweep E = [0.1, 0.2], Delta = [0, 0.5, 1]; solve steadystate; measure n = <a'*a>; "
        "plot n over (E*(1 + Delta), Delta)"
    )
    (mesh,) = figure.axes[0].collections
    assert figure.axes[0].dataLim.x1 > 0.4
    assert mesh.get_array().shape == (3, 2)


def test_an_axis_of_a_map_that_follows_nothing_is_refused():
    with pytest.raises(ModelError, match="swept quantity") as fault:
        drawn(
            "sweep E = [0.1, 0.2]; solve steadystate; measure n = <a'*a>; plot n over (E, Delta)"
        )
    assert fault.value.diagnostics[0].code == "E751"
