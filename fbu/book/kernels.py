"""Kernels that start at once: forked from a process that has imported already what every notebook imports.

A fresh kernel spends about five seconds of a core on imports before its first cell, often more than on its cells.
:class:`ForkedKernel` is a kernel provisioner of Jupyter, installed as ``fbu-forked`` and used by whoever sets
``JUPYTER_DEFAULT_PROVISIONER_NAME=fbu-forked``, as the build of the book and the tests do. Forking is safe because the
process that is forked has one thread and has never computed anything. Where it is not known to be (other systems than
Linux) and for kernels of another interpreter, the usual start remains.
"""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

from fbu.processes import use_environment

NAME = "fbu-forked"
VARIABLE = "JUPYTER_DEFAULT_PROVISIONER_NAME"

_LAUNCHER = "ipykernel_launcher"


def use() -> None:
    """Let every kernel that this process starts from here on be forked, unless the user chose otherwise."""
    from jupyter_client.provisioning import KernelProvisionerFactory

    if NAME in KernelProvisionerFactory.instance().provisioners:  # not in an old installation of the checkout
        os.environ.setdefault(VARIABLE, NAME)


class ForkedKernel(LocalProvisioner):
    """A local kernel that is forked instead of started; everything else is Jupyter's own."""

    process: Any  # _Started, or Popen of a kernel that started as usual

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork a kernel for ``cmd``, or start it as usual if it is no Python kernel of this interpreter."""
        if sys.platform != "linux" or cmd[0] != sys.executable or _LAUNCHER not in cmd:
            return await super().launch_kernel(cmd, **kwargs)
        context = get_context("forkserver")
        context.set_forkserver_preload(["fbu.book.warm"])
        arguments = cmd[cmd.index(_LAUNCHER) + 1 :]
        folder = str(kwargs.get("cwd") or os.getcwd())
        process = context.Process(
            target=_serve, args=(arguments, folder, kwargs.get("env") or dict(os.environ))
        )
        process.start()
        self.process = _Started(process)
        self.pid = self.process.pid
        self.cwd = folder
        return self.connection_info


class _Started:
    """A process of multiprocessing with the methods of ``Popen`` that the provisioner calls."""

    stdin = stdout = stderr = None

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.pid is not None and self.poll() is None:
            try:
                os.killpg(self.pid, number)  # what the kernel started as well
            except ProcessLookupError:  # it has not made its own group yet
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def _serve(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Body of a forked kernel."""
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()
    os.chdir(folder)
    use_environment(environment)
    # A kernel ends itself when its parent has gone, which here is the process that was forked.
    IPKernelApp.launch_instance(argv=[*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"])
