"""Work for worker processes in tests; light to import."""

import os
import signal


def deadly(jobs):
    """Work that no process survives doing 7."""
    if 7 in jobs:
        os.kill(os.getpid(), signal.SIGKILL)
    return [2 * job for job in jobs]
