"""Realizations that were done of points that are not finished, and of some that are.

Each point has files of its own, so that they can go when the point is there; they stay while there is
room, for those who ask for more realizations.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from uuid import uuid4

from qsyncdsl.problem import Stretch
from qsyncdsl.run.realizations import cover
from qsyncdsl.run.store.blocks import (
    Appender,
    Damage,
    block_at,
    heads,
    packed,
    write_whole,
)
from qsyncdsl.run.store.shelf import ABOUT

_SUFFIX = ".stretches"
# Bytes of finished points that are kept for more realizations: on the disk, and in memory.
_ROOM, _MEMORY = 1 << 30, 1 << 27
Span = tuple[int, int]


class Stretches:
    """Keeps and finds the realizations of the points of one line.

    Args:
        folder: Where its files are; None keeps everything in memory.
        about: A note for people that is left there.

    Attributes:
        damaged: Bytes of its files that cannot be read.
        each: Bytes of a realization.
    """

    def __init__(self, folder: Path | None = None, about: bytes = b"") -> None:
        self.folder, self._about = folder, about
        self.damaged: list[Damage] = []
        self.each = 0.0
        self._places: dict[bytes, dict[Span, tuple[Path, int]]] = defaultdict(dict)
        self._memory: dict[bytes, dict[Span, Stretch]] = defaultdict(dict)
        self._appenders: dict[bytes, Appender] = {}
        for path in self._files():
            for place, header in heads(path, self.damaged):
                span = (header["first"], header["size"])
                self._places[bytes.fromhex(header["key"])][span] = (path, place)

    def _files(self) -> list[Path]:
        if self.folder is None or not self.folder.is_dir():
            return []
        return sorted(self.folder.glob("*" + _SUFFIX))

    def keys(self) -> frozenset[bytes]:
        """The points of which there is anything."""
        return frozenset(self._places) | frozenset(self._memory)

    def spans(self, key: bytes) -> set[Span]:
        """Beginnings and sizes of the stretches of a point."""
        return {*self._places.get(key, ()), *self._memory.get(key, ())}

    def count(self) -> int:
        """Realizations of all points together."""
        longest = 1 << 62
        found = [cover(self.spans(key), longest, 1) for key in self.keys()]
        return sum(size for spans in found for _, size in spans)

    def keep(self, key: bytes, stretch: Stretch) -> None:
        """Keep some realizations.

        Raises:
            OSError: If they cannot be written.
        """
        span = (stretch.first, stretch.size)
        if self.folder is None:
            self._memory[key][span] = stretch
            return
        if key not in self._appenders:
            name = f"{key.hex()}-{uuid4().hex[:12]}{_SUFFIX}"
            self._appenders[key] = Appender(self.folder / name)
            if not (self.folder / ABOUT).exists():
                write_whole(self.folder / ABOUT, self._about)
        appender = self._appenders[key]
        header = {"key": key.hex(), "first": stretch.first, "size": stretch.size}
        data = packed(header, stretch.arrays)
        self.each = len(data) / stretch.size
        place = appender.append(data)
        self._places[key][span] = (appender.path, place)

    def read(self, key: bytes, span: Span) -> Stretch | None:
        """Some realizations; None where they cannot be read any more: they are then forgotten."""
        if span in self._memory.get(key, {}):
            return self._memory[key][span]
        where = self._places.get(key, {}).get(span)
        block = None if where is None else block_at(*where)
        if block is not None and block.header.get("key") == key.hex():
            return Stretch(*span, block.arrays)
        if where is not None:
            del self._places[key][span]
            self.damaged.append(Damage(where[0], where[1], 0, False))
        return None

    def all_of(self, key: bytes, count: int, unit: int) -> list[Stretch]:
        """What there is of the first `count` realizations of a point."""
        spans = cover(self.spans(key), count, unit)
        found = [self.read(key, span) for span in spans]
        return [stretch for stretch in found if stretch is not None]

    def finished(self, key: bytes) -> None:
        """The point is kept: its realizations go if there is no room for them."""
        if key in self._appenders:
            self._appenders.pop(key).close()
        if self._bytes() > (_MEMORY if self.folder is None else _ROOM):
            self.forget(key)

    def forget(self, key: bytes) -> None:
        """Remove the realizations of a point."""
        self._memory.pop(key, None)
        for path in {path for path, _ in self._places.pop(key, {}).values()}:
            path.unlink(missing_ok=True)

    def _bytes(self) -> int:
        inside = sum(
            array.nbytes
            for known in self._memory.values()
            for stretch in known.values()
            for array in stretch.arrays.values()
        )
        return inside + sum(path.stat().st_size for path in self._files())

    def close(self) -> None:
        """Bring everything to the disk."""
        for appender in self._appenders.values():
            appender.sync()
            appender.close()
        self._appenders.clear()
