import pytest

import fbu.data.towers as pictures


@pytest.fixture
def few(monkeypatch, tmp_path):
    """Towers that are shown few pictures, three tenths of them held out, in a working folder of their own."""
    monkeypatch.setitem(pictures.COUNTS, "quick", 200)
    monkeypatch.setattr(pictures, "HELD_OUT", 0.3)
    monkeypatch.setenv("FBU_HOME", str(tmp_path))
    return tmp_path
