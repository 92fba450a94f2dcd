"""Runs pytest in forks of one process, so that the heavy imports are paid once and not once per mutant.

Reads one job per line, ``{"copy": folder, "arguments": [...]}``, and answers each with its exit code. A job
imports ``fbu`` from its folder; this process never imports it.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from importlib import import_module

import pytest
from _pytest.config import default_plugins

# What the tests of the table reach, some of it only when it is called (gradcheck wants sympy).
for heavy in (
    *(f"_pytest.{name}" for name in default_plugins),
    "filelock",
    "hypothesis",
    "open_clip",
    "PIL.Image",
    "pandas",
    "pydantic",
    "safetensors.torch",
    "sklearn.metrics",
    "timm",
    "torch.fx.experimental.symbolic_shapes",
    "torchvision.transforms.v2",
    "xml.etree.ElementTree",
    "yaml",
):
    import_module(heavy)

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


gc.freeze()  # else every fork goes through all that was imported, and copies it by that
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
