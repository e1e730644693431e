"""Adaptive sweeps: points where a measure bends, a tongue with few of them, meshes without holes."""

import json

import numpy as np
import pytest
import xarray as xr
from scipy.interpolate import LinearNDInterpolator

from qsyncdsl.run.mesh import Mesh
from tests.conftest import run_text
from tests.test_store import bits, run

BEND = """
parameter x = 0, y = 1
mode a : qubit
hamiltonian 0*a.z
dissipator 1 : a.minus
experiment e {
  sweep   x = linspace(0, 10, 11) adaptive on f to 0.001
  solve   steadystate
  measure f = y*max(0, x - 7.3)
}
"""


def refined(function, counts, tolerance, stride=64):
    """A mesh refined until nothing is left to do; with the values."""
    sizes = tuple((n - 1) * stride + 1 for n in counts)
    mesh = Mesh(sizes, (stride,) * len(counts))

    def value(vertex):
        return np.atleast_1d(function(*(k / stride for k in vertex)))

    values = {v: value(v) for v in mesh.vertices}
    while new := mesh.refine(values, tolerance):
        values |= {v: value(v) for v in new}
    return mesh, values


@pytest.mark.parametrize("counts", [(9,), (6, 4), (3, 3, 3)])
def test_the_simplices_fill_the_grid_without_overlap(counts):
    def bump(*x):
        return max(0.0, 1 - np.linalg.norm(np.array(x) - 1.2))

    mesh, _ = refined(bump, counts, 0.05)
    volume = sum(
        abs(np.linalg.det(np.diff(np.array(vertices) / 64, axis=0)))
        for vertices, _ in mesh.simplices
    )
    assert volume / np.prod(range(1, len(counts) + 1)) == pytest.approx(
        np.prod(np.array(counts) - 1)
    )
    assert len(mesh.vertices) > np.prod(counts)


def test_no_edge_is_half_cut():
    mesh, _ = refined(lambda x, y: abs(x - 2.1 * y), (8, 8), 0.02)
    assert not any(mesh._hanging(simplex) for simplex in mesh.simplices)


def test_a_smooth_function_is_known_to_the_tolerance():
    def wave(x, y):
        return np.sin(x) * np.cos(y / 2)

    mesh, values = refined(wave, (8, 8), 0.004)
    places = np.array(sorted(mesh.vertices))
    table = np.array([values[tuple(p)][0] for p in places])
    between = LinearNDInterpolator(places / 64, table)
    points = np.random.default_rng(1).uniform(0, 7, (400, 2))
    errors = np.abs(between(points) - wave(*points.T))
    assert errors.max() < 0.012
    assert np.median(errors) < 0.004


def test_a_gap_is_left_alone():
    mesh = Mesh((257,), (64,))
    values = {v: np.array([abs(v[0] / 64 - 2.2)]) for v in mesh.vertices}
    values[(128,)] = np.array([np.nan])
    assert mesh.refine(values, 1e-3) == set()


def test_points_gather_at_a_bend():
    dataset = run_text(BEND)["e"].dataset
    assert dataset["f"].dims == ("method", "point")
    x = dataset["x"].values
    assert (np.diff(x) > 0).all()
    assert set(np.linspace(0, 10, 11)) <= set(x)
    assert np.min(np.diff(x)) <= 1 / 32
    assert np.abs(x[np.argmin(np.diff(x))] - 7.3) < 0.2
    assert len(x) < 40


def test_other_axes_have_lists_of_their_own():
    text = BEND.replace("sweep   x", "sweep   y = [0.1, 1]; sweep   x")
    dataset = run_text(text)["e"].dataset
    y = dataset["y"].values
    assert 11 < (y == 0.1).sum() < (y == 1).sum()
    expected = y * np.maximum(0, dataset["x"].values - 7.3)
    assert np.allclose(dataset["f"].values[0], expected)


def test_a_tolerance_must_be_positive(command, tmp_path):
    code, _, err = run(command, tmp_path, BEND.replace("to 0.001", "to 0"))
    assert code == 1
    assert "E707" in err


