r"""Growth of small perturbations of a stationary product state, without evolution in time.

The linearized equations are $J = \bigoplus_c\mathcal{L}_c + \sum_m B_m C_m$: what a change of the field m does
to the cells, times what the cells do to the field. With few fields its eigenvalues outside the spectra of the
cells are the roots of a small determinant, $\det(1 - C(\lambda - L)^{-1}B) = 0$.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from qsyncdsl.solve.factors import superlu
from qsyncdsl.solve.field_map import FieldMap
from qsyncdsl.solve.selfconsistent import Stationary

# Unknowns up to which all eigenvalues are found at once.
_DENSE = 700
_SMALL = 120
_SHIFTS = 5
# Times that the inverse is applied at each shift.
_DEPTH = 3
# Rate at which the trace is made to decay, in units of the largest rate: out of the way.
_LOST = 3.0


def growth(found: Stationary) -> tuple[float, float]:
    r"""The largest $\mathrm{Re}\,\lambda$ of the linearized equations, and $-\mathrm{Im}\,\lambda$ there.

    In the frame of the state, over the perturbations that the mean fields respond to. Of a conjugate pair, which
    grow together, it is the positive frequency.
    """
    sectors = [x for x in _sectors(found) if x.size]
    # cells on their own can only decay: what can grow moves a field
    coupled = [x for x in sectors if x.force.shape[1]]
    values = [(linear_growth(x), x.paired) for x in coupled or sectors]
    best, paired = max(values, key=lambda v: v[0].real)
    return float(best.real), float(abs(best.imag) if paired else -best.imag)


@dataclass(frozen=True)
class Linear:
    """J on the perturbations of one charge.

    Attributes:
        blocks: L_c - s rho_c Tr: stacks of small dense matrices, shape (m, n, n), or sparse ones.
        force: B, shape (n, r).
        look: C, shape (r, n).
        paired: Whether eigenvalues come in conjugate pairs.
    """

    blocks: list[Any]
    force: np.ndarray
    look: np.ndarray
    paired: bool

    @property
    def size(self) -> int:
        """Number of complex unknowns."""
        return len(self.force)


def _sectors(found: Stationary) -> list[Linear]:
    """J, taken apart by the charge of the perturbation where the state has the symmetry."""
    cells = found.cells
    field_map = FieldMap(cells)
    x = cells.mean_values(found.y)[field_map.fields]
    charges = cells.problem.charges
    broken = found.nu != 0 or bool(
        (np.abs(x[~field_map.real]) > 1e-9 * (1 + np.abs(x).max(initial=0))).any()
    )
    if charges is None or broken:
        return [_linear(found, field_map, x, None)]
    steps = {0}
    for look in {cells.look_at(int(p))[0] for p in field_map.fields}:
        kind, operator = cells.operators.looks[look]
        rows, columns = operator.tocoo().coords
        # Tr(O rho) sees the elements (column, row) of rho
        steps |= {int(abs(s)) for s in charges[kind][columns] - charges[kind][rows]}
    return [_linear(found, field_map, x, step) for step in sorted(steps)]


def _linear(
    found: Stationary, field_map: FieldMap, x: np.ndarray, step: int | None
) -> Linear:
    """J on the elements whose charge is `step`, or on all."""
    cells = found.cells
    g = field_map.strengths(x)
    slopes = np.concatenate(field_map.strength_slopes(x), axis=1)
    blocks: list[Any] = []
    forces = [np.zeros((0, slopes.shape[1]), dtype=complex)]
    places: list[tuple[int, np.ndarray]] = []
    begin = 0
    for kind, layout in enumerate(cells.layouts):
        kept, turns = _elements(found, kind, step)
        own, force = _blocks(found, kind, kept, turns, g, slopes)
        blocks += own
        forces.append(force)
        places.append((begin, kept))
        begin += len(layout.members) * len(kept)
    look = _looks(field_map, places, begin)
    force = np.concatenate(forces)
    used = np.flatnonzero(force.any(axis=0) & look.any(axis=1))
    paired = step is None or step == 0
    return Linear(blocks, np.ascontiguousarray(force[:, used]), look[used], paired)


def _elements(
    found: Stationary, kind: int, step: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The elements of a cell with one charge, and the frequencies at which the frame turns them."""
    cells = found.cells
    where = cells.operators.bases[kind].sector
    charges = cells.problem.charges
    if charges is None:
        return np.arange(where.size), np.zeros(where.size)
    charge = charges[kind][where.rows] - charges[kind][where.columns]
    kept = np.arange(where.size) if step is None else np.flatnonzero(charge == step)
    return kept, found.nu * charge[kept]


