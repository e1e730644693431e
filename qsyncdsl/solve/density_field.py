r"""Fokker-Planck equations of many fields that feel their mean: the nonlinear stationary densities.

For a given mean field x and frequency $\nu$ each density obeys a linear equation in the frame that turns
with $\nu$ (drift $+i\nu\alpha$); $\langle\alpha\rangle(x, \nu) = x$ is solved as for `meanfield`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qsyncdsl.diagnostics import Diagnostic, SolveError
from qsyncdsl.problem import DensityProblem, Point
from qsyncdsl.result import DensityResult, Trust
from qsyncdsl.solve.density_basis import Basis
from qsyncdsl.solve.density_equation import DensityEquation, equations
from qsyncdsl.solve.density_grid import Grid, faces
from qsyncdsl.solve.field_map import Image, newton
from qsyncdsl.solve.fokkerplanck import factored, kept, negative
from qsyncdsl.solve.rotating import Curves, on_curve

# Widths of a density that the basis shall resolve, on the scale of Gaussian tails.
_SHARPNESS = 6.5
_FEWEST, _MOST = 24, 90
# Change of the mean with the resolution that is small enough.
_ACCURACY = 1e-7
_GRID_CELLS, _GRID_ORDERS = 240, 24
_TURN = (0, 1)


@dataclass(frozen=True)
class DensityMap:
    """The map from a mean field to the mean that it produces; the counterpart of `FieldMap`.

    Attributes:
        shares: Of all fields, one for each equation.
        spaces: A basis or a grid for each equation.
    """

    equations: tuple[DensityEquation, ...]
    shares: np.ndarray
    spaces: tuple[Any, ...]

    @property
    def real(self) -> np.ndarray:
        """No field is real."""
        return np.array([False])

    @property
    def pull(self) -> float:
        """Size of the coupling to the mean field."""
        values = [
            value
            for equation in self.equations
            for (_, _, m), value in sorted(equation.drift.items())
            if m
        ]
        return float(np.linalg.norm(values)) if values else 0.0

    def normalized(self, size: float) -> tuple[DensityMap, Any]:
        """The map with its couplings divided by their size, and all numbers that it depends on.

        Couplings are rounded to 12 digits, so that those of all sizes have the same bits.
        """
        alike = tuple(
            DensityEquation(
                *(
                    {k: complex(np.round(v / size, 12)) + 0.0 if k[2] else v for k, v in part.items()}
                    for part in (equation.drift, equation.diffusion, equation.squeezing)
                )
            )
            for equation in self.equations
        )  # fmt: skip
        key = tuple(
            tuple(sorted(part.items(), key=lambda item: item[0]))
            for equation in alike
            for part in (equation.drift, equation.diffusion, equation.squeezing)
        )
        return DensityMap(alike, self.shares, self.spaces), (key, self.shares.tobytes())

    def radius(self) -> float:
        r"""$\sqrt{E|\alpha|^2}$ without a mean field."""
        parts = self.parts(self.image(np.zeros(1, dtype=complex), 0.0, False).y)
        squares = [
            (space.moment(1, 1) @ y).real
            for space, y in zip(self.spaces, parts, strict=True)
        ]
        return float(np.sqrt(self.shares @ np.array(squares)))

    def fastest(self) -> float:
        """The largest rate of the drift, in the size of its terms on the scale of the radius."""
        radius = self.radius()
        rates = [
            sum(
                abs(value) * radius ** (p + q - 1)
                for (p, q, m), value in equation.drift.items()
                if m == 0 and p + q
            )
            for equation in self.equations
        ]
        return float(np.median(rates))

    def turning(self, x: np.ndarray) -> float:
        r"""$-\mathrm{Im}\,A(r)/r$ at the radius r, in a mean field."""
        radius = self.radius()
        total = 0j
        for share, equation in zip(self.shares, self.equations, strict=True):
            for (p, q, m), value in equation.drift.items():
                if m == 0 and q == p + 1:
                    total += share * value * radius ** (p + q - 1)
                elif m and p == q == 0:
                    field = complex(x[0]) if m > 0 else complex(x[0]).conjugate()
                    total += share * value * field / radius
        return -float(total.imag)

    def edge(self, y: np.ndarray) -> float:
        """Nothing is cut off that the comparison of two resolutions would not see."""
        return 0.0

    def parts(self, y: np.ndarray) -> list[np.ndarray]:
        """The unknowns of each equation."""
        places = np.cumsum([len(space.trace) for space in self.spaces])[:-1]
        return np.split(y, places)

    def image(self, x: np.ndarray, nu: float, slopes: bool = True) -> Image:
        """Solve all equations in a given mean field."""
        ys, mean, slope = [], 0j, np.zeros(3, dtype=complex)
        for share, space, pieces in zip(
            self.shares, self.spaces, self._matrices, strict=True
        ):
            still, along, across, turn = pieces
            matrix = still + x[0].real * along + x[0].imag * across + nu * turn
            solve = factored(matrix, space.trace)
            right = np.zeros(matrix.shape[0])
            right[0] = 1.0
            y = solve(right)
            ys.append(y)
            row = space.moment(*_TURN)
            mean += share * complex(row @ y)
            if slopes:
                for k, piece in enumerate((along, across, turn)):
                    force = -(piece @ y)
                    force[0] = 0.0
                    slope[k] += share * complex(row @ solve(force))
        return Image(np.concatenate(ys), np.array([mean]), slope[None, :])

    @cached_property
    def _matrices(self) -> list[tuple[Any, Any, Any, Any]]:
        """What acts without a mean field, with its real and imaginary part, and the turning."""
        return [
            _pieces(equation, space)
            for equation, space in zip(self.equations, self.spaces, strict=True)
        ]


def _pieces(equation: DensityEquation, space: Any) -> tuple[Any, Any, Any, Any]:
    still = _without(equation)
    if isinstance(space, Grid):
        # the drift of the mean field changes neither the cells nor the fitting of their fluxes
        base = space.generator(still)
        return (
            base,
            *(space.generator(_pulled(equation, still, x)) - base for x in (1.0, 1j)),
            space.generator(_turned(still)) - base,
        )
    base = space.generator(still.drift, still.diffusion, still.squeezing)
    pulled = [
        space.generator(
            *(
                {k: v for k, v in terms.items() if k[2]}
                for terms in (equation.drift, equation.diffusion, equation.squeezing)
            ),
            x,
        )
        for x in (1.0, 1j)
    ]
    turn = space.generator({(*_TURN, 0): 1j}, {}, {})
    return base, pulled[0], pulled[1], turn


def _without(equation: DensityEquation) -> DensityEquation:
    return DensityEquation(
        *(
            {k: v for k, v in terms.items() if not k[2]}
            for terms in (equation.drift, equation.diffusion, equation.squeezing)
        )
    )


def _pulled(
    equation: DensityEquation, still: DensityEquation, x: complex
) -> DensityEquation:
    """With the terms of a mean field."""
    drift = dict(still.drift)
    for (p, q, m), value in equation.drift.items():
        if m:
            place = (p, q, 0)
            factor = x if m > 0 else np.conj(x)
            drift[place] = drift.get(place, 0j) + value * factor
    return DensityEquation(drift, still.diffusion, still.squeezing)


def _turned(still: DensityEquation) -> DensityEquation:
    drift = dict(still.drift)
    drift[*_TURN, 0] = drift.get((*_TURN, 0), 0j) + 1j
    return DensityEquation(drift, still.diffusion, still.squeezing)


class CoupledDensities:
    """Solves one problem of coupled fields at many points."""

    def __init__(self, problem: DensityProblem) -> None:
        self.problem = problem
        self.curves: Curves = {}

    def solve(self, point: Point) -> DensityResult:
        """The ordered densities of the largest amplitude, or the unordered ones where there are none.

        Raises:
            SolveError: E516, E517; E520 where no mean field reproduces itself.
        """
        found, class_of = equations(self.problem, point)
        shares = np.bincount(class_of, minlength=len(found)) / len(class_of)
        clip = point.options.get("negative", "clip") == "clip"
        lowest = min(_without(e).lowest for e in found)
        negatives = lowest < 0
        spaces: list[Any]
        if negatives and clip:
            spaces = [self._grids(found, factor) for factor in (1.0, 1.4)]
        else:
            spaces = [self._bases(found, factor) for factor in (1.15, 1.4)]
        maps = [DensityMap(found, shares, tuple(s)) for s in spaces]
        state, change, used, reach = self._compared(maps, point)
        if state is None:
            raise SolveError(
                Diagnostic(
                    "E520",
                    "no mean field was found that reproduces itself",
                    help="solve by 'langevin', or start elsewhere in a sweep",
                )
            )
        x, nu, image, error = state
        densities = tuple(
            space.density(y)
            for space, y in zip(used.spaces, used.parts(image.y), strict=True)
        )
        numbers = {
            "residual": error,
            "truncation_error": change,
            "lowest_diffusion": lowest,
            "mean_field": float(abs(x[0])),
        }
        warnings: tuple[Diagnostic, ...] = ()
        if negatives:
            share = sum(
                s
                * float(
                    2
                    * np.pi
                    * (d.weights * d.harmonics[0].real)
                    @ (e.noise(d.radii)[1] < 0)
                )
                for s, d, e in zip(shares, densities, found, strict=True)
            )
            numbers["negative_diffusion_probability"] = share
            warnings = (negative(lowest, share) if clip else kept(lowest),)
        facts = {
            "scheme": "self-consistent mean field, "
            + ("finite volumes" if negatives and clip else "spectral"),
            "inequivalent sites": f"{len(found)} of {len(class_of)}",
        }
        frequency = nu if self.problem.free else None
        return DensityResult(
            self.problem.families, densities, class_of, Trust(numbers, facts, warnings),
            frequency, reach,
        )  # fmt: skip

    def _compared(
        self, maps: list[DensityMap], point: Point
    ) -> tuple[
        tuple[np.ndarray, float, Image, float] | None, float, DensityMap, float | None
    ]:
        """The state on the finer spaces, and what the step from the coarser ones changed.

        Also the map that it belongs to, and how far its branch reaches beyond.

        Beside a fold the finer spaces may just have none: then it is that of the coarser ones.
        """
        zero = np.zeros(1, dtype=complex)
        coarse: Any
        reach = None
        if not self.problem.free:
            coarse = newton(maps[0], zero, 0.0, False)
        elif point.options.get("branch", "rotating") == "rotating":
            size = maps[0].pull
            coarse, reach = (
                on_curve(maps[0], self.curves, size) if size else (None, None)
            )
        else:
            coarse = None
        if coarse is None and self.problem.free:
            image = maps[1].image(zero, 0.0, False)
            found = zero, 0.0, image, float(abs(image.means[0]))
            return found, 0.0, maps[1], reach
        if coarse is None:
            return None, np.inf, maps[0], reach
        finer = newton(maps[1], coarse[0], coarse[1], self.problem.free)
        if finer is None:
            return coarse, np.inf, maps[0], reach
        change = float(abs(abs(finer[0][0]) - abs(coarse[0][0])))
        return finer, change, maps[1], reach

    def _bases(self, found: tuple[DensityEquation, ...], factor: float) -> list[Basis]:
        """A basis for each equation that holds its radius and its sharpest feature."""
        spaces = []
        for equation in found:
            still = _without(equation)
            far, sharp = still.extent, _SHARPNESS / still.width
            scale = float(np.sqrt(4 * far / sharp))
            levels = int(
                np.clip(factor * far * sharp / 4, factor * _FEWEST, factor * _MOST)
            )
            spaces.append(Basis(levels, scale))
        return spaces

    def _grids(self, found: tuple[DensityEquation, ...], factor: float) -> list[Grid]:
        return [
            Grid(
                faces(_without(e), int(factor * _GRID_CELLS)),
                int(factor * _GRID_ORDERS),
            )
            for e in found
        ]
