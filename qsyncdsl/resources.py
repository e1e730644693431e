"""Where the grammar and the bundled models are, in a checkout and in a wheel; and what is kept between runs."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The folder `grammar` or `models`: inside an installed package, beside it in a checkout."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def grammar() -> str:
    """Text of the grammar."""
    return (folder("grammar") / "qsync.lark").read_text(encoding="utf-8")


def bundled_models() -> dict[str, Path]:
    """The bundled models by name, sorted."""
    return {path.stem: path for path in sorted(folder("models").glob("*.qsync"))}


def library() -> Path:
    """The folder of components that `import library.NAME` reads."""
    return folder("models") / "library"


def cache_folder() -> Path:
    """Where what can be made again is kept; it may be deleted at any time.

    Raises:
        OSError: Where there is no home folder.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "qsyncdsl"
    except RuntimeError as reason:
        raise OSError(str(reason)) from None


def kept(*names: str) -> bytes | None:
    """What was kept under a path of the cache folder; None if there is nothing, or it is damaged."""
    try:
        data = cache_folder().joinpath(*names).read_bytes()
    except OSError:
        return None
    return data[16:] if _digest(data[16:]) == data[:16] else None


def keep(data: bytes, *names: str, most: int) -> None:
    """Keep bytes under a path of the cache folder, of whose first part no more than `most` entries stay.

    Nothing happens where nothing can be written: what is kept can be made again.
    """
    with suppress(OSError):
        path = cache_folder().joinpath(*names)
        _make_room(cache_folder() / names[0], names[1], most)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as out:
            out.write(_digest(data) + data)
        os.replace(temporary, path)


def kept_names(*names: str) -> list[str]:
    """The names under a folder of the cache folder, sorted."""
    try:
        return sorted(os.listdir(cache_folder().joinpath(*names)))
    except OSError:
        return []


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


def _make_room(folder: Path, wanted: str, most: int) -> None:
    """Drop the entries that were made first, where one more would be too many."""
    if (folder / wanted).exists() or not folder.is_dir():
        return
    made = []
    for entry in folder.iterdir():
        with suppress(OSError):
            made.append((entry.stat().st_mtime, entry))
    for _, old in sorted(made)[: max(0, len(made) - most + 1)]:
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink(missing_ok=True)