def _blocks(
    found: Stationary,
    kind: int,
    kept: np.ndarray,
    turns: np.ndarray,
    g: np.ndarray,
    slopes: np.ndarray,
) -> tuple[list[Any], np.ndarray]:
    """L of the cells of one kind, and what a change of each field does to them."""
    cells = found.cells
    base = cells.operators.bases[kind]
    n, m = len(kept), len(cells.layouts[kind].members)
    rho = base.form.to_complex @ cells.vectors(found.y, kind)
    dense = n <= _SMALL
    stack: Any = (
        np.zeros((m, n, n), dtype=complex)
        if dense
        else [sp.csr_array((n, n), dtype=complex) for _ in range(m)]
    )
    force = np.zeros((m, n, slopes.shape[1]), dtype=complex)
    for k, (other, matrix) in enumerate(cells.operators.operators):
        if other != kind:
            continue
        mine = slice(cells.strength_place[k], cells.strength_place[k] + m)
        rows = matrix[kept]
        if slopes[mine].any():
            force += (rows @ rho).T[:, :, None] * slopes[mine][:, None, :]
        inner = rows[:, kept]
        if dense:
            entries = inner.tocoo()
            stack[:, *entries.coords] += g[mine][:, None] * entries.data
            continue
        for one in np.flatnonzero(g[mine]):
            stack[one] = stack[one] + g[mine][one] * inner
    trace = (base.sector.rows == base.sector.columns)[kept].astype(float)
    rate = _LOST * max(np.abs(g).max(), 1.0)
    if dense:
        stack += np.diag(1j * turns) - rate * rho[kept].T[:, :, None] * trace
        return [stack], force.reshape(m * n, -1)
    # Without a trace any state will do: one with few elements leaves few entries.
    columns = np.flatnonzero(trace)
    rows = np.full(len(columns), columns[0] if len(columns) else 0)
    loss = sp.csr_array((np.full(len(columns), rate), (rows, columns)), shape=(n, n))
    for c in range(m):
        stack[c] = stack[c] + sp.diags_array(1j * turns) - loss
    return stack, force.reshape(m * n, -1)


def _looks(
    field_map: FieldMap, places: list[tuple[int, np.ndarray]], size: int
) -> np.ndarray:
    """The fields and their conjugates as functionals of the elements, shape (2r, size)."""
    cells, r = field_map.cells, len(field_map.fields)
    look = np.zeros((2 * r, size), dtype=complex)
    for f, place in enumerate(field_map.fields):
        number, column = cells.look_at(int(place))
        kind, operator = cells.operators.looks[number]
        where = cells.operators.bases[kind].sector
        first, kept = places[kind]
        counts = cells.layouts[kind].counts
        n = len(kept)
        for star, matrix in enumerate((operator, operator.conj().T)):
            # Tr(O rho) sees the elements (column, row) of rho
            row = np.asarray(sp.csr_array(matrix)[where.columns, where.rows])
            begin = first if column < 0 else first + column * n
            weights = np.asarray(counts, dtype=float) if column < 0 else np.ones(1)
            mine = slice(begin, begin + n * len(weights))
            look[f + star * r, mine] += np.outer(weights, row[kept]).reshape(-1)
    return look


def linear_growth(linear: Linear) -> complex:
    """The eigenvalue of J with the largest real part."""
    if linear.size <= _DENSE:
        whole = [b for x in linear.blocks for b in (x if _stack(x) else [x.toarray()])]
        dense = scipy.linalg.block_diag(*whole) + linear.force @ linear.look
        values = np.linalg.eigvals(dense)
        return complex(values[np.argmax(values.real)])
    if all(_stack(block) for block in linear.blocks):
        return _by_poles(linear)
    return _by_projection(linear)


