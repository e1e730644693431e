"""Names in the form in which they are compared: `κ₁` and `kappa1` are one."""

from __future__ import annotations

import unicodedata

_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρσςτυφχψωϑϕϵ",
        [
            "alpha",
            "beta",
            "gamma",
            "delta",
            "epsilon",
            "zeta",
            "eta",
            "theta",
            "iota",
            "kappa",
            "lambda",
            "mu",
            "nu",
            "xi",
            "omicron",
            "pi",
            "rho",
            "sigma",
            "sigma",
            "tau",
            "upsilon",
            "phi",
            "chi",
            "psi",
            "omega",
            "theta",
            "phi",
            "epsilon",
        ],
        strict=True,
    )
)


def canonical(name: str) -> str:
    """The form in which names are compared: NFKC with Greek letters spelled out.

    >>> canonical("κ₁"), canonical("Δ_ω"), canonical("kappa1")
    ('kappa1', 'Delta_omega', 'kappa1')
    """
    if name.isascii():
        return name
    letters = []
    for letter in unicodedata.normalize("NFKC", name):
        spelled = _GREEK.get(letter.lower())
        if spelled is None:
            letters.append(letter)
        else:
            letters.append(spelled if letter.islower() else spelled.capitalize())
    return "".join(letters)