@pytest.mark.slow
def test_an_adaptive_sweep_is_kept_and_drawn_like_any_other(command, tmp_path):
    text = BEND.replace(
        "  measure f", "  plot f vs x\n  plot f over (x, y)\n  measure f"
    )
    text = text.replace("11) adaptive", "11), y = linspace(0, 1, 3) adaptive")
    assert run(command, tmp_path, text)[0] == 0
    before = bits(tmp_path / "out")
    assert run(command, tmp_path, text)[0] == 0
    assert bits(tmp_path / "out") == before
    status = json.loads(command("status", "out", "--json")[1])["lines"][0]
    assert status["done"] == status["total"] > 33
    assert command("plot", "out")[0] == 0
    dataset = xr.load_dataset(tmp_path / "out" / "e.nc", engine="h5netcdf")
    assert dataset.sizes["point"] == status["total"]


TONGUE = """
parameter kappa1 = 1, V = 20, Delta = 0
mode a1, a2 : qubit
hamiltonian Delta/2*(a2.n - a1.n)
dissipator  2*kappa1 : a1.plus, a2.plus
dissipator  4*kappa1 : a1.minus, a2.minus
coupling    2*V : a1.minus - a2.minus
experiment tongue {
  sweep   Delta = linspace(0, 50, 11), V = linspace(0, 25, 11) adaptive on C to 8e-5
  solve   steadystate
  measure C = concurrence(a1, a2)
}
experiment edges {
  sweep   V = linspace(10, 24, 8)
  solve   steadystate
  measure C = concurrence(a1, a2)
  locate  edge : Delta in 0..60 where C > 0
}
"""


def edge_errors(Delta, V, C, exact):
    """Relative errors of the edge as read from interpolated values, half of the last step away."""
    between = LinearNDInterpolator(np.stack([Delta / 50, V / 25], axis=1), C)
    found = []
    for v, edge in exact:
        line = np.linspace(0, 50, 20001)
        inside = between(line / 50, np.full(line.size, v / 25)) > 1e-5
        found.append(abs(line[inside].max() - edge) / edge)
    return np.array(found)


def concurrences(Delta, V):
    """C of the stationary states on a grid of points, by dense linear algebra; shape of Delta."""
    up, one = np.array([[0, 0], [1, 0]]), np.eye(2)
    p1, p2 = np.kron(up, one), np.kron(one, up)
    n1, n2 = p1 @ p1.T, p2 @ p2.T

    def turning(h):
        return -1j * (np.kron(h, np.eye(4)) - np.kron(np.eye(4), h.T))

    def channel(op):
        loss = op.T @ op
        both = np.kron(loss, np.eye(4)) + np.kron(np.eye(4), loss.T)
        return np.kron(op, op) - both / 2

    own = 2 * channel(p1) + 2 * channel(p2) + 4 * channel(p1.T) + 4 * channel(p2.T)
    shared, detuned = 2 * channel(p1.T - p2.T), turning((n2 - n1) / 2)
    L = own + V[..., None, None] * shared + Delta[..., None, None] * detuned
    L[..., 0, :] = np.eye(4).ravel()
    right = np.zeros((*V.shape, 16, 1), dtype=complex)
    right[..., 0, 0] = 1
    rho = np.linalg.solve(L, right)[..., 0].reshape(*V.shape, 4, 4)
    flip = np.array([[0, -1], [1, 0]])
    both = np.kron(flip, flip)
    spin = np.linalg.eigvals(rho @ both @ rho.conj() @ both.T)
    roots = np.sort(np.sqrt(np.maximum(spin.real, 0)), axis=-1)
    return np.maximum(0, roots[..., -1] - roots[..., :-1].sum(axis=-1))


@pytest.mark.slow
def test_an_adaptive_tongue_has_its_edge_with_a_quarter_of_the_points():
    results = run_text(TONGUE)
    edges = results["edges"].dataset
    exact = list(zip(edges["V"].values, edges["edge"].values[0], strict=True))
    found = results["tongue"].dataset
    Delta, V, C = (found[x].values for x in ("Delta", "V", "C"))
    assert np.allclose(C[0], concurrences(Delta, V), atol=1e-7)
    few = edge_errors(Delta, V, C[0], exact)
    side = int(np.sqrt(4 * found.sizes["point"]))
    Delta, V = np.meshgrid(
        np.linspace(0, 50, side), np.linspace(0, 25, side), indexing="ij"
    )
    C = concurrences(Delta, V)
    many = edge_errors(Delta.ravel(), V.ravel(), C.ravel(), exact)
    print(found.sizes["point"], side**2, few.max(), many.max())
    assert few.max() < 0.01 < many.max()
