"""The program with a log of the batches that are begun; worker processes import this file too.

With BATCH_PAUSE each point lasts at least so many seconds, on the fastest machine too.
"""

import json
import os
import sys
import time

from qsyncdsl.run import line as line_module
from qsyncdsl.run.points import Points

_many = Points.many


def logged(self, jobs):
    """Note the batch before it is done."""
    record = {"pid": os.getpid(), "jobs": [list(job.index) for job in jobs]}
    log = os.open(os.environ["BATCH_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, json.dumps(record).encode() + b"\n")
    os.close(log)
    time.sleep(float(os.environ.get("BATCH_PAUSE", "0")) * len(jobs))
    return _many(self, jobs)


# Not where the file is only collected: a worker process imports it as "__mp_main__".
if __name__ in ("__main__", "__mp_main__"):
    Points.many = logged  # type: ignore[method-assign]
    line_module._ALONE = line_module._WORTH = 0.0

if __name__ == "__main__":
    from qsyncdsl.cli import main

    sys.argv[0] = "qsyncdsl"
    main()
