"""Problems that were derived before, kept on disk: the next process derives nothing, and needs no SymPy.

An address stands for the text of a model as far as a line depends on it, the method with its options,
and the text of this program; under it lie the problems of different structures, as for the points of a
sweep. The folder may be deleted, read-only or stale: the worst that happens is deriving again.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO

from qsyncdsl import resources
from qsyncdsl.model.environment import Environment
from qsyncdsl.problem import Lowered
from qsyncdsl.run.structure import Structure

_FOLDER = "problems"
# Bytes of a problem, problems of one address, and addresses that are kept at most.
_BYTES, _STRUCTURES, _ADDRESSES = 16 << 20, 8, 256
# Modules whose objects are not kept: expressions are slow to load, and places in a text may have moved.
_BOUND = (b"sympy", b"qsyncdsl.source")


@dataclass(frozen=True, slots=True)
class Derived:
    """What is needed of a system once its problem is derived.

    Attributes:
        positions: Position in the space of each mode and site.
        structure: Where else it holds.
    """

    lowered: Lowered
    positions: Mapping[tuple[str, tuple[int, ...]], int]
    structure: Structure


def known(address: str, environment: Environment) -> Derived | None:
    """The problem at a point, if it was kept."""
    for name in resources.kept_names(_FOLDER, address):
        data = BytesIO(resources.kept(_FOLDER, address, name) or b"")
        # Whatever is wrong with it, the problem can be derived again.
        with suppress(Exception):
            structure = pickle.load(data)
            if structure.fits(environment):
                lowered, positions = pickle.load(data)
                return Derived(lowered, positions, structure)
    return None


def keep(address: str, derived: Derived) -> None:
    """Keep a problem, unless it is very large, or holds expressions or places in the text."""
    structure, rest = derived.structure, (derived.lowered, dict(derived.positions))
    try:
        data = pickle.dumps(structure) + pickle.dumps(rest)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError):
        return
    if len(data) > _BYTES or any(name in data for name in _BOUND):
        return
    if len(resources.kept_names(_FOLDER, address)) < _STRUCTURES:
        name = blake2b(pickle.dumps(structure), digest_size=8).hexdigest()
        resources.keep(data, _FOLDER, address, name, most=_ADDRESSES)