# ── many small cells ─────────────────────────────────────────────────────────────────────────


def _by_poles(linear: Linear) -> complex:
    r"""The rightmost root of $\det(1 - C(z - L)^{-1}B) = 0$, the response as a sum over poles.

    Newton's method from a grid of starts over the frequencies at which the fields respond.
    """
    poles, residues = _poles(linear)
    rightmost = complex(poles[np.argmax(poles.real)])
    total = residues.sum(axis=0)
    size = float(np.abs(total).max(initial=0.0))
    if size == 0:
        return rightmost
    weight = np.abs(residues).sum(axis=(1, 2))
    order = np.argsort(poles.imag)
    share = np.cumsum(weight[order]) / weight.sum()
    low, high = (
        float(poles.imag[order][np.searchsorted(share, s)]) for s in (0.05, 0.95)
    )
    frequencies = np.linspace(low - 1.5 * size, high + 1.5 * size, 41)
    heights = rightmost.real + 1.5 * size * np.linspace(0.02, 1.0, 5)
    z = (heights[:, None] + 1j * frequencies).reshape(-1)
    unit, flat = np.eye(len(total)), residues.reshape(len(poles), -1)
    scale, settled = max(size, 1.0), []
    for _ in range(40):
        inverse = 1 / (z[:, None] - poles)
        response = (inverse @ flat).reshape(-1, *total.shape)
        slope = -(inverse**2 @ flat).reshape(-1, *total.shape)
        ratio = -np.einsum("zab,zba->z", np.linalg.pinv(unit - response), slope)
        step = 1 / np.where(np.abs(ratio) > 1e-300, ratio, 1e-300)
        longest = 0.5 * size
        step *= np.minimum(1.0, longest / np.maximum(np.abs(step), 1e-300))
        z = z - step
        moving = np.abs(step) > 1e-13 * scale
        settled += list(z[~moving])
        # starts that have come together go on as one
        _, first = np.unique(np.round(z[moving] / (1e-9 * scale)), return_index=True)
        z, step = z[moving][first], step[moving][first]
        if not len(z):
            break
    settled += list(z[np.abs(step) < 1e-10 * scale])
    right = [x for x in settled if x.real > rightmost.real]
    return complex(max(right, key=lambda x: x.real)) if right else rightmost


