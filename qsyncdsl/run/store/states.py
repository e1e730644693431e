"""States of points, kept where a file asks for it, and diagnostics as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from qsyncdsl.diagnostics import Diagnostic
from qsyncdsl.result import Trust
from qsyncdsl.run.solved import Kept
from qsyncdsl.run.store.blocks import block_at, packed


def state_block(address: bytes, state: Mapping[str, np.ndarray], trust: Trust) -> bytes:
    """The state of a point with what is known of its error, as one block."""
    header = {
        "address": address.hex(),
        "numbers": {n: float(x) for n, x in trust.numbers.items()},
        "facts": trust.facts,
        "warnings": [said(w) for w in trust.warnings],
    }
    return packed(header, state)


def kept_state(place: tuple[str, int] | None) -> Kept | None:
    """A state that was kept; None where it cannot be read any more."""
    block = None if place is None else block_at(Path(place[0]), place[1])
    if block is None:
        return None
    header = block.header
    warnings = tuple(map(heard, header["warnings"]))
    return Kept(block.arrays, Trust(header["numbers"], header["facts"], warnings))


def said(diagnostic: Diagnostic) -> list[str]:
    """A diagnostic for JSON, without its place."""
    return [diagnostic.code, diagnostic.message, diagnostic.label, diagnostic.help]


def heard(words: list[str]) -> Diagnostic:
    """A diagnostic from JSON."""
    code, message, label, help = words
    return Diagnostic(code, message, None, label, (), help)
