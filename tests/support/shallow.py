"""Large dual encoders of two blocks: what a step of theirs needs to show, without twelve times the same."""

import pytest
from open_clip import factory

NAMES = ("ViT-B-16-quickgelu", "ViT-B-16")


def two_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the test ends, open_clip builds these names at their full width with two blocks in each tower."""
    for name in NAMES:
        config = factory.get_model_config(name)
        config["vision_cfg"]["layers"] = config["text_cfg"]["layers"] = 2
        monkeypatch.setitem(factory._MODEL_CONFIGS, name, config)
