"""Names and numbers for people: Greek letters, subscripts, powers of ten."""

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
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


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


def drawn_name(name: str) -> str:
    r"""A name for pictures, what follows `_` as a subscript in the mathematics of Matplotlib.

    >>> drawn_name("gamma_c"), drawn_name("kappa2"), drawn_name("Omega_eff_b"), drawn_name("hbar")
    ('γ$_{\\mathrm{c}}$', 'κ₂', 'Ω$_{\\mathrm{eff,b}}$', 'ħ')
    """
    if name == "hbar":
        return "ħ"
    head, _, rest = pretty_name(name).partition("_")
    words = ",".join(filter(None, rest.split("_")))
    return f"{head}$_{{\\mathrm{{{words}}}}}$" if head and words else pretty_name(name)


def short_number(value: float) -> str:
    """Four digits, large and small powers of ten written out.

    >>> short_number(0.25), short_number(1e6), short_number(-2.5e-7)
    ('0.25', '10⁶', '-2.5·10⁻⁷')
    """
    digits, _, power = f"{value:.4g}".partition("e")
    if not power:
        return digits
    ten = "10" + str(int(power)).translate(_SUPERSCRIPTS)
    return {"1": ten, "-1": f"-{ten}"}.get(digits, f"{digits}·{ten}")
