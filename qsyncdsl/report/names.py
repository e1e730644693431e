"""Names for people: Greek letters and subscripts."""

from __future__ import annotations

import re

_GREEK = dict(
    zip(
        [
            "alpha",
            "beta",
            "gamma",
            "delta",
            "epsilon",
            "zeta",
            "eta",
            "theta",
            "kappa",
            "lambda",
            "mu",
            "nu",
            "xi",
            "pi",
            "rho",
            "sigma",
            "tau",
            "phi",
            "chi",
            "psi",
            "omega",
            "Gamma",
            "Delta",
            "Theta",
            "Lambda",
            "Xi",
            "Pi",
            "Sigma",
            "Phi",
            "Psi",
            "Omega",
        ],
        "αβγδεζηθκλμνξπρστφχψωΓΔΘΛΞΠΣΦΨΩ",
        strict=True,
    )
)
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def pretty_name(name: str) -> str:
    """A name for people: `gamma1` as `γ₁`, `kappa_c` as `κ_c`.

    >>> pretty_name("gamma1"), pretty_name("Delta"), pretty_name("gamma1_2")
    ('γ₁', 'Δ', 'γ₁_2')
    """
    match = re.fullmatch(r"([A-Za-z]+)(\d*)(.*)", name)
    if not match:
        return name
    word, digits, rest = match.groups()
    return _GREEK.get(word, word) + digits.translate(_SUBSCRIPTS) + rest
