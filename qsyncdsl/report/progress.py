"""How far a command is: a bar on a terminal, a line in a notebook, lines in the log of a batch job."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Tell = Callable[..., None]

# A bar is shown for what takes longer than this; a line in a notebook changes as often as this.
_PATIENCE, _BLINK = 1.0, 0.25
# Seconds before the first line of a log and between two.
_FIRST, _BETWEEN = 10.0, 30.0
# Characters of a bar and of the name of a line, so that all fits into 80 columns.
_BAR, _NAME = 5, 14


@contextmanager
def progress(quiet: bool, notebook: bool = False) -> Iterator[Tell | None]:
    """Something to call with a label, the number done, the number to do, and facts by name.

    Facts: `failed` points so far, `memory` of the largest process in bytes, and `text` to be said once.
    """
    if quiet:
        yield None
    elif notebook:
        line = _Line()
        try:
            yield line
        finally:
            line.clear()
    elif sys.stderr.isatty():
        with _bar() as tell:
            yield tell
    else:
        yield _Log()


def in_notebook() -> bool:
    """Whether this process serves a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "kernel" in type(shell).__module__


class _Pace:
    """How fast each task is, without what was done before it began."""

    def __init__(self) -> None:
        self._begun: dict[str, tuple[float, int]] = {}

    def text(self, label: str, done: int, total: int) -> str:
        """Rate and time left; empty where they are not known."""
        now = time.monotonic()
        start, had = self._begun.setdefault(label, (now, done))
        if done < had:
            # another round under the same name
            self._begun[label] = start, had = now, done
        found = pace(done - had, total - done, now - start)
        # parts of a point have no rate that says anything
        return found.partition(", ")[2] if ", " in label else found


@contextmanager
def _bar() -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=_BAR),
        MofNCompleteColumn(),
        TextColumn("{task.fields[facts]}"),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[str, Any] = {}
    begin, speed = time.monotonic(), _Pace()

    def tell(label: str, done: int, total: int, **facts: Any) -> None:
        if facts.get("text"):
            bar.console.print(facts["text"], highlight=False)
        if label not in tasks:
            tasks[label] = bar.add_task(_short(label), total=total, facts="")
        words = (speed.text(label, done, total), facts_text(facts))
        bar.update(
            tasks[label],
            completed=done,
            total=total,
            visible=done < total,
            facts=", ".join(word for word in words if word),
        )
        if time.monotonic() - begin > _PATIENCE:
            bar.start()

    try:
        yield tell
    finally:
        bar.stop()


def _short(label: str) -> str:
    """A label that leaves room for the rest; what is part of another has its unit only."""
    name, _, unit = label.partition(", ")
    if unit:
        return f"  {unit}"
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"


class _Line:
    """A line of a notebook for each task that is not finished; it goes when the work is done."""

    def __init__(self) -> None:
        self._tasks: dict[str, str] = {}
        self._said: list[str] = []
        self._speed = _Pace()
        self._handle: Any = None
        self._last = time.monotonic() + _PATIENCE - _BLINK

    def __call__(self, label: str, done: int, total: int, **facts: Any) -> None:
        if facts.get("text"):
            self._said = [str(facts["text"])]
        self._tasks.pop(label, None)
        if done < total:
            words = (self._speed.text(label, done, total), facts_text(facts))
            self._tasks[label] = ", ".join(
                [counted(label, done, total), *(word for word in words if word)]
            )
        now = time.monotonic()
        if now - self._last > _BLINK:
            self._last = now
            self._show([*self._said, *self._tasks.values()])

    def clear(self) -> None:
        """Leave nothing behind."""
        if self._handle is not None:
            self._show([])

    def _show(self, lines: list[str]) -> None:
        from IPython.display import HTML, display  # type: ignore[import-not-found]

        shown = HTML("<br>".join(map(html.escape, lines)))
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)


class _Log:
    """Lines now and then."""

    def __init__(self) -> None:
        self._speed = _Pace()
        self._quiet_until = time.monotonic() + _FIRST

    def __call__(self, label: str, done: int, total: int, **facts: Any) -> None:
        now = time.monotonic()
        if facts.get("text"):
            print(facts["text"], file=sys.stderr, flush=True)
        words = (self._speed.text(label, done, total), facts_text(facts))
        if now < self._quiet_until or done >= total:
            return
        self._quiet_until = now + _BETWEEN
        line = [counted(label, done, total), *(word for word in words if word)]
        print(", ".join(line), file=sys.stderr, flush=True)


def counted(label: str, done: int, total: int) -> str:
    """How much of a task is done.

    >>> counted("steadystate", 1200, 10201), counted("langevin, % of a point", 3, 100)
    ('steadystate: 1200 of 10201 points', 'langevin: 3 % of a point')
    """
    name, _, unit = label.partition(", ")
    return f"{name}: {done} {unit}" if unit else f"{name}: {done} of {total} points"


def pace(new: int, left: int, seconds: float) -> str:
    """Rate and time left, from what was done in some seconds.

    >>> pace(1000, 9001, 40.0), pace(0, 10, 1.0), pace(2, 10, 30.0)
    ('25/s, 6 min 0 s left', '', '15 s each, 2 min 30 s left')
    """
    if new <= 0 or seconds <= 0:
        return ""
    rate = new / seconds
    each = f"{rate:.3g}/s" if rate >= 1 else f"{1 / rate:.3g} s each"
    return f"{each}, {duration(left / rate)} left"


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
