"""The shelf of one line: every point of it that was ever computed, in files of blocks.

Each command appends to a file of its own, so that any number of them may work on one folder. What two
of them computed twice has the same bits.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from qsyncdsl.run.point_results import PointResult
from qsyncdsl.run.store.blocks import (
    Appender,
    Damage,
    blocks,
    heads,
    packed,
    write_whole,
)
from qsyncdsl.run.store.columns import WHOLE, Columns, Row, blocks_of

# Seconds of work that a loss of power may cost.
_SYNC = 0.5
_SUFFIX = ".blocks"
_STATES = ".states"
ABOUT = "about.json"


class Shelf:
    """Keeps and finds the points of one line.

    Args:
        folder: Where its files are; None keeps everything in memory.
        about: A note for people that is left there.

    Attributes:
        damaged: Bytes of its files that are no blocks.
        added, written: Points and bytes that this process has added.
        numbers: Bytes of the numbers of the largest point.
    """

    def __init__(self, folder: Path | None = None, about: bytes = b"") -> None:
        self.folder = folder
        self._about = about
        self.damaged: list[Damage] = []
        self.added = self.written = self.numbers = 0
        self._places: dict[bytes, list[tuple[Columns, int]]] = {}
        self._memory: dict[bytes, list[Row]] = {}
        self._appender: Appender | None = None
        self._states: Appender | None = None
        self._state_places: dict[bytes, tuple[str, int]] | None = None
        self._synced = time.monotonic()
        self._asked: Mapping[str, str] | None = None
        self._names: dict[str, str] = {}
        for path in self.files():
            for block in blocks(path, self.damaged):
                self._learn(Columns(block))

    def files(self) -> list[Path]:
        """Its files of blocks, always in the same order."""
        if self.folder is None or not self.folder.is_dir():
            return []
        return sorted(self.folder.glob("*" + _SUFFIX))

    def _learn(self, columns: Columns) -> None:
        for row, address in enumerate(columns.addresses()):
            self._places.setdefault(address, []).append((columns, row))

    def __len__(self) -> int:
        return len(self._places.keys() | self._memory.keys())

    # ── asking ───────────────────────────────────────────────────────────────────────────

    def missing(
        self, address: bytes, items: Iterable[str], retry: bool = False
    ) -> set[str]:
        """The items that are not known at a point; a known failure counts unless `retry`."""
        wanted = set(items)
        for columns, row in self._places.get(address, ()):
            failures = columns.failures(row)
            if not retry and WHOLE in failures:
                return set()
            wanted -= columns.items
            if not retry:
                wanted -= failures.keys()
            if not wanted:
                return wanted
        for kept in self._memory.get(address, ()):
            failed = kept.result.failures
            if "" in failed:
                return set()
            wanted -= {kept.items[n] for n in (*kept.result.measures, *failed)}
        return wanted

    def known(self, address: bytes, items: Mapping[str, str]) -> PointResult | None:
        """What is known of a point; `items` are the addresses of measures by name."""
        if self._asked is not items:
            self._asked = items
            self._names = {key: name for name, key in items.items()}
        names = self._names
        found = [
            columns.result(row, names) for columns, row in self._places.get(address, ())
        ]
        found += [row.result for row in self._memory.get(address, ())]
        if not found:
            return None
        return found[0] if len(found) == 1 else _merged(found)

    # ── keeping ──────────────────────────────────────────────────────────────────────────

    def keep(self, rows: Sequence[Row]) -> None:
        """Keep points; they survive the end of this process at once.

        Raises:
            OSError: If they cannot be written.
        """
        if not rows:
            return
        if self.folder is not None:
            if self._appender is None:
                name = f"{len(self.files()) + 1:04d}-{uuid4().hex[:12]}{_SUFFIX}"
                self._appender = Appender(self.folder / name)
                if not (self.folder / ABOUT).exists():
                    write_whole(self.folder / ABOUT, self._about)
            data = blocks_of(rows)
            self._appender.append(data)
            self.written += len(data)
        for row in rows:
            self.numbers = max(self.numbers, _numbers(row))
        for row in rows:
            self._memory.setdefault(row.address, []).append(row)
        self.added += len(rows)

    def keep_state(self, address: bytes, block: bytes) -> None:
        """Keep the state of a point.

        Raises:
            OSError: If it cannot be written.
        """
        if self.folder is None:
            return
        if self._states is None:
            name = f"{len(self.files()):04d}-{uuid4().hex[:12]}{_STATES}"
            self._states = Appender(self.folder / name)
        self._states.append(block)
        self.written += len(block)

    def state_place(self, address: bytes) -> tuple[str, int] | None:
        """The file and the place of the state of a point, if it was kept."""
        if self._state_places is None:
            self._state_places = {}
            paths = sorted(self.folder.glob("*" + _STATES)) if self.folder else []
            for path in paths:
                for place, header in heads(path, self.damaged):
                    found = bytes.fromhex(header["address"])
                    self._state_places[found] = (str(path), place)
        return self._state_places.get(address)

    def sync(self, now: bool = False) -> None:
        """Bring what was kept to the disk, at most twice a second unless `now`."""
        late = time.monotonic() - self._synced > _SYNC
        if self._appender is not None and (now or late):
            self._appender.sync()
            self._synced = time.monotonic()

    def close(self) -> None:
        """Bring everything to the disk."""
        if self._appender is not None:
            self.sync(now=True)
            self._appender.close()
            self._appender = None
        if self._states is not None:
            self._states.sync()
            self._states.close()
            self._states = None

    def compact(self) -> int:
        """All whole blocks in one file; the number of files that went away.

        Nobody else may be at work on the shelf.
        """
        files = self.files()
        if self.folder is None or (len(files) < 2 and not self.damaged):
            return 0
        beside = self.folder / f".{os.getpid()}.part"
        beside.unlink(missing_ok=True)
        appender = Appender(beside)
        for path in files:
            for block in blocks(path, []):
                header = {k: v for k, v in block.header.items() if k != "arrays"}
                appender.append(packed(header, block.arrays))
        appender.sync()
        appender.close()
        if beside.exists():
            beside.replace(self.folder / f"0001-{uuid4().hex[:12]}{_SUFFIX}")
        for path in files:
            path.unlink()
        return len(files) - 1


def _numbers(row: Row) -> int:
    """Bytes of the numbers of a point."""
    return sum(
        item.values.nbytes + (0 if item.error is None else item.error.nbytes)
        for item in row.result.measures.values()
    )


def _merged(found: Sequence[PointResult]) -> PointResult:
    """One point of which several commands computed parts; later answers replace failures."""
    first = found[0]
    measures: dict[str, Any] = {}
    failures: dict[str, Any] = {}
    numbers: dict[str, float] = {}
    facts: dict[str, str] = {}
    grids: dict[str, Any] = {}
    for part in found:
        measures |= {n: m for n, m in part.measures.items() if n not in measures}
        failures |= part.failures
        numbers |= part.trust.numbers
        facts |= part.trust.facts
        grids |= part.grids
    failures = {n: f for n, f in failures.items() if n and n not in measures}
    if "" in found[-1].failures:
        failures[""] = found[-1].failures[""]
    warnings = tuple(dict.fromkeys(w for part in found for w in part.trust.warnings))
    trust = replace(first.trust, numbers=numbers, facts=facts, warnings=warnings)
    return replace(
        first, measures=measures, failures=failures, trust=trust, grids=grids
    )
