"""Ends that are not failures: Ctrl-C, a request to end, a time limit."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qsyncdsl.diagnostics import Diagnostic, ModelError

INTERRUPTED, UNFINISHED, ENDED = 130, 5, 143
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class Stopped(BaseException):
    """The command shall end now; what is finished is kept."""

    def __init__(self, reason: str, code: int) -> None:
        self.reason, self.code = reason, code
        super().__init__(reason)


# The stop that was asked for, while it is obeyed.
_pending: list[Stopped] = []


def obey() -> None:
    """Raise `Stopped` again: callbacks of compiled code swallow it where the signal met them.

    Raises:
        Stopped: If a stop was asked for.
    """
    if _pending:
        raise _pending[0]


def seconds(text: str) -> float:
    """A time limit in seconds.

    Raises:
        ModelError: E744 for a text that is none.

    >>> seconds("90"), seconds("1.5h"), seconds("1:30:00"), seconds("2-00:00:00")
    (90.0, 5400.0, 5400.0, 172800.0)
    """
    words = text.strip().lower()
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", words):
        unit = match.group(2)
        if unit in _UNITS and float(match.group(1)) > 0:
            return float(match.group(1)) * _UNITS[unit]
    if match := re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", words):
        days, hours, minutes, rest = (int(part or 0) for part in match.groups())
        return float(((24 * days + hours) * 60 + minutes) * 60 + rest)
    raise ModelError(
        [
            Diagnostic(
                "E744",
                f"'{text}' is no time",
                help="write 90s, 30m, 1.5h or 1:30:00",
            )
        ]
    )


@contextmanager
def stopping(limit: str = "") -> Iterator[None]:
    """While inside, Ctrl-C, SIGTERM and the end of a time limit raise `Stopped`.

    The limit is counted by the clock that nobody can set.

    Raises:
        ModelError: E744 for a limit that is no time.
        Stopped: When it is time.
    """
    wait = seconds(limit) if limit else 0.0
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reasons = {signal.SIGINT: Stopped("by Ctrl-C", INTERRUPTED)}
    reasons[signal.SIGTERM] = Stopped("on request (SIGTERM)", ENDED)
    timed = hasattr(signal, "setitimer") and wait > 0
    if timed:
        reasons[signal.SIGALRM] = Stopped(f"after {limit}", UNFINISHED)

    def stop(number: int, frame: Any) -> None:
        for other in reasons:
            # Once is enough: the rest is putting things in order.
            signal.signal(other, signal.SIG_IGN)
        _pending.append(reasons[signal.Signals(number)])
        raise _pending[0]

    before = {number: signal.signal(number, stop) for number in reasons}
    try:
        if timed:
            signal.setitimer(signal.ITIMER_REAL, wait)
        yield
    finally:
        if timed:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
        _pending.clear()
