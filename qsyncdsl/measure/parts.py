"""What scenes have to say of their parts: the letter that lowers one, and that there is no density matrix."""

from __future__ import annotations

from qsyncdsl.diagnostics import Diagnostic, SolveError


def lowering(kind: str, word: str) -> str:
    """The letter that lowers a boson or the two levels of a qubit.

    Raises:
        SolveError: E601 for a part without ladder operators.
    """
    if kind not in ("boson", "qubit"):
        message = f"{word} needs a boson or a qubit, not a {kind}"
        raise SolveError(Diagnostic("E601", message))
    return "a" if kind == "boson" else "minus"


def no_density_matrix(why: str, instead: str) -> SolveError:
    """E611: a measure of a density matrix where there is none."""
    message = f"this measure needs a density matrix; {why}"
    return SolveError(Diagnostic("E611", message, help=instead))
