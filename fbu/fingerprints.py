"""Fingerprints of code: what a result depends on, whatever the comments and docstrings say.

Only static reading is done; nothing is imported. An import by a computed name is not seen (a constant one,
``import_module("fbu.x")``, is), nor is a name that a package hands out lazily: code in the package imports
from the defining module.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from fbu.errors import DataError

_PACKAGE = __name__.split(".")[0]
_ROOT = Path(__file__).resolve().parent.parent
# Packages with one module per dataset: how its files are read, who is in its twin.
_BY_DATASET = (f"{_PACKAGE}.data.layouts", f"{_PACKAGE}.data.worlds.populations")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_IGNORED_FIELDS = {"type_comment", "type_ignores", "kind"}


def code_fingerprint(modules: Iterable[str], *, root: Path | None = None) -> str:
    """Sha256 (hex) over the syntax trees of modules, without comments, docstrings and layout.

    Args:
        modules: dotted names, e.g. ``"fbu.losses.clef"``; order and repeats do not matter.
        root: folder that holds the package; default: where this package lies.

    Raises:
        DataError: a name has no source file.
    """
    digest = hashlib.sha256()
    for module in sorted(set(modules)):
        path = _locate(module, root or _ROOT)
        if path is None:
            raise DataError(f"module {module!r} has no source file under {root or _ROOT}: check the name")
        digest.update(f"{module}\n{_canonical(*_stamp(path))}\n".encode())
    return digest.hexdigest()


def reached(module: str, *, root: Path | None = None) -> list[str]:
    """Modules of the package that a module imports, directly or through others, itself included; sorted.

    Absolute and relative imports count, inside functions too; blocks under ``if TYPE_CHECKING:`` do not.
    ``from fbu.data import worlds`` means ``fbu.data.worlds``; importing a plain name from a package means
    the package's ``__init__``. Parent packages alone do not count.

    Raises:
        DataError: the module has no source file.
    """
    base = root or _ROOT
    if _locate(module, base) is None:
        raise DataError(f"module {module!r} has no source file under {base}: check the name")
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(_imports(name, base))
    return sorted(seen)


def reached_by_name(dataset: str, *, root: Path | None = None) -> list[str]:
    """Modules that are found by a dataset's name at run time, with all that they reach; sorted.

    They are looked up by a computed name, so :func:`reached` cannot see them. A name without modules, as that of
    the stand-in towers' pictures, gives an empty list.
    """
    named = (f"{package}.{dataset}" for package in _BY_DATASET)
    known = [module for module in named if _locate(module, root or _ROOT) is not None]
    return sorted({name for module in known for name in reached(module, root=root)})


def _locate(module: str, root: Path) -> Path | None:
    path = root.joinpath(*module.split("."))
    for candidate in (path / "__init__.py", path.with_name(path.name + ".py")):
        if candidate.is_file():
            return candidate
    return None


def _stamp(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path), status.st_mtime_ns, status.st_size


@lru_cache(maxsize=1024)
def _tree(path: str, mtime: int, size: int) -> ast.Module:
    return ast.parse(Path(path).read_text(encoding="utf-8"), filename=path)


@lru_cache(maxsize=1024)
def _canonical(path: str, mtime: int, size: int) -> str:
    return _dump(_tree(path, mtime, size))


def _dump(node: Any) -> str:
    """Text of a syntax tree; empty fields are left out, because Python versions differ in which they have."""
    if isinstance(node, ast.AST):
        parts = []
        for field, value in ast.iter_fields(node):
            if (
                field == "body"
                and isinstance(node, _DOCUMENTED)
                and ast.get_docstring(node, False) is not None
            ):
                value = value[1:]
            if field not in _IGNORED_FIELDS and value is not None and value != []:
                parts.append(f"{field}={_dump(value)}")
        return f"{type(node).__name__}({','.join(parts)})"
    if isinstance(node, list):
        return f"[{','.join(map(_dump, node))}]"
    return f"{type(node).__name__}:{node!r}"


def _imports(module: str, root: Path) -> tuple[str, ...]:
    path = _locate(module, root)
    if path is None:
        return ()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    named = _all_named(package, str(root), *_stamp(path))
    return tuple(name for name in named if name.split(".")[0] == _PACKAGE and _locate(name, root) is not None)


@lru_cache(maxsize=1024)
def _all_named(package: str, root: str, path: str, mtime: int, size: int) -> tuple[str, ...]:
    nodes = _statements(_tree(path, mtime, size))
    return tuple(dict.fromkeys(name for node in nodes for name in _named(node, package, Path(root))))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below, except what stands under ``if TYPE_CHECKING:``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_type_checking(child.test):
            yield from _statements(ast.Module(body=child.orelse, type_ignores=[]))
            continue
        yield child
        yield from _statements(child)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"


def _named(node: ast.AST, package: str, root: Path) -> Iterator[str]:
    """Dotted names that one statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        source = node.module or ""
        if node.level:
            parents = package.split(".")
            above = parents[: len(parents) - node.level + 1]
            source = ".".join([*above, source] if source else above)
        for alias in node.names:
            inner = f"{source}.{alias.name}"
            yield inner if _locate(inner, root) is not None else source
    elif isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        first = node.args[0] if node.args else None
        if called == "import_module" and isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value
