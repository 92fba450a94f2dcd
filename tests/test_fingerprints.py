from pathlib import Path

import pytest

from fbu.errors import DataError
from fbu.fingerprints import code_fingerprint, reached, reached_by_name

SOURCE = '''"""Module text."""
import math

SCALE = 0.25


class Box:
    """Class text."""

    def area(self, side: float) -> float:
        """Method text."""
        return SCALE * side**2  # a comment
'''


def package(root: Path, **files: str) -> Path:
    """Write ``fbu/<name>`` files; ``__`` in a key means a folder, a value of "" an empty file."""
    for key, text in files.items():
        path = root / "fbu" / (key.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in (path.parent, *path.parent.parents):
            if folder == root:
                break
            (folder / "__init__.py").touch()
        path.write_text(text)
    return root


def of(tmp_path: Path, text: str) -> str:
    path = tmp_path / "fbu" / "box.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return code_fingerprint(["fbu.box"], root=tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another, longer one"),
        ("Module text.", "Other words for the module, at more length."),
        ("Class text.", "Other words for the class."),
        ("Method text.", "Other words for the method."),
        ('"""Module text."""\n', ""),
        ("import math\n\n", "import math\n\n\n\n"),
        ("SCALE * side**2", "(SCALE * (side ** 2))"),
        ("0.25", "2.5e-1"),
    ],
)
def test_words_and_layout_do_not_count(tmp_path: Path, old: str, new: str) -> None:
    assert old in SOURCE
    assert of(tmp_path, SOURCE) == of(tmp_path, SOURCE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.25", "0.26"),
        ("side**2", "side**3"),
        ("area", "surface"),
        ("import math", "import cmath"),
        ("0.25", "'0.25'"),
        ("        return", "        'a string that is no docstring'\n        return"),
    ],
)
def test_code_counts(tmp_path: Path, old: str, new: str) -> None:
    assert old in SOURCE
    assert of(tmp_path, SOURCE) != of(tmp_path, SOURCE.replace(old, new))


def test_order_and_repeats_do_not_count_but_names_do(tmp_path: Path) -> None:
    package(tmp_path, a="X = 1\n", b="X = 2\n", c="X = 1\n")
    pair = code_fingerprint(["fbu.a", "fbu.b"], root=tmp_path)
    assert pair == code_fingerprint(["fbu.b", "fbu.a", "fbu.b"], root=tmp_path)
    assert code_fingerprint(["fbu.a"], root=tmp_path) != code_fingerprint(["fbu.c"], root=tmp_path)


def test_closure_follows_every_form_of_import(tmp_path: Path) -> None:
    package(
        tmp_path,
        top="import numpy\nfrom fbu.data import worlds, load\nimport fbu.plain as p\n",
        plain="def f():\n    from fbu import late\n    return late\n",
        late="from importlib import import_module\nimport_module('fbu.constant')\n",
        constant="",
        unused="",
        data__worlds="from .faces import shapes\nfrom . import near\nfrom ..other import thing\n",
        data__near="",
        data__faces__shapes="from ...deep import *\n",
        other="thing = 1\n",
        deep="",
    )
    names = "top data data.worlds plain late constant data.near data.faces.shapes other deep"
    assert reached("fbu.top", root=tmp_path) == sorted(f"fbu.{name}" for name in names.split())


def test_submodule_import_leaves_the_parent_package_out(tmp_path: Path) -> None:
    package(tmp_path, top="from fbu.data import worlds\n", data__worlds="", heavy="")
    (tmp_path / "fbu" / "data" / "__init__.py").write_text("import fbu.heavy\n")
    assert reached("fbu.top", root=tmp_path) == ["fbu.data.worlds", "fbu.top"]


def test_type_checking_blocks_do_not_count(tmp_path: Path) -> None:
    package(
        tmp_path,
        top="import typing\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from fbu import hints\nelse:\n    from fbu import real\n"
        "if typing.TYPE_CHECKING:\n    import fbu.hints\n",
        hints="",
        real="",
    )
    assert reached("fbu.top", root=tmp_path) == ["fbu.real", "fbu.top"]


def test_cycles_end(tmp_path: Path) -> None:
    package(tmp_path, a="import fbu.b\n", b="def f():\n    import fbu.a\n")
    assert reached("fbu.a", root=tmp_path) == reached("fbu.b", root=tmp_path) == ["fbu.a", "fbu.b"]


def test_relative_import_in_a_package_is_relative_to_it(tmp_path: Path) -> None:
    package(tmp_path, data__faces__shapes="", data__shapes="")
    (tmp_path / "fbu" / "data" / "faces" / "__init__.py").write_text("from . import shapes\n")
    assert reached("fbu.data.faces", root=tmp_path) == ["fbu.data.faces", "fbu.data.faces.shapes"]


def test_modules_of_a_dataset_are_found_by_its_name(tmp_path: Path) -> None:
    package(
        tmp_path,
        data__layouts__faces="from fbu.data.layouts.files import table\n",
        data__layouts__files="table = 1\n",
        data__layouts__other="",
        data__worlds__populations__faces="import fbu.drawing\n",
        drawing="",
    )
    found = "data.layouts.faces data.layouts.files data.worlds.populations.faces drawing"
    assert reached_by_name("faces", root=tmp_path) == [f"fbu.{name}" for name in found.split()]
    assert reached_by_name("other", root=tmp_path) == ["fbu.data.layouts.other"]
    assert reached_by_name("tower", root=tmp_path) == []


def test_unknown_module_is_named() -> None:
    with pytest.raises(DataError, match="fbu.no_such_module"):
        code_fingerprint(["fbu.no_such_module"])
    with pytest.raises(DataError, match="fbu.no_such_module"):
        reached("fbu.no_such_module")


def test_this_package() -> None:
    assert reached("fbu.resources") == ["fbu.errors", "fbu.resources"]
    assert len(code_fingerprint(reached("fbu.resources"))) == 64
