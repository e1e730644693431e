r"""SciPy's DOP853, also where the squares of its error estimates are too small for a number.

With the estimates $e_5$, $e_3$ of a step, in units of what is allowed, its error is
$h\,|e_5|^2 / \sqrt{n\,(|e_5|^2 + 0.01\,|e_3|^2)}$ (E. Hairer, S. P. Norsett, G. Wanner, Solving Ordinary
Differential Equations I, Sec. II.10). Far from a pulse $|e_3|^2$ may be the smallest number above 0, and a
hundredth of it is 0: SciPy is left with 0/0 there, and cuts the step.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import DOP853


class Dop853(DOP853):  # type: ignore[misc]
    """For `solve_ivp(..., method=Dop853)`."""

    def _estimate_error_norm(self, K: np.ndarray, h: float, scale: np.ndarray) -> float:
        fifth = np.linalg.norm(np.dot(K.T, self.E5) / scale) ** 2
        third = np.linalg.norm(np.dot(K.T, self.E3) / scale) ** 2
        square = (fifth + 0.01 * third) * len(scale)
        return float(np.abs(h) * fifth / np.sqrt(square)) if square != 0 else 0.0
