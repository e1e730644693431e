"""How far a command is: a bar on a terminal or in a notebook, lines in the log of a batch job."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Tell = Callable[..., None]

# A bar is shown for what takes longer than this.
_PATIENCE = 1.0
# Seconds before the first line of a log and between two.
_FIRST, _BETWEEN = 10.0, 30.0


@contextmanager
def progress(quiet: bool, notebook: bool = False) -> Iterator[Tell | None]:
    """Something to call with a label, the number done, the number to do, and facts by name.

    Facts: `failed` points so far, `memory` of the largest process in bytes, and `text` to be said once.
    """
    if quiet:
        yield None
    elif notebook or sys.stderr.isatty():
        with _bar(notebook) as tell:
            yield tell
    else:
        yield _Log()


@contextmanager
def _bar(notebook: bool) -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[facts]}"),
        console=Console(stderr=not notebook),
        transient=True,
    )
    tasks: dict[str, Any] = {}
    begin = time.monotonic()

    def tell(label: str, done: int, total: int, **facts: Any) -> None:
        if facts.get("text"):
            bar.console.print(facts["text"], highlight=False)
        if label not in tasks:
            tasks[label] = bar.add_task(label, total=total, facts="")
        shown = facts_text(facts)
        bar.update(
            tasks[label], completed=done, total=total, visible=done < total, facts=shown
        )
        if time.monotonic() - begin > _PATIENCE:
            bar.start()

    try:
        yield tell
    finally:
        bar.stop()


class _Log:
    """Lines now and then."""

    def __init__(self) -> None:
        self._begin = self._said = time.monotonic()
        self._started: dict[str, tuple[float, int]] = {}
        self._quiet_until = self._begin + _FIRST

    def __call__(self, label: str, done: int, total: int, **facts: Any) -> None:
        now = time.monotonic()
        if facts.get("text"):
            print(facts["text"], file=sys.stderr, flush=True)
        start, had = self._started.setdefault(label, (now, done))
        if now < self._quiet_until or done >= total:
            return
        self._quiet_until = now + _BETWEEN
        line = log_line(label, done, total, done - had, now - start, facts)
        print(line, file=sys.stderr, flush=True)


def log_line(
    label: str,
    done: int,
    total: int,
    new: int,
    seconds: float,
    facts: dict[str, Any],
) -> str:
    """A line of a log.

    >>> log_line("steadystate", 1200, 10201, 1000, 40.0, {"failed": 2, "memory": 3.1e8})
    'steadystate: 1200 of 10201 points, 25/s, 6 min 0 s left, 2 failed, 310 MB'
    """
    words = [f"{label}: {done} of {total} points"]
    if new > 0 and seconds > 0:
        rate = new / seconds
        words.append(f"{rate:.3g}/s" if rate >= 1 else f"{1 / rate:.3g} s each")
        words.append(f"{duration((total - done) / rate)} left")
    more = facts_text(facts)
    return ", ".join(words + ([more] if more else []))


def facts_text(facts: dict[str, Any]) -> str:
    """Failures and memory, where there are any."""
    words = [f"{facts['failed']} failed"] if facts.get("failed") else []
    words += [size(facts["memory"])] if facts.get("memory") else []
    return ", ".join(words)


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(0.4), duration(75), duration(5000), duration(200000)
    ('1 s', '1 min 15 s', '1 h 23 min', '2 d 7 h')
    """
    whole = max(1, round(seconds))
    for unit, name, lower, smaller in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // lower} {smaller}"
    return f"{whole} s"


def size(count: float) -> str:
    """Bytes for people.

    >>> size(900), size(2.5e6), size(3.21e9)
    ('1 kB', '2.5 MB', '3.21 GB')
    """
    if count >= 1e9:
        return f"{count / 1e9:.3g} GB"
    if count >= 1e6:
        return f"{count / 1e6:.3g} MB"
    return f"{max(1, round(count / 1e3))} kB"