def _poles(linear: Linear) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of the cells alone, shape (n,), and residues of the response, shape (n, r, r)."""
    poles, residues = [], []
    begin = 0
    for block in linear.blocks:
        m, n = block.shape[:2]
        values, vectors = np.linalg.eig(block)
        mine = slice(begin, begin + m * n)
        force = np.linalg.solve(vectors, linear.force[mine].reshape(m, n, -1))
        look = linear.look[:, mine].reshape(-1, m, n).transpose(1, 0, 2) @ vectors
        poles.append(values.reshape(-1))
        found = np.einsum("man,mnb->mnab", look, force)
        residues.append(found.reshape(m * n, *found.shape[2:]))
        begin += m * n
    return np.concatenate(poles), np.concatenate(residues)


# ── large cells ──────────────────────────────────────────────────────────────────────────────


def _by_projection(linear: Linear) -> complex:
    r"""The rightmost eigenvalue of J on the space spanned by responses of the cells.

    Its eigenvectors are $(\lambda - L)^{-1}B$: a few of these vectors at shifts along the imaginary
    axis span them well (rational Krylov); the best one is refined by Newton's method.
    """
    columns = []
    sources = linear.force.T
    if not len(sources):
        # cells that nothing couples: any vector has a share of the slowest decay
        sources = np.random.default_rng(0).standard_normal((2, linear.size))
    for shift in _shifts(linear):
        solve = _inverse(linear.blocks, shift)
        for b in sources:
            vector = b
            for _ in range(_DEPTH):
                vector = solve(vector)
                columns.append(vector / np.linalg.norm(vector))
    if linear.paired:
        stack = np.stack(columns, axis=1)
        stack = np.concatenate([stack.real, stack.imag], axis=1)
    else:
        stack = np.stack(columns, axis=1)
    left, weights, _ = np.linalg.svd(stack, full_matrices=False)
    space = left[:, weights > 1e-10 * weights[0]]
    image = np.stack([_apply(linear.blocks, v) for v in space.T], axis=1)
    image = image + linear.force @ (linear.look @ space)
    values = np.linalg.eigvals(space.conj().T @ image)
    if not linear.force.shape[1]:
        return complex(values[np.argmax(values.real)])
    for guess in values[np.argsort(-values.real)]:
        found = _polished(linear, complex(guess))
        if found is not None:
            return found
    return complex(values[np.argmax(values.real)])


def _polished(linear: Linear, guess: complex) -> complex | None:
    r"""The root of $\det(1 - C(z - L)^{-1}B)$ beside a guess; None where there is none."""
    z = guess
    unit = np.eye(linear.force.shape[1])
    for _ in range(8):
        solve = _inverse(linear.blocks, z)
        first = np.stack([solve(b) for b in linear.force.T], axis=1)
        second = np.stack([solve(b) for b in first.T], axis=1)
        # (z - L)^-1 = -(L - z)^-1
        inside = unit + linear.look @ first
        ratio = np.trace(np.linalg.solve(inside, linear.look @ second))
        if ratio == 0:
            return None
        step = 1 / ratio
        if abs(z - step - guess) > 0.05 * max(abs(guess), 0.1):
            return None
        z = z - step
        if abs(step) < 1e-10 * max(abs(z), 0.1):
            return complex(z)
    return None


def _shifts(linear: Linear) -> list[complex]:
    """Points beside the imaginary axis at the frequencies at which the fields respond."""
    found: list[float] = [0.0]
    for m in range(linear.force.shape[1]):
        b, c = linear.force[:, m], linear.look[m]
        zero = c @ b
        if abs(zero) < 1e-12 * np.linalg.norm(c) * np.linalg.norm(b):
            continue
        once = _apply(linear.blocks, b)
        twice = _apply(linear.blocks, once)
        center = (c @ once) / zero
        width = np.sqrt(abs((c @ twice) / zero - center**2))
        # the coupling moves the common frequency by about its own size
        reach = 2 * width + 1.5 * abs(zero)
        found += list(center.imag + reach * np.linspace(-1, 1, _SHIFTS))
    if linear.paired:
        found = [abs(w) for w in found]
    scale = max(np.ptp(found), 1.0)
    grid: list[float] = []
    for value in sorted(found):
        if not grid or value - grid[-1] > 0.04 * scale:
            grid.append(value)
    return [0.02 * scale + 1j * value for value in grid]


def _stack(block: Any) -> bool:
    """Whether a block is a stack of small dense matrices."""
    return isinstance(block, np.ndarray)


def _apply(blocks: list[Any], vector: np.ndarray) -> np.ndarray:
    found, begin = [], 0
    for block in blocks:
        end = begin + (
            block.shape[0] * block.shape[1] if _stack(block) else block.shape[0]
        )
        found.append(_times(block, vector[begin:end]))
        begin = end
    return np.concatenate(found)


def _times(block: Any, part: np.ndarray) -> np.ndarray:
    if not _stack(block):
        return np.asarray(block @ part)
    return np.asarray((block @ part.reshape(len(block), -1, 1)).reshape(-1))


def _inverse(blocks: list[Any], shift: complex) -> Callable[[np.ndarray], np.ndarray]:
    """(L - shift)^-1 of the cells alone."""
    solvers: list[Callable[[np.ndarray], np.ndarray]] = []
    ends = []
    for block in blocks:
        if _stack(block):
            inverse = np.linalg.inv(block - shift * np.eye(block.shape[1]))
            solvers.append(partial(_times, inverse))
            ends.append(block.shape[0] * block.shape[1])
            continue
        factors = superlu(sp.csc_array(block - shift * sp.identity(block.shape[0])))
        assert factors is not None
        solvers.append(factors.solve)
        ends.append(block.shape[0])

    def solve(b: np.ndarray) -> np.ndarray:
        parts = np.split(b, np.cumsum(ends)[:-1])
        return np.concatenate([f(p) for f, p in zip(solvers, parts, strict=True)])

    return solve
