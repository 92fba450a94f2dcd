"""Runs pytest in forks of one process, so that the heavy imports are paid once and not once per mutant.

Reads one job per line, ``{"copy": folder, "arguments": [...]}``, and answers each with its exit code. A job
imports ``fbu`` from its folder; this process never imports it.
"""

from __future__ import annotations

import json
import os
import signal
import sys

import hypothesis  # noqa: F401
import numpy  # noqa: F401
import pandas  # noqa: F401
import pydantic  # noqa: F401
import pytest
import sklearn.metrics  # noqa: F401
import torch  # noqa: F401

SECONDS = 200  # of a processor's time: what else the machine does must not decide


def run(copy: str, arguments: list[str]) -> int:
    """pytest in the folder of the copy, its output in ``output.txt`` there."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # a fault may loop forever
    os.chdir(copy)
    output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (0, 1, 2):
        os.dup2(output if stream else os.open(os.devnull, os.O_RDONLY), stream)
    os.environ["PYTHONPATH"] = copy
    os.environ["FBU_HOME"] = os.path.join(copy, "home")
    sys.path.insert(0, copy)
    return int(pytest.main(arguments))


for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if not child:
        code = 99  # what an accident in this file looks like
        try:
            code = run(job["copy"], job["arguments"])
        finally:
            sys.stdout.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
