"""The algebra against its laws and against matrices."""

import numpy as np
import pytest
import qutip
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from qsyncdsl.algebra.heisenberg import drift
from qsyncdsl.algebra.matrices import polynomial_matrix
from qsyncdsl.algebra.operators import Space, SystemMode
from qsyncdsl.algebra.rings import NUMERIC, SYMBOLIC
from qsyncdsl.algebra.symmetry import weak_symmetry
from qsyncdsl.model import modes, rotors

KINDS = {
    "boson": (modes.boson, 14),
    "qubit": (modes.qubit, 2),
    "spin": (modes.spin, 1.5),
    "levels": (modes.levels, 3),
    "ensemble": (modes.ensemble, 5),
    "rotor": (rotors.rotor, 8),
}
LETTERS = {
    "boson": [("a", ()), ("n", ()), ("q", ()), ("p", ())],
    "qubit": [(x, ()) for x in ("x", "y", "z", "plus", "minus", "n")],
    "spin": [(x, ()) for x in ("x", "y", "z", "plus", "minus")],
    "ensemble": [(x, ()) for x in ("Jx", "Jy", "Jz", "Jplus", "Jminus")],
    "rotor": [
        ("n", ()),
        ("p", ()),
        ("cos", ()),
        ("sin", ()),
        ("shift", (1,)),
        ("shift", (-2,)),
    ],
}


def space(kind: str, count: int = 1) -> Space:
    value, size = KINDS[kind]
    return Space(tuple(SystemMode(f"m{k}", value, size) for k in range(count)), NUMERIC)


def operators(kind: str):
    """Random words of one mode kind as polynomials."""
    here = space(kind)
    if kind == "levels":
        units = [(n, m) for n in range(3) for m in range(3)]
        return st.sampled_from(units).map(lambda nm: here.unit(0, *nm))
    letters = st.sampled_from(LETTERS[kind]).map(lambda x: here.letter(0, x[0], *x[1]))
    return st.lists(letters, min_size=1, max_size=2).map(
        lambda xs: xs[0] if len(xs) == 1 else xs[0] * xs[1]
    )


def close(x, y) -> bool:
    return all(abs(c) < 1e-9 for c in (x - y).terms.values())


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_products_are_associative(kind, data):
    x, y, z = (data.draw(operators(kind)) for _ in range(3))
    assert close((x * y) * z, x * (y * z))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_adjoint_turns_products_around(kind, data):
    x, y = data.draw(operators(kind)), data.draw(operators(kind))
    assert close((x * y).dag(), y.dag() * x.dag())
    assert close(x.dag().dag(), x)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_jacobi_identity_holds(kind, data):
    x, y, z = (data.draw(operators(kind)) for _ in range(3))
    total = (
        x.commutator(y.commutator(z))
        + y.commutator(z.commutator(x))
        + z.commutator(x.commutator(y))
    )
    assert close(total, x * 0)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_symbolic_product_is_the_matrix_product_below_the_cutoff(kind, data):
    x, y = data.draw(operators(kind)), data.draw(operators(kind))
    dims = [m.dimension for m in x.space.modes]
    product = polynomial_matrix(x * y, dims).toarray()
    matrices = (
        polynomial_matrix(x, dims).toarray() @ polynomial_matrix(y, dims).toarray()
    )
    safe = {"boson": slice(0, 8), "rotor": slice(5, 12)}.get(kind, slice(None))
    assert np.allclose(product[safe, safe], matrices[safe, safe], atol=1e-9)


def test_letters_are_those_of_qutip():
    d = {k: [m.dimension for m in space(k).modes] for k in KINDS}

    def matrix(kind, name):
        return polynomial_matrix(space(kind).letter(0, name), d[kind]).toarray()

    flip = np.fliplr(np.eye(2))  # QuTiP puts "up" first
    for name, other in (
        ("x", qutip.sigmax()),
        ("y", qutip.sigmay()),
        ("z", qutip.sigmaz()),
    ):
        assert np.allclose(matrix("qubit", name), flip @ other.full() @ flip)
    flip4 = np.fliplr(np.eye(4))
    for name in "xyz":
        assert np.allclose(
            matrix("spin", name), flip4 @ qutip.jmat(1.5, name).full() @ flip4
        )
    assert np.allclose(matrix("boson", "a"), qutip.destroy(14).full())
    assert np.allclose(matrix("boson", "q"), qutip.position(14).full())
    assert np.allclose(matrix("boson", "p"), qutip.momentum(14).full())


def test_a_displacement_is_exact_and_cut_afterwards():
    """<0|exp(i eta (a + a'))|0> = exp(-eta^2/2); a matrix exponential at the cutoff is not exact."""
    here = space("boson")
    a = here.letter(0, "a")
    matrix = polynomial_matrix(
        here.function("exp", (a + a.dag()) * 1.3j), [4]
    ).toarray()
    assert matrix[0, 0] == pytest.approx(np.exp(-(1.3**2) / 2), abs=1e-12)
    assert matrix[1, 0] == pytest.approx(1.3j * np.exp(-(1.3**2) / 2), abs=1e-12)


