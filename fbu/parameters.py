"""Typed notebook parameters: the first call of every notebook refuses a typo or a wrong type.

Papermill only warns about a name it does not know and hands over text where a list was meant, so a run could
finish with settings that nobody asked for. :func:`check_parameters` looks from inside the kernel;
:func:`validate` does the same before a kernel starts.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import itertools
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from fbu.config import use_data_root

Profile = Literal["quick", "demo", "full", "paper"]
Source = Literal["twin", "real", "open"]
Laboratory = Literal["bp4d", "bp4dplus", "disfa", "gft", "ckplus"]
InTheWild = Literal["affectnet", "rafdb", "ferplus", "facial_expressions"]
Video = Literal["dfew", "ferv39k", "mafw"]
Dataset = Laboratory | InTheWild | Video

_CALL = "check_parameters("
_INJECTED = "# Parameters"  # first line of the cell that papermill adds
_DEVICE = r"^(auto|cpu|mps|cuda(:\d+)?)$"
_SOURCES = "twin, real or open, or a mapping of dataset names to these"


class ParameterError(ValueError):
    """A notebook was started with a parameter it does not have, or with a value of the wrong type."""


class NotebookParameters(BaseModel):
    """Settings that every notebook understands, where it declares them; values are never converted."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", arbitrary_types_allowed=True)

    profile: Profile = Field("quick", description="one of quick, demo, full, paper")
    source: Source | dict[Dataset, Source] = Field("twin", description=_SOURCES)
    data_root: str | None = Field(None, description="a folder name, or None for FBU_DATA")
    device: str = Field("auto", pattern=_DEVICE, description="cpu, cuda, cuda:0, mps or auto")
    seeds: int | None = Field(None, ge=1, description="a whole number >= 1, or None for the profile's own")
    workers: int = Field(1, ge=1, description="a whole number >= 1")
    show_faces: bool = Field(False, description="True or False")


def check_parameters(
    namespace: Mapping[str, Any], schema: type[NotebookParameters] | None = None
) -> NotebookParameters:
    """Check a notebook's parameters; call it in the first code cell after the parameters cell.

    A notebook takes the parameters that its own parameters cell declares. The common ones
    (:class:`NotebookParameters`) need no type; any other is declared as ``name: type = value``.
    A ``data_root`` becomes ``FBU_DATA`` of this process, so that every loader finds it.

    Args:
        namespace: the notebook's ``globals()``.
        schema: declares further parameters as a class, in place of annotations.

    Returns:
        A frozen object with one attribute per common and declared parameter.

    Raises:
        ParameterError: an unknown name, or a value of another type. One message names every such
            parameter, the value received and what was expected. Also a ``data_root`` that is no folder.

    Example:
        >>> check_parameters({"profile": "demo", "seeds": 3}).seeds
        3
        >>> check_parameters({"seeds": "[0,1]"})
        Traceback (most recent call last):
            ...
        fbu.parameters.ParameterError: parameter seeds: received '[0,1]' (str), expected a whole number ...
    """
    checked = _from_kernel(namespace, schema or NotebookParameters)
    if checked.data_root is not None:
        root = Path(checked.data_root).expanduser().resolve()
        if not root.is_dir():
            raise ParameterError(f"parameter data_root: {root} is not a folder")
        use_data_root(root)
    return checked


def _from_kernel(namespace: Mapping[str, Any], base: type[NotebookParameters]) -> NotebookParameters:
    history = [cell for cell in namespace.get("In", []) if cell.strip()]
    cells = list(itertools.takewhile(lambda cell: _CALL not in cell, history))
    if not cells:  # a plain dictionary, or a kernel without history: every global counts
        types_of = dict(namespace.get("__annotations__", {}))
        return _checked(_extended(base, types_of, namespace), _plain_values(namespace), known=None)
    own = _assigned(cell for cell in cells if not cell.lstrip().startswith(_INJECTED))
    received = {name: namespace[name] for name in _assigned(cells) if name in namespace}
    declared_in_class = base.model_fields.keys() - NotebookParameters.model_fields.keys()
    return _checked(_extended(base, own, namespace), received, known=own.keys() | declared_in_class)


