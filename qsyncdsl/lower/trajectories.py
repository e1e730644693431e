r"""Quantum jumps: the generator between jumps, as constant diagonals of the flat tensor index.

Operators of single modes and hopping between modes have few diagonals whose offsets are the same
for all rows, so that one application of the generator is a loop without index arrays. The loop is
written out here, one statement a diagonal, real and imaginary parts apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import scipy.sparse as sp

from qsyncdsl.algebra.system import System
from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.lower.lindblad import lindblad
from qsyncdsl.problem import GeneratorTerm, LindbladProblem, Lowered, TrajectoryProblem

# Bytes of matrices and states at most.
_ROOM = 4 << 30
# Diagonals beyond which rows of a sparse matrix are gone through instead.
_DIAGONALS = 60
# Dimension from which on a loop is written out.
_DIMENSION = 256
# Elements that are summed up at a time; a multiple of any vector length.
_BLOCK = 64


def trajectories(
    system: System, title: str = "", options: Mapping[str, Any] | None = None
) -> Lowered:
    """Lower a system to the evolution of state vectors with jumps.

    Raises:
        ModelError: E401, E402, E403 as for the master equation.
        SolveError: E512 for a space that does not fit in memory.
    """
    _refuse_size(system)
    lowered = lindblad(system, title)
    return Lowered(generator(lowered.problem), lowered.parameters)


def _refuse_size(system: System) -> None:
    """Before any matrix is made: about one diagonal for each monomial, and states."""
    sizes = [
        mode.size if mode.kind.name == "boson" else mode.dimension
        for mode in system.space.modes
        if mode.ensemble is None
    ]
    states = prod(size or 1 for size in sizes)
    terms = sum(len(term.operator.terms) for term in system.hamiltonian)
    terms += sum(2 * len(jump.operator.terms) for jump in system.jumps)
    need = 16.0 * states * (terms + 12)
    if need > _ROOM:
        message = f"{states} basis states need about {need / 2**30:.0f} GB"
        fits = int(_ROOM / (16.0 * (terms + 12)))
        help = f"about {fits} basis states fit: keep fewer levels"
        raise SolveError(Diagnostic("E512", message, help=help))


def generator(problem: LindbladProblem) -> TrajectoryProblem:
    """The generator between jumps of a master equation, with the source of its kernel."""
    terms = tuple(_terms(problem))
    found = TrajectoryProblem(problem, terms, _offsets(terms))
    diagonal = found.offsets == (0,)
    few = len(found.offsets) <= _DIAGONALS and problem.dimension >= _DIMENSION
    written = few and not diagonal and not problem.forces
    source = _source(found) if written else ""
    return TrajectoryProblem(problem, terms, found.offsets, source)


def _terms(problem: LindbladProblem) -> list[GeneratorTerm]:
    """-i H/hbar and -L'L/2 for each pair of summands of a jump, equal factors together."""
    sums: dict[tuple[int, ...], Any] = {}

    def add(factors: tuple[int, ...], matrix: Any) -> None:
        key = tuple(sorted(factors))
        sums[key] = sums[key] + matrix if key in sums else matrix

    for k, index in problem.hamiltonian:
        add((k,), -1j * problem.matrices[index])
    for channel in problem.channels:
        for k, left in channel.jump:
            for j, right in channel.jump:
                product = problem.matrices[left].conj().T @ problem.matrices[right]
                add((channel.rate, ~k, j), -0.5 * product)
    return [GeneratorTerm(key, sp.csr_array(sums[key])) for key in sums]


def _offsets(terms: tuple[GeneratorTerm, ...]) -> tuple[int, ...]:
    found: set[int] = {0}
    for term in terms:
        entries = term.matrix.tocoo()
        rows, columns = entries.coords
        found.update(np.unique(columns.astype(np.int64) - rows).tolist())
    return tuple(sorted(found))


def _source(problem: TrajectoryProblem) -> str:
    """`term`: one application of the generator and one step of the recurrence."""
    count = problem.dimension
    length = -(-count // _BLOCK) * _BLOCK
    margin = max(abs(o) for o in problem.offsets)
    margin = -(-margin // 8) * 8
    row = _apart(length + 2 * margin)
    lines, scalars = [], []
    for group in range(1 + len(problem.moving)):
        if group:
            scalars.append(
                f"    p{group}, q{group} = g[{2 * group}], g[{2 * group + 1}]"
            )
        for place, offset in enumerate(problem.offsets):
            band = 2 * (group * len(problem.offsets) + place)
            lines += _band(band, group, offset, _apart(length), margin)
    return _TEMPLATE.format(
        dimension=count,
        length=length,
        stride=_apart(length),
        margin=margin,
        row=row,
        block=_BLOCK,
        scalars="\n".join(scalars) + "\n" if scalars else "",
        bands="\n".join(lines),
    )


def _apart(length: int) -> int:
    """A distance of rows in memory at which equal places of many rows share no cache line's set."""
    return length + (72 - length) % 512


def _band(band: int, group: int, offset: int, stride: int, margin: int) -> list[str]:
    """The statements of one diagonal; those marked with a band that vanishes are left out."""
    x, y = f"x[m + {margin + offset}]", f"y[m + {margin + offset}]"
    weight = f"d[{band * stride} + m]"
    other = f"d[{(band + 1) * stride} + m]"
    if group:
        x, y = f"(p{group}*{x} - q{group}*{y})", f"(p{group}*{y} + q{group}*{x})"
    return [
        f"            ar += {weight}*{x}  # band {band}",
        f"            ai += {weight}*{y}  # band {band}",
        f"            ar -= {other}*{y}  # band {band + 1}",
        f"            ai += {other}*{x}  # band {band + 1}",
    ]


_TEMPLATE = '''\
DIMENSION = {dimension}
LENGTH = {length}
STRIDE = {stride}
MARGIN = {margin}
ROW = {row}


def term(source, target, weight, keep, share, g, d, rows, columns, room, layout):
    """target = weight*G*source + keep*target; sum += share*target. Rows of `room` in pairs."""
{scalars}    x = room[source*ROW : source*ROW + ROW]
    y = room[source*ROW + ROW : source*ROW + 2*ROW]
    tx = room[target*ROW + MARGIN : target*ROW + MARGIN + LENGTH]
    ty = room[target*ROW + ROW + MARGIN : target*ROW + ROW + MARGIN + LENGTH]
    sx = room[4*ROW + MARGIN : 4*ROW + MARGIN + LENGTH]
    sy = room[5*ROW + MARGIN : 5*ROW + MARGIN + LENGTH]
    sr = lane_rows(1, {block})
    si = lane_rows(1, {block})
    for first in range(0, LENGTH, {block}):
        for j in range({block}):
            m = first + j
            ar = 0.0
            ai = 0.0
{bands}
            sr[0, j] = weight*ar
            si[0, j] = weight*ai
        for j in range({block}):
            new = sr[0, j] + keep*tx[first + j]
            tx[first + j] = new
            sx[first + j] += share*new
        for j in range({block}):
            new = si[0, j] + keep*ty[first + j]
            ty[first + j] = new
            sy[first + j] += share*new
'''
