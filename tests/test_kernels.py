"""Kernels that are forked behave as kernels that are started."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner
from jupyter_core.utils import ensure_event_loop

from fbu.book import kernels
from fbu.book.kernels import NAME, VARIABLE, ForkedKernel

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")


class Kernel:
    """A running kernel that evaluates expressions."""

    def __init__(self, folder: Path) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=str(folder), env={**os.environ, "FBU_SAID": "yes"})
        assert isinstance(self.manager.provisioner, ForkedKernel)
        self.provisioner = self.manager.provisioner
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def value(self, expression: str, first: str = "") -> str:
        """Text of an expression, or the name of the error of ``first``."""
        said = self.client.execute_interactive(
            first,
            silent=True,
            user_expressions={"x": expression},
            timeout=60,
            output_hook=lambda message: None,
        )["content"]
        if said["status"] == "error":
            return str(said["ename"])
        found = said["user_expressions"]["x"]
        return str(found["data"]["text/plain"] if found["status"] == "ok" else found["ename"])

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kernel, Kernel, Path]]:
    folder = tmp_path_factory.mktemp("work")
    KernelProvisionerFactory.clear_instance()  # it reads the variable once
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, NAME)
        both = Kernel(folder), Kernel(folder)
        yield *both, folder
        for kernel in both:
            kernel.stop()
        ensure_event_loop().close()  # Jupyter leaves it open
    KernelProvisionerFactory.clear_instance()


def test_both_come_from_one_process_that_has_imported_everything(pair: tuple[Kernel, Kernel, Path]) -> None:
    first, second, _ = pair
    parents = {kernel.value("os.getppid()", "import os") for kernel in (first, second)}
    assert len(parents) == 1 and parents != {str(os.getpid())}
    assert first.value("'fbu.models.clef' in sys.modules", "import sys") == "True"


def test_the_forked_process_has_one_thread(pair: tuple[Kernel, Kernel, Path]) -> None:
    parent = pair[0].value("os.getppid()", "import os")
    assert "Threads:\t1\n" in Path(f"/proc/{parent}/status").read_text()


def test_each_has_its_own_names_and_the_given_surroundings(pair: tuple[Kernel, Kernel, Path]) -> None:
    first, second, folder = pair
    first.value("1", "mine = 3; import fbu; fbu.changed = True")
    assert first.value("mine") == "3" and second.value("mine") == "NameError"
    assert second.value("hasattr(fbu, 'changed')", "import fbu") == "False"
    assert second.value("os.environ['FBU_SAID'], os.getcwd()", "import os") == repr(("yes", str(folder)))


def test_processes_can_be_started_within(pair: tuple[Kernel, Kernel, Path]) -> None:
    start = "from multiprocessing import get_context\npool = get_context('spawn').Pool(1)"
    assert pair[0].value("found", f"{start}\nwith pool: found = pool.map(abs, [-3])") == "[3]"


def test_interrupt(pair: tuple[Kernel, Kernel, Path]) -> None:
    kernel, _, folder = pair
    sign = folder / "started"
    loop = f"import pathlib, time; pathlib.Path({str(sign)!r}).touch(); time.sleep(60)"

    def watch() -> None:
        while not sign.exists():
            time.sleep(0.05)
        asyncio.run(kernel.provisioner.send_signal(signal.SIGINT))

    watcher = threading.Thread(target=watch, daemon=True)  # waits for ever if the cell never starts
    watcher.start()
    assert kernel.value("1", loop) == "KeyboardInterrupt"
    watcher.join()
    assert kernel.value("1 + 1") == "2"


def test_one_that_died_is_seen_to_be_dead(pair: tuple[Kernel, Kernel, Path]) -> None:
    kernel = Kernel(pair[2])
    kernel.client.execute("import os; os._exit(3)", silent=True)
    assert asyncio.run(asyncio.wait_for(kernel.provisioner.wait(), 60)) == 3
    assert not kernel.manager.is_alive()
    kernel.stop()


@pytest.mark.parametrize(
    "command",
    [["/usr/bin/R", "--slave"], ["/other/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]],
)
def test_other_kernels_start_as_usual(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    async def launch(self: LocalProvisioner, cmd: list[str], **kwargs: Any) -> dict[str, Any]:
        asked.append(cmd)
        return {}

    monkeypatch.setattr(LocalProvisioner, "launch_kernel", launch)
    asyncio.run(ForkedKernel(kernel_id="x").launch_kernel(command))
    assert asked == [command]


def test_the_user_s_choice_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    kernels.use()
    assert os.environ[VARIABLE] == NAME
    monkeypatch.setenv(VARIABLE, "local-provisioner")
    kernels.use()
    assert os.environ[VARIABLE] == "local-provisioner"
