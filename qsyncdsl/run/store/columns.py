"""Points as columns of a block and back: what all points of a block share is written once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qsyncdsl.result import Trust
from qsyncdsl.run.labels import Labelled
from qsyncdsl.run.point_results import PointResult
from qsyncdsl.run.store.blocks import Block, packed
from qsyncdsl.run.store.states import heard, said

# The item under which is kept why nothing came out at a point.
WHOLE = "point"


@dataclass(frozen=True)
class Row:
    """A point to be kept: its address, what came out, and the addresses of its measures."""

    address: bytes
    result: PointResult
    items: Mapping[str, str]


def blocks_of(rows: Sequence[Row]) -> bytes:
    """The bytes of one block for each form of result that occurs among the points."""
    forms: dict[Any, list[Row]] = {}
    for row in rows:
        forms.setdefault(_form(row), []).append(row)
    return b"".join(_block(group) for group in forms.values())


def _form(row: Row) -> Any:
    """What points of one block have in common."""
    measures = tuple(
        (
            row.items[name],
            x.values.dtype.str,
            x.values.shape,
            x.dims,
            x.error is None,
            tuple((k, _array(v).tobytes()) for k, v in x.coords.items()),
        )
        for name, x in row.result.measures.items()
    )
    grids = tuple((k, v.tobytes()) for k, v in row.result.grids.items())
    return measures, tuple(row.result.trust.numbers), grids


def _array(values: Any) -> np.ndarray:
    array = np.asarray(values)
    return array.astype(str) if array.dtype.hasobject else array


def _block(rows: list[Row]) -> bytes:
    results = [row.result for row in rows]
    first = results[0]
    arrays = {"address": np.frombuffer(b"".join(r.address for r in rows), np.uint8)}
    items = []
    for name, item in first.measures.items():
        key = rows[0].items[name]
        arrays[key] = np.stack([r.measures[name].values for r in results])
        if item.error is not None:
            arrays[f"{key} error"] = np.stack([r.measures[name].error for r in results])  # type: ignore[misc]
        for dim, coordinate in item.coords.items():
            arrays[f"{key} at {dim}"] = _array(coordinate)
        items.append([key, list(item.dims), list(item.coords)])
    numbers = list(first.trust.numbers)
    arrays["numbers"] = np.array(
        [[float(r.trust.numbers[n]) for n in numbers] for r in results], dtype=float
    ).reshape(len(rows), len(numbers))
    arrays["seconds"] = np.array([r.seconds for r in results])
    for name, grid in first.grids.items():
        arrays[f"grid {name}"] = _array(grid)
    said = _Once()
    arrays["said"] = np.array(
        [[said.place(x) for x in _sayings(row)] for row in rows], dtype=np.int32
    )
    header = {
        "rows": len(rows),
        "items": items,
        "numbers": numbers,
        "grids": list(first.grids),
        "said": said.texts,
    }
    return packed(header, arrays)


def _sayings(row: Row) -> tuple[Any, Any, Any]:
    """Facts, warnings and failures of a point for JSON."""
    trust = row.result.trust
    failures = {
        row.items.get(name, WHOLE) if name else WHOLE: said(fault)
        for name, fault in row.result.failures.items()
    }
    return trust.facts, [said(w) for w in trust.warnings], failures


class _Once:
    """Values of JSON, each kept once."""

    def __init__(self) -> None:
        self.texts: list[Any] = []
        self._places: dict[str, int] = {}

    def place(self, value: Any) -> int:
        key = json.dumps(value)
        if key not in self._places:
            self._places[key] = len(self.texts)
            self.texts.append(value)
        return self._places[key]


class Columns:
    """The points of one block that was read; what they share is made once for all of them."""

    def __init__(self, block: Block) -> None:
        self._header, self._arrays = block.header, block.arrays
        self.items = frozenset(key for key, _, _ in self._header["items"])
        self._said = self._header["said"]
        self._known: _Shared | None = None

    def addresses(self) -> Iterator[bytes]:
        """16 bytes for each point."""
        data = self._arrays["address"].tobytes()
        return (data[k : k + 16] for k in range(0, len(data), 16))

    def failures(self, row: int) -> Mapping[str, list[str]]:
        """Why measures, or under `point` everything, failed, by the address of the item."""
        found: Mapping[str, list[str]] = self._said[self._arrays["said"][row, 2]]
        return found

    def result(self, row: int, names: Mapping[str, str]) -> PointResult:
        """What is known of a point; `names` are those of the wanted items."""
        shared = self._known
        if shared is None or shared.names is not names:
            shared = self._known = self._shared(names)
        measures = {
            name: Labelled(
                values[row], dims, coords, None if error is None else error[row]
            )
            for name, values, dims, coords, error in shared.measures
        }
        facts, warnings, failures = shared.said[row]
        numbers = dict(zip(self._header["numbers"], shared.numbers[row], strict=True))
        trust = Trust(numbers, shared.facts[facts], shared.warnings[warnings])
        failed = shared.failures[failures]
        return PointResult(
            (), measures, trust, failed, shared.seconds[row], 0, shared.grids
        )

    def _shared(self, names: Mapping[str, str]) -> _Shared:
        """What all points of the block share."""
        arrays, said = self._arrays, self._arrays["said"]
        measures = [
            (
                names[key],
                arrays[key],
                tuple(dims),
                {d: arrays[f"{key} at {d}"] for d in coords},
                arrays.get(f"{key} error"),
            )
            for key, dims, coords in self._header["items"]
            if key in names
        ]
        facts, warnings, failures = (
            {int(k): self._said[int(k)] for k in np.unique(said[:, column])}
            for column in range(3)
        )
        return _Shared(
            names,
            measures,
            said.tolist(),
            arrays["numbers"].tolist(),
            arrays["seconds"].tolist(),
            facts,
            {k: tuple(map(heard, x)) for k, x in warnings.items()},
            {
                k: {
                    "" if key == WHOLE else names[key]: heard(fault)
                    for key, fault in x.items()
                    if key == WHOLE or key in names
                }
                for k, x in failures.items()
            },
            {n: arrays[f"grid {n}"] for n in self._header["grids"]},
        )


@dataclass(frozen=True, slots=True)
class _Shared:
    """A block for some names of items: columns as lists, sayings by their place."""

    names: Mapping[str, str]
    measures: list[tuple[str, np.ndarray, Any, Any, np.ndarray | None]]
    said: list[list[int]]
    numbers: list[list[float]]
    seconds: list[float]
    facts: dict[int, Any]
    warnings: dict[int, Any]
    failures: dict[int, Any]
    grids: dict[str, np.ndarray]
