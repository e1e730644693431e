r"""Files of blocks: each with its length and checksums, appended whole or not at all.

A block is `magic, header length, body length, digest of the header, digest of the body`, a header in
JSON and arrays as raw bytes. A reader skips what is damaged and goes on at the next whole block, so
that a cut or a changed byte costs the block that it hits and no other. Nothing here is pickled:
reading a stranger's file runs none of its code.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_MAGIC = b"\x93QSB\r\n\x1a\n"
_HEAD = struct.Struct("<8sIQ16s16s")
# A header longer than this is a damaged length.
_LONGEST = 1 << 28


@dataclass(frozen=True)
class Block:
    """One block that was read.

    Attributes:
        header: What it says of itself.
        arrays: By name; views of the bytes read.
    """

    header: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] = field(repr=False)


@dataclass(frozen=True)
class Damage:
    """Bytes of a file that are no block: changed, or cut off at the end."""

    path: Path
    offset: int
    length: int
    cut_off: bool


def packed(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of a block.

    Raises:
        TypeError: For an array of objects.
    """
    listed, pieces = [], []
    for name, array in arrays.items():
        whole = np.ascontiguousarray(array)
        if whole.dtype.hasobject:
            raise TypeError(f"'{name}' is an array of objects")
        listed.append([name, whole.dtype.str, list(np.shape(array))])
        pieces.append(whole.tobytes())
    head = json.dumps({**header, "arrays": listed}, separators=(",", ":")).encode()
    body = b"".join(pieces)
    fixed = _HEAD.pack(_MAGIC, len(head), len(body), _digest(head), _digest(body))
    return fixed + head + body


def _digest(data: bytes | memoryview) -> bytes:
    return blake2b(data, digest_size=16).digest()


class Appender:
    """Appends blocks to one file that nobody else writes to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("xb", buffering=0)
        self._end = 0

    def append(self, data: bytes) -> int:
        """Write whole blocks; what does not fit on the disk leaves no trace.

        Returns:
            Where they begin.

        Raises:
            OSError: If it cannot be written.
        """
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except BaseException:
            self._file.truncate(self._end)
            self._file.seek(self._end)
            raise
        self._end += len(data)
        return self._end - len(data)

    def sync(self) -> None:
        """Wait until what was written will survive a loss of power."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close; an empty file goes away."""
        self._file.close()
        if self._end == 0:
            self.path.unlink(missing_ok=True)


def blocks(path: Path, damaged: list[Damage]) -> Iterator[Block]:
    """The whole blocks of a file, in order; what is no block is added to `damaged`.

    Raises:
        OSError: If the file cannot be read.
    """
    data = memoryview(path.read_bytes())
    place, lost = 0, None
    while place < len(data):
        found = _block_at(data, place)
        if found is None:
            lost = place if lost is None else lost
            place = _next(data, place + 1)
            continue
        if lost is not None:
            damaged.append(Damage(path, lost, place - lost, False))
            lost = None
        block, place = found
        yield block
    if lost is not None:
        damaged.append(Damage(path, lost, len(data) - lost, _cut(data, lost)))


def heads(path: Path, damaged: list[Damage]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Places and headers of the blocks of a file, without reading their arrays.

    What has no whole header is added to `damaged`.

    Raises:
        OSError: If the file cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            place, lost = 0, None
            while place < size:
                found = _head_at(data, place)
                if found is None:
                    lost = place if lost is None else lost
                    place = data.find(_MAGIC, place + 1)
                    place = size if place < 0 else place
                    continue
                if lost is not None:
                    damaged.append(Damage(path, lost, place - lost, False))
                    lost = None
                header, end = found
                yield place, header
                place = end
            if lost is not None:
                rest = memoryview(data[lost:])
                damaged.append(Damage(path, lost, size - lost, _cut(rest, 0)))


def _head_at(data: mmap.mmap, place: int) -> tuple[Mapping[str, Any], int] | None:
    """The header of the block at a place and where the block ends."""
    start = place + _HEAD.size
    fixed = data[place:start]
    if len(fixed) < _HEAD.size:
        return None
    magic, long, wide, of_head, _ = _HEAD.unpack(fixed)
    end = start + long + wide
    if magic != _MAGIC or long > _LONGEST or end > len(data):
        return None
    head = data[start : start + long]
    return None if _digest(head) != of_head else (json.loads(head), end)


def block_at(path: Path, place: int) -> Block | None:
    """The block at a place of a file; None if it cannot be read or is damaged."""
    try:
        with path.open("rb") as file:
            file.seek(place)
            fixed = file.read(_HEAD.size)
            _, long, wide, _, _ = _HEAD.unpack(fixed)
            data = memoryview(fixed + file.read(long + wide))
    except (OSError, struct.error, OverflowError, MemoryError):
        return None
    found = _block_at(data, 0)
    return None if found is None else found[0]


def _next(data: memoryview, place: int) -> int:
    """Where the next block may begin."""
    found = data.obj.find(_MAGIC, place)  # type: ignore[attr-defined]
    return len(data) if found < 0 else int(found)


def _cut(data: memoryview, place: int) -> bool:
    """Whether the bytes from here on are the beginning of a block and no more."""
    rest = data[place:]
    if len(rest) < _HEAD.size:
        return bytes(rest[:8]) == _MAGIC[: len(rest[:8])]
    magic, head, body, _, _ = _HEAD.unpack(rest[: _HEAD.size])
    return bool(magic == _MAGIC and len(rest) < _HEAD.size + head + body)


def _block_at(data: memoryview, place: int) -> tuple[Block, int] | None:
    """The block at a place and where it ends; None if it is not whole."""
    start = place + _HEAD.size
    if start > len(data):
        return None
    magic, long, wide, of_head, of_body = _HEAD.unpack(data[place:start])
    end = start + long + wide
    if magic != _MAGIC or long > _LONGEST or end > len(data):
        return None
    head, body = data[start : start + long], data[start + long : end]
    if _digest(head) != of_head or _digest(body) != of_body:
        return None
    header = json.loads(bytes(head))
    return Block(header, dict(_arrays(header["arrays"], body))), end


def _arrays(
    listed: list[tuple[str, str, list[int]]], body: memoryview
) -> Iterator[tuple[str, np.ndarray]]:
    offset = 0
    for name, dtype, shape in listed:
        kind = np.dtype(dtype)
        count = math.prod(shape)
        yield name, np.frombuffer(body, kind, count, offset).reshape(shape)
        offset += count * kind.itemsize


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place, wait for the disk, and move it there.

    Raises:
        OSError: If it cannot be written; the old file is then as it was.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
