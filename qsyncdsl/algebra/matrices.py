"""Operators as sparse matrices in the number basis; the first mode varies slowest.

Words have exact matrix elements, cut at the dimension: a normal-ordered moment of a state below the
cutoff is not biased. Functions act on the full operator and are cut afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from qsyncdsl.algebra.operators import (
    Factor,
    Key,
    Monomial,
    Polynomial,
    Space,
    SystemMode,
)
from qsyncdsl.model.rotors import window

# Levels added to a boson before a function of its operators is computed and cut; doubled until
# the kept block stands still to the tolerance.
_FIRST_PADDING = 16
_MOST_LEVELS = 1200
_TOLERANCE = 1e-13


def monomial_matrix(
    space: Space, monomial: Monomial, dimensions: Sequence[int]
) -> sp.csr_array:
    """Matrix of a monomial on the tensor product of all modes, shape (D, D).

    Raises:
        ValueError: If a factor has no matrix: the bare angle of a rotor, or a function that
            does not settle as its space grows.
    """
    factors: dict[int, Any] = {}
    for key, word in monomial:
        if not isinstance(key, int) or key in factors:
            return _joint_matrix(space, monomial, dimensions)
        factors[key] = sp.coo_array(_factor(space, (key, word), dimensions))
    rows = columns = np.zeros(1, dtype=np.int64)
    values = np.ones(1)
    for k, dimension in enumerate(dimensions):
        if k in factors:
            (r, c), v = factors[k].coords, factors[k].data
            values = (values[:, None] * v).ravel()
        else:
            r = c = np.arange(dimension)
            values = np.repeat(values, dimension)
        rows = (rows[:, None] * dimension + r).ravel()
        columns = (columns[:, None] * dimension + c).ravel()
    size = prod(dimensions)
    return sp.csr_array((values, (rows, columns)), shape=(size, size))


def _joint_matrix(
    space: Space, monomial: Monomial, dimensions: Sequence[int]
) -> sp.csr_array:
    """Matrix of a monomial with factors that act on several modes at once."""
    matrix = sp.identity(1, format="coo")
    modes: list[int] = []
    for key, word in monomial:
        matrix = sp.kron(matrix, _factor(space, (key, word), dimensions), format="coo")
        modes += [key] if isinstance(key, int) else list(key)
    return _embed(sp.coo_array(matrix), modes, dimensions)


def polynomial_matrix(
    polynomial: Polynomial, dimensions: Sequence[int]
) -> sp.csr_array:
    """Matrix of a polynomial with numerical coefficients, shape (D, D)."""
    size = prod(dimensions)
    total = sp.csr_array((size, size), dtype=complex)
    for monomial, value in polynomial.terms.items():
        total = total + complex(value) * monomial_matrix(
            polynomial.space, monomial, dimensions
        )
    return total


def _embed(
    matrix: sp.coo_array, modes: list[int], dimensions: Sequence[int]
) -> sp.csr_array:
    """A matrix on some modes, in their order, as one on all modes."""
    rest = [k for k in range(len(dimensions)) if k not in modes]
    others = prod(dimensions[k] for k in rest)
    full = sp.coo_array(
        sp.kron(matrix, sp.identity(others, format="coo"), format="coo")
    )
    flat = np.arange(prod(dimensions)).reshape(tuple(dimensions))
    place = flat.transpose(modes + rest).ravel()
    return sp.csr_array(
        (full.data, (place[full.coords[0]], place[full.coords[1]])), shape=full.shape
    )


def _factor(space: Space, factor: Factor, dimensions: Sequence[int]) -> Any:
    """Matrix of one factor on its own modes."""
    key, word = factor
    if word[0] == "f":
        return _function(space, key, word, dimensions)
    if word[0] == "product":
        keys = (key,) if isinstance(key, int) else key
        return _joint(space, keys, word[1], dimensions)
    assert isinstance(key, int)
    mode = space.modes[key]
    dimension = dimensions[key]
    if word[0] == "D":
        return _displaced_projector(word, dimension)
    rows, columns, values = mode.kind.element(word, mode.size, dimension)
    return sp.coo_array((values, (rows, columns)), shape=(dimension, dimension))


def _displaced_projector(word: Any, dimension: int) -> Any:
    r"""$D^\dagger(\alpha)|n\rangle\langle m|D(\alpha)$."""
    from qsyncdsl.algebra.displaced import displacement

    _, n, m, alpha = word
    rows = displacement(-alpha, dimension, max(n, m) + 1)
    return sp.coo_array(np.outer(rows[:, n], rows[:, m].conj()))


def _joint(
    space: Space,
    keys: tuple[int, ...],
    parts: tuple[Factor, ...],
    dimensions: Sequence[int],
) -> Any:
    """A product of factors with a function among them, on the modes of all: multiplied, then cut."""
    growing = [k for k in keys if space.modes[k].kind.name in ("boson", "rotor")]
    if sum(not _keeps_numbers(word) for _, word in parts) < 2:
        # nothing is lost between the factors
        growing = []
    padding, before = _FIRST_PADDING if growing else 0, None
    while True:
        block = _joint_block(space, keys, parts, dimensions, growing, padding)
        if not growing:
            return sp.coo_array(block)
        if before is not None and _still(block, before):
            return sp.coo_array(block)
        before, padding = block, padding * 2
        sizes = [dimensions[k] + padding * (k in growing) for k in keys]
        if prod(sizes) > _MOST_LEVELS:
            raise ValueError("this product does not settle as its space grows")


def _still(block: Any, before: Any) -> bool:
    scale = max(1.0, abs(block).max())
    return bool(abs(block - before).max() < _TOLERANCE * scale)


def _joint_block(
    space: Space,
    keys: tuple[int, ...],
    parts: tuple[Factor, ...],
    dimensions: Sequence[int],
    growing: Sequence[int],
    padding: int,
) -> Any:
    """The kept block of a product, from a space with more levels of some modes."""
    modes, sizes, inside = list(space.modes), list(dimensions), []
    for k in keys:
        modes[k], sizes[k], first = _grown(
            space.modes[k], dimensions[k], padding, k in growing
        )
        inside.append(slice(first, first + dimensions[k]))
    larger = Space(tuple(modes), space.ring)
    small = [sizes[k] for k in keys]
    inner = _renumber(space, keys)
    total = sp.identity(prod(small), format="csr")
    for key, word in parts:
        own = [inner[k] for k in ((key,) if isinstance(key, int) else key)]
        factor = sp.coo_array(_factor(larger, (key, word), sizes))
        total = total @ _embed(factor, own, small)
    flat = np.arange(prod(small)).reshape(small)[tuple(inside)].ravel()
    return sp.csr_array(total)[flat][:, flat]


def _renumber(space: Space, keys: tuple[int, ...]) -> dict[int, int]:
    return {key: position for position, key in enumerate(keys)}


def _function(space: Space, key: Key, word: Any, dimensions: Sequence[int]) -> Any:
    """A function of an operator: computed on a larger space until the kept block stands still."""
    _, name, argument = word
    if isinstance(key, int) and _is_diagonal(argument):
        levels = np.arange(dimensions[key])
        values = _diagonal(space.modes[key], word, dimensions[key])
        return sp.coo_array((values, (levels, levels)), shape=(len(levels),) * 2)
    keys = (key,) if isinstance(key, int) else key
    kept = [dimensions[k] for k in keys]
    growing = [k for k in keys if space.modes[k].kind.name in ("boson", "rotor")]
    if _is_diagonal(argument):
        growing = []
    padding = _FIRST_PADDING if growing else 0
    before = None
    while True:
        block = _function_block(space, name, argument, keys, kept, growing, padding)
        if not growing:
            return sp.coo_array(block)
        if before is not None and np.abs(block - before).max() < _TOLERANCE:
            return sp.coo_array(np.where(np.abs(block) < 1e-16, 0, block))
        before, padding = block, padding * 2
        grown = [
            _grown(space.modes[k], n, padding, k in growing)
            for k, n in zip(keys, kept, strict=True)
        ]
        if prod(size for _, size, _ in grown) > _MOST_LEVELS:
            raise ValueError(
                f"{name} of this operator does not settle as its space grows"
            )


def _is_diagonal(argument: Polynomial) -> bool:
    """Whether every word keeps the number states."""
    return all(
        isinstance(key, int) and _keeps_numbers(word)
        for monomial in argument.terms
        for key, word in monomial
    )


def _keeps_numbers(word: Any) -> bool:
    if word[0] == "f":
        return _is_diagonal(word[2])
    if word[0] == "product":
        return all(isinstance(k, int) and _keeps_numbers(w) for k, w in word[1])
    if word[0] == "e":
        return bool(word[1] == 0)
    return bool(word[0] in ("a", "E") and word[1] == word[2])


def _diagonal(mode: SystemMode, word: Any, dimension: int) -> np.ndarray:
    """The diagonal of a word that keeps the number states of one mode."""
    if word[0] == "f":
        total = np.zeros(dimension, dtype=complex)
        for monomial, value in word[2].terms.items():
            parts = [_diagonal(mode, w, dimension) for _, w in monomial]
            total += complex(value) * np.prod([np.ones(dimension), *parts], axis=0)
        return _finite(word[1], total)
    if word[0] == "product":
        return np.prod([_diagonal(mode, w, dimension) for _, w in word[1]], axis=0)
    rows, _, values = mode.kind.element(word, mode.size, dimension)
    found = np.zeros(dimension, dtype=complex)
    found[rows] = values
    return found


def _function_block(
    space: Space,
    name: str,
    argument: Polynomial,
    keys: tuple[int, ...],
    kept: list[int],
    growing: list[int],
    padding: int,
) -> np.ndarray:
    """The kept block of a function of an operator, from a space with more levels."""
    modes, larger, sizes, inside = list(space.modes), [1] * len(space.modes), [], []
    for k, n in zip(keys, kept, strict=True):
        modes[k], size, first = _grown(space.modes[k], n, padding, k in growing)
        larger[k] = size
        sizes.append(size)
        inside.append(slice(first, first + n))
    # other modes, of one level, take no part
    moved = Polynomial(Space(tuple(modes), space.ring), argument.terms)
    matrix = polynomial_matrix(moved, larger).toarray()
    value = _apply(name, matrix)
    flat = np.arange(prod(sizes)).reshape(sizes)[tuple(inside)].ravel()
    return value[np.ix_(flat, flat)]


def _grown(
    mode: SystemMode, kept: int, padding: int, grows: bool
) -> tuple[SystemMode, int, int]:
    """A mode with more levels, their number, and where the kept ones begin."""
    if not grows:
        return mode, kept, 0
    if mode.kind.name == "rotor":
        here = window(mode.size)
        wider = replace(here, nmax=here.nmax + padding)
        return replace(mode, size=wider), kept + 2 * padding, padding
    return mode, kept + padding, 0


def _apply(name: str, matrix: np.ndarray) -> np.ndarray:
    """A function of a matrix; of its eigenvalues where it is Hermitian."""
    if np.allclose(
        matrix, matrix.conj().T, atol=1e-13 * max(1.0, np.abs(matrix).max())
    ):
        values, vectors = (
            (np.diag(matrix).real, None)
            if np.count_nonzero(matrix - np.diag(np.diag(matrix))) == 0
            else np.linalg.eigh(matrix)
        )
        images = _finite(name, values.astype(complex))
        return (
            np.diag(images)
            if vectors is None
            else (vectors * images) @ vectors.conj().T
        )
    if np.allclose(
        matrix, -matrix.conj().T, atol=1e-13 * max(1.0, np.abs(matrix).max())
    ):
        values, vectors = np.linalg.eigh(1j * matrix)
        images = _finite(name, -1j * values)
        return (vectors * images) @ vectors.conj().T
    known = {
        "exp": scipy.linalg.expm,
        "cos": scipy.linalg.cosm,
        "sin": scipy.linalg.sinm,
        "sqrt": scipy.linalg.sqrtm,
    }
    if name not in known:
        raise ValueError(f"{name} needs a Hermitian operator")
    return np.asarray(known[name](matrix))


def _finite(name: str, values: np.ndarray) -> np.ndarray:
    """A function at eigenvalues.

    Raises:
        ValueError: Where it has no finite value at one of them.
    """
    with np.errstate(all="ignore"):
        images = np.asarray(_scalar_function(name)(values))
    bad = np.flatnonzero(~np.isfinite(images))
    if len(bad):
        value = values[bad[0]]
        shown = f"{value.real:g}" if not value.imag else f"{value:g}"
        raise ValueError(f"{name} is not finite at the eigenvalue {shown}")
    return images


def _scalar_function(name: str) -> Any:
    """The function on (complex) eigenvalues."""
    if name.startswith("power "):
        exponent = complex(name.split(" ", 1)[1])
        return lambda x: x ** (exponent.real if exponent.imag == 0 else exponent)
    if name.startswith(("max ", "min ")):
        word, bound = name.split(" ", 1)
        limit = float(bound)
        choose = np.maximum if word == "max" else np.minimum
        return lambda x: choose(x.real, limit).astype(complex)
    if name.startswith("laguerre "):
        return _laguerre(name)
    return {
        "exp": np.exp,
        "cos": np.cos,
        "sin": np.sin,
        "tan": np.tan,
        "sinh": np.sinh,
        "cosh": np.cosh,
        "tanh": np.tanh,
        "log": np.log,
        "sqrt": np.sqrt,
        "abs": lambda x: np.abs(x).astype(complex),
        "sign": lambda x: np.sign(x.real).astype(complex),
        "step": lambda x: np.where(x.real < 0, 0, 1).astype(complex),
    }[name]


def _laguerre(name: str) -> Any:
    r"""`laguerre order alpha x`: $L_n^{(\alpha)}(x)$, as a function of n or of x, whichever is `*`."""
    from scipy.special import eval_genlaguerre

    _, order, alpha, x = name.split(" ")
    if order == "*":
        # below 0 there are no levels; what stands there is multiplied by 0
        return lambda n: eval_genlaguerre(
            np.maximum(n.real, 0.0), float(alpha), float(x)
        ).astype(complex)
    return lambda z: eval_genlaguerre(int(order), float(alpha), z.real).astype(complex)
