r"""Covariances of fields that are the same on all sites of a periodic lattice: one block for each wave vector.

With $M_{jl} = M_{l - j}$ for Jacobian, diffusion and covariance, and $M(k) = \sum_s M_s e^{ik\cdot s}$,
$$ \dot C(k) = J(k) C(k) + C(k) J(k)^\dagger + D(k) , \qquad C_s = \frac1S \sum_k C(k) e^{-ik\cdot s} . $$
Whether it is so is found out, not declared: polynomials that are equal at random fields are equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qsyncdsl.solve.polynomials import Sum

# Relative differences that are rounding.
_SAME = 1e-9


@dataclass(frozen=True)
class Translation:
    """A lattice whose sites are alike.

    Attributes:
        shape: Sites along each direction; site j has the fields `offsets + j`.
        sums: Drift, its two derivatives, normal and anomalous diffusion of all fields.
    """

    shape: tuple[int, ...]
    offsets: tuple[int, ...]
    sums: tuple[Sum, ...]

    @property
    def sites(self) -> int:
        """S."""
        return int(np.prod(self.shape))

    @cached_property
    def _where(self) -> tuple[np.ndarray, np.ndarray]:
        """Family and site of every field."""
        count = len(self.offsets) * self.sites
        family, site = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
        for number, offset in enumerate(self.offsets):
            family[offset : offset + self.sites] = number
            site[offset : offset + self.sites] = np.arange(self.sites)
        return family, site

    @cached_property
    def _waves(self) -> tuple[np.ndarray, np.ndarray]:
        """Wave vectors of which no two are opposite, as flat places; and the opposite place of each."""
        places = np.indices(self.shape).reshape(len(self.shape), -1)
        sizes = np.array(self.shape)[:, None]
        opposite = np.ravel_multi_index(tuple(-places % sizes), self.shape)
        kept = np.flatnonzero(np.arange(self.sites) <= opposite)
        return kept, opposite

    @cached_property
    def data(self) -> tuple[Any, ...]:
        """What `right_sides.waves_right` takes: sums of the site 0, phases, number of families."""
        family, site = self._where
        f, fields = len(self.offsets), len(family)
        matrices = self.sums[1:]
        seen = [np.zeros(1, dtype=np.int64)]
        for one in matrices:
            row, column = np.divmod(one.arrays[0], fields)
            seen.append(site[column[site[row] == 0]])
        shifts = np.unique(np.concatenate(seen))
        drift = self.sums[0].arrays
        reduced = [_chosen(drift, site[drift[0]] == 0, family[drift[0]], family)]
        for one in matrices:
            row, column = np.divmod(one.arrays[0], fields)
            place = np.minimum(np.searchsorted(shifts, site[column]), len(shifts) - 1)
            target = (family[row] * f + family[column]) * len(shifts) + place
            reduced.append(_chosen(one.arrays, site[row] == 0, target, family))
        steps = np.array(np.unravel_index(shifts, self.shape), dtype=float)
        waves = np.array(np.unravel_index(self._waves[0], self.shape), dtype=float)
        turns = (waves / np.array(self.shape)[:, None]).T @ steps
        return (*reduced, np.exp(2j * np.pi * turns), np.array([f], dtype=np.int64))

    def start(self, alpha: np.ndarray, widths: np.ndarray) -> np.ndarray:
        """Means and blocks of a product state with variances `widths` of all quadratures."""
        rows = np.array(self.offsets)
        own = np.stack([widths[2 * rows], widths[2 * rows + 1]], axis=1).reshape(-1)
        blocks = np.repeat(
            np.diag(own).astype(complex)[None], len(self._waves[0]), axis=0
        )
        return np.concatenate(
            [
                np.ascontiguousarray(alpha[rows]).view(float),
                blocks.reshape(-1).view(float),
            ]
        )

    def expanded(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means, shape (T, F), and covariances, shape (T, 2F, 2F), of all fields."""
        family, site = self._where
        f = len(self.offsets)
        kept, opposite = self._waves
        means = np.ascontiguousarray(y[:, : 2 * f]).view(complex)[:, family]
        found = np.ascontiguousarray(y[:, 2 * f :]).view(complex)
        found = found.reshape(len(y), len(kept), 2 * f, 2 * f)
        whole = np.empty((len(y), self.sites, 2 * f, 2 * f), dtype=complex)
        whole[:, opposite[kept]] = found.conj()
        whole[:, kept] = found
        axes = tuple(range(1, 1 + len(self.shape)))
        whole = whole.reshape(len(y), *self.shape, 2 * f, 2 * f)
        by_shift = np.fft.fftn(whole, axes=axes).real / self.sites
        by_shift = by_shift.reshape(len(y), self.sites, 2 * f, 2 * f)
        coordinates = np.array(np.unravel_index(site, self.shape))
        sizes = np.array(self.shape)[:, None, None]
        apart = (coordinates[:, None, :] - coordinates[:, :, None]) % sizes
        shift = np.repeat(
            np.repeat(np.ravel_multi_index(tuple(apart), self.shape), 2, 0), 2, 1
        )
        part = np.stack([2 * family, 2 * family + 1], axis=1).reshape(-1)
        covariances = by_shift[:, shift, part[:, None], part[None, :]]
        return means, covariances


