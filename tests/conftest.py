"""One working folder for the whole test session: twins and caches are made once, by whoever needs them first."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from fbu import processes

# How long an example takes says more about what else the machine does than about the code. Fewer examples than the
# hundred of hypothesis, because there are many properties.
settings.register_profile("fbu", deadline=None, max_examples=25)
settings.load_profile("fbu")

# Test processes share the cores; more threads each would only make them wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests that need processes of their own fork a server that has imported this once.
processes.preload(*processes.TRAINING, "papermill", "fbu.book", "fbu.models.clef", "fbu.models.emoco")


@pytest.fixture(scope="session", autouse=True)
def fbu_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    home = shared / "fbu-home"
    home.mkdir(exist_ok=True)
    os.environ["FBU_HOME"] = str(home)
    os.environ.pop("FBU_DATA", None)
    return home