def validate(path: Path, parameters: Mapping[str, Any]) -> None:
    """Check ``parameters`` against what the notebook at ``path`` declares, before any kernel starts.

    Raises:
        ParameterError: as :func:`check_parameters`.
        DataError: the file is no notebook, or has no cell tagged ``parameters``.
    """
    own = _assigned([parameters_cell(path)])
    _checked(_extended(NotebookParameters, own, {}), parameters, known=own.keys())


def declared(path: Path) -> set[str]:
    """Names that the notebook's parameters cell assigns."""
    return set(_assigned([parameters_cell(path)]))


def parameters_cell(path: Path) -> str:
    """Source of the notebook's cell tagged ``parameters``; DataError when there is none."""
    import nbformat

    from fbu.errors import DataError

    if not path.is_file():
        raise DataError(f"{path} does not exist")
    try:
        notebook = nbformat.read(path, as_version=4)
    except (ValueError, nbformat.ValidationError) as error:
        raise DataError(f"{path} is not a notebook: {error}") from error
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            return str(cell.source)
    raise DataError(f"{path} has no cell tagged 'parameters': tag its first code cell")


def _assigned(cells: Iterable[str]) -> dict[str, str | None]:
    """Names bound by top-level assignments, with the text of their annotation if there is one."""
    found: dict[str, str | None] = {}
    for cell in cells:
        try:
            body = ast.parse(cell).body
        except SyntaxError:  # such a cell assigned nothing
            continue
        for node in body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found[node.target.id] = ast.unparse(node.annotation)
            elif isinstance(node, ast.Assign):
                parts = itertools.chain.from_iterable(ast.walk(target) for target in node.targets)
                found |= {part.id: found.get(part.id) for part in parts if isinstance(part, ast.Name)}
    return {name: note for name, note in found.items() if not name.startswith("_")}


def _extended(
    base: type[NotebookParameters], types_of: Mapping[str, Any], namespace: Mapping[str, Any]
) -> type[NotebookParameters]:
    """``base`` with one more field per name that has a type (an object or its text) and that it lacks."""
    fields: dict[str, Any] = {}
    for name, kind in types_of.items():
        if kind is None or name in base.model_fields:
            continue
        text = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
        if isinstance(kind, str):
            try:
                kind = eval(kind, {**vars(builtins), **vars(typing), **namespace})  # the notebook's own code
            except Exception as error:
                raise ParameterError(f"parameter {name}: cannot read its type {text!r} ({error})") from None
        fields[name] = (kind, Field(None, description=f"a value of type {text}"))
    return create_model("Parameters", __base__=base, **fields) if fields else base


def _checked(
    model: type[NotebookParameters], received: Mapping[str, Any], known: Iterable[str] | None
) -> NotebookParameters:
    """Build ``model``, or raise one error that lists every unknown name and wrong value."""
    names = set(model.model_fields if known is None else known)
    faults = [_unknown(name, value, names) for name, value in received.items() if name not in names]
    faults += [
        f"parameter {name} has no type: write `{name}: type = ...` in the parameters cell"
        for name in received
        if name in names - model.model_fields.keys()
    ]
    values = {name: value for name, value in received.items() if name in names & model.model_fields.keys()}
    try:
        checked = model(**values)
    except ValidationError as error:
        wrong = dict.fromkeys(str(item["loc"][0]) for item in error.errors())
        faults += [_wrong(name, values[name], model) for name in wrong]
    if faults:
        raise ParameterError("; ".join(faults))
    return checked


def _unknown(name: str, value: object, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"unknown parameter {name} (received {value!r}): {hint}known are {', '.join(sorted(names))}"


def _wrong(name: str, value: object, model: type[NotebookParameters]) -> str:
    expected = model.model_fields[name].description
    text = f"parameter {name}: received {value!r} ({type(value).__name__}), expected {expected}"
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        text += f" (papermill's -p hands over text; lists and mappings go through -y '{{{name}: ...}}')"
    return text


def _plain_values(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Globals that may be parameters: no modules, functions, classes, kernel history or private names."""
    kernel = {"In", "Out", "annotations"}  # the last is left by `from __future__ import annotations`
    return {
        name: value
        for name, value in namespace.items()
        if not (
            name.startswith("_") or name in kernel or callable(value) or isinstance(value, types.ModuleType)
        )
    }
