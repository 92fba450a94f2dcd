"""Worker processes."""

import os

import pytest

from fbu import processes


def test_workers_have_the_environment_of_their_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second pool's workers are forked by the server that the first one started."""
    for word in ("first", "second"):
        monkeypatch.setenv("FBU_WORD", word)
        with processes.pool(1) as pool:
            assert pool.submit(os.getenv, "FBU_WORD").result() == word


def test_a_system_that_cannot_fork_starts_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    with processes.pool(1) as pool:
        assert pool.submit(os.getppid).result() == os.getpid()