def test_the_square_of_a_bose_hubbard_chain_is_the_square_of_its_matrix():
    here = Space(tuple(SystemMode(f"a{j}", modes.boson, 3) for j in range(3)), SYMBOLIC)
    strength, hopping = sympy.symbols("U J", real=True)
    a = [here.letter(j, "a") for j in range(3)]
    h = here.scalar(0)
    for j in range(3):
        n = a[j].dag() * a[j]
        h = h + n * (n - 1) * (strength / 2)
        if j < 2:
            x = a[j].dag() * a[j + 1]
            h = h - (x + x.dag()) * hopping
    assert h.is_hermitian()
    values = {strength: 2, hopping: 3}
    square = (h * h).map(lambda c: c.subs(values))
    dims = [7, 7, 7]
    big = polynomial_matrix(h.map(lambda c: c.subs(values)), dims)
    # With at most 3 quanta in all nothing reaches the cutoff of 7.
    keep = [k for k in range(343) if sum(np.unravel_index(k, dims)) <= 3]
    exact = (big @ big).toarray()[np.ix_(keep, keep)]
    assert np.allclose(
        polynomial_matrix(square, dims).toarray()[np.ix_(keep, keep)], exact
    )


def test_the_van_der_pol_equation_is_derived():
    here = Space((SystemMode("a", modes.boson),), SYMBOLIC)
    gain, loss, detuning = sympy.symbols("g1 g2 D", real=True)
    a = here.letter(0, "a")
    found = drift(a, a.dag() * a * detuning, [(gain, a.dag()), (loss, a * a)])
    expected = a * (gain / 2 - sympy.I * detuning) - a.dag() * a * a * loss
    assert found == expected


@pytest.mark.parametrize(
    ("shifts", "count", "charges", "moduli"),
    [
        ([(1, -1)], 2, ((1, 1),), (0,)),
        ([(1,)], 1, (), ()),
        ([(2,)], 1, ((1,),), (2,)),
        ([], 2, ((1, 0), (0, 1)), (0, 0)),
        ([(1, 0), (0, 2)], 2, ((0, 1),), (2,)),
    ],
)
def test_symmetries_of_textbook_models(shifts, count, charges, moduli):
    found = weak_symmetry(shifts, count)
    assert (found.charges, found.moduli) == (charges, moduli)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(-3, 3)] * 3), min_size=1, max_size=3),
    st.tuples(*[st.integers(-3, 3)] * 3),
)
def test_charges_vanish_exactly_on_the_lattice_of_shifts(shifts, weights):
    found = weak_symmetry(shifts, 3)
    inside = [
        sum(w * s[k] for w, s in zip(weights, shifts, strict=False)) for k in range(3)
    ]
    assert not any(found.classify(inside))
    # An unshifted direction that the shifts cannot reach has a charge.
    if np.linalg.matrix_rank(np.array(shifts)) < 3:
        assert 0 in found.moduli


def two_bosons():
    """Two bosons and a quadrature of the first."""
    here = Space(tuple(SystemMode(f"m{k}", modes.boson, 9) for k in range(2)), NUMERIC)
    return here, here.letter(0, "q"), here.letter(0, "p")


def test_functions_of_one_quadrature_commute():
    here, q, _ = two_bosons()
    cos, sin = here.function("cos", 0.3 * q), here.function("sin", 0.7 * q + 1)
    assert cos * sin == sin * cos
    assert (cos * sin).is_hermitian()
    assert not cos.commutator(sin)
    root = here.function("sqrt", here.letter(0, "n") + 1)
    assert root * here.letter(0, "n") == here.letter(0, "n") * root
    other = here.function("cos", 0.3 * here.letter(1, "q"))
    assert (cos * other * sin).is_hermitian()


def test_functions_of_two_quadratures_keep_their_order():
    here, q, p = two_bosons()
    cos, sin = here.function("cos", q), here.function("sin", p)
    exp = here.function("exp", 0.2 * q)
    assert cos * sin != sin * cos
    # those of one quadrature move freely, but not past the other
    assert cos * exp * sin == exp * cos * sin
    assert cos * sin * exp != cos * exp * sin


def test_products_of_functions_are_multiplied_before_they_are_cut():
    here, q, _ = two_bosons()
    levels, large = 9, 80
    cos, sin = here.function("cos", 1.3 * q), here.function("sin", 0.7 * q)
    x, v = np.linalg.eigh(qutip.position(large).full())
    exact = (v * (np.cos(1.3 * x) * np.sin(0.7 * x))) @ v.conj().T
    found = polynomial_matrix(cos * sin, (levels, 1)).toarray()
    assert found == pytest.approx(exact[:levels, :levels], abs=1e-12)
    both = polynomial_matrix(q * cos, (levels, 1)).toarray()
    assert both == pytest.approx(
        ((v * (x * np.cos(1.3 * x))) @ v.conj().T)[:levels, :levels], abs=1e-12
    )


def test_a_function_of_a_function_is_on_its_own_mode():
    here, _, _ = two_bosons()
    inner = here.function("sin", 0.4 * here.letter(1, "q"))
    outer = here.function("cos", inner + 0.2)
    x, v = np.linalg.eigh(qutip.position(80).full())
    exact = (v * np.cos(np.sin(0.4 * x) + 0.2)) @ v.conj().T
    found = polynomial_matrix(outer, (1, 7)).toarray()
    assert found == pytest.approx(exact[:7, :7], abs=1e-12)
