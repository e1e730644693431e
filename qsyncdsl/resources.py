"""Where the grammar and the bundled models are, in a checkout and in a wheel."""

from __future__ import annotations

import os
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
    """Where what can be made again is kept; it may be deleted at any time."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "qsyncdsl"
