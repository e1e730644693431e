"""qsyncdsl: a language and a compiler for quantum synchronization."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["check", "explain", "load", "open_results", "run"]

_DOORS = {
    "load": ("qsyncdsl.pipeline", "load"),
    "run": ("qsyncdsl.pipeline", "run"),
    "check": ("qsyncdsl.pipeline", "check"),
    "explain": ("qsyncdsl.pipeline", "describe"),
    "open_results": ("qsyncdsl.run.files", "open_results"),
}


def __getattr__(name: str) -> Any:
    """Import a verb when it is first asked for: `import qsyncdsl` stays light."""
    if name not in _DOORS:
        raise AttributeError(f"module 'qsyncdsl' has no attribute '{name}'")
    from importlib import import_module

    module, attribute = _DOORS[name]
    return getattr(import_module(module), attribute)