def _chosen(
    arrays: tuple[Any, ...], kept: np.ndarray, target: np.ndarray, family: np.ndarray
) -> tuple[Any, ...]:
    """Some terms of a polynomial, with other targets, in the mean fields of the families."""
    _, values, start, fields, p, q = arrays
    lengths = np.diff(start)
    inside = np.repeat(kept, lengths)
    new_start = np.concatenate([[0], np.cumsum(lengths[kept])]).astype(np.int64)
    return (
        np.ascontiguousarray(target[kept]),
        np.ascontiguousarray(values[kept]),
        new_start,
        np.ascontiguousarray(family[fields[inside]]),
        np.ascontiguousarray(p[inside]),
        np.ascontiguousarray(q[inside]),
    )


def translation(
    families: tuple[Any, ...],
    sums: tuple[Sum, ...],
    alpha: np.ndarray,
    widths: np.ndarray,
) -> Translation | None:
    """The lattice on which equations and start are the same on all sites; None where they are not."""
    shape = families[0].shape
    if not shape or any(
        one.shape != shape or not one.periodic or one.size != int(np.prod(shape))
        for one in families
    ):
        return None
    found = Translation(shape, tuple(one.offset for one in families), sums)
    if found.sites < 3:
        return None
    for offset in found.offsets:
        here = slice(offset, offset + found.sites)
        wide = slice(2 * offset, 2 * (offset + found.sites))
        if np.abs(alpha[here] - alpha[offset]).max() > _SAME * np.abs(alpha).max():
            return None
        if np.ptp(widths[wide]) > _SAME * widths.max():
            return None
    z = np.random.default_rng(1).normal(size=(2, len(alpha)))
    fields = z[0] + 1j * z[1]
    for axis in range(len(shape)):
        moved = _shifted(found, axis)
        for one in sums:
            before, after = one.at(fields), one.at(fields[moved])
            for side in range(before.ndim):
                before = np.take(before, moved, axis=side)
            scale = max(float(np.abs(before).max(initial=0.0)), 1e-300)
            if np.abs(after - before).max(initial=0.0) > _SAME * scale:
                return None
    return found


def _shifted(where: Translation, axis: int) -> np.ndarray:
    """The place of each field's neighbor along an axis."""
    sites = np.roll(np.arange(where.sites).reshape(where.shape), 1, axis=axis)
    moved = np.empty(len(where.offsets) * where.sites, dtype=np.int64)
    for offset in where.offsets:
        moved[offset : offset + where.sites] = offset + sites.reshape(-1)
    return moved
