"""Problems that were derived before, kept on disk: the next process derives nothing, and needs no SymPy.

An address stands for the text of a model as far as a line depends on it, the method with its options,
and the text of this program; under it lie the problems of different structures, as for the points of a
sweep. The folder may be deleted, read-only or stale: the worst that happens is deriving again.
"""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from qsyncdsl.model.environment import Environment
from qsyncdsl.problem import Lowered
from qsyncdsl.resources import cache_folder
from qsyncdsl.run.structure import Structure

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
    for path in _files(address):
        # Whatever is wrong with a file, the problem can be derived again.
        with suppress(Exception), path.open("rb") as file:
            structure = pickle.load(file)
            if structure.fits(environment):
                lowered, positions = pickle.load(file)
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
    name = blake2b(pickle.dumps(structure), digest_size=8).hexdigest()
    with suppress(OSError):
        if len(_files(address)) >= _STRUCTURES:
            return
        folder = _folder(address)
        if not folder.exists():
            _make_room(folder.parent)
            folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
        with os.fdopen(handle, "wb") as out:
            out.write(data)
        os.replace(temporary, folder / f"{name}.problem")


def _folder(address: str) -> Path:
    return cache_folder() / "problems" / address


def _files(address: str) -> list[Path]:
    return sorted(_folder(address).glob("*.problem"))


def _make_room(folder: Path) -> None:
    """Drop the addresses that were made first, where there are too many."""
    made = sorted(_dated(folder))
    for _, old in made[: max(0, len(made) - _ADDRESSES + 1)]:
        shutil.rmtree(old, ignore_errors=True)


def _dated(folder: Path) -> Iterator[tuple[float, Path]]:
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):
            yield path.stat().st_mtime, path
