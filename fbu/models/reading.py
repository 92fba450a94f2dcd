"""Files of weights, read as data: no code of the file is run, and a file that is none is named for what it is."""

from __future__ import annotations

import io
import pickletools
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fbu.errors import DataError
from fbu.wording import some

_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # first bytes of torch files before version 1.6


def read_weights(path: str | Path, key: str | None = None) -> dict[str, Tensor]:
    """Tensors of a local file by name; numbers with a fraction become float32, integers stay.

    The kind of file is told from its first bytes, never from its name: safetensors, a torch file (new or old form) or
    a TorchScript archive as OpenAI's.

    Args:
        path: the file.
        key: entry of the file that holds the weights; None takes ``state_dict`` or ``model`` where there is one.

    Raises:
        DataError: no such file; a web page or a pointer in its place; damaged; without tensors or without ``key``;
            with numbers that are not finite; or a pickle of anything but tensors and plain containers. Such a pickle
            can run code when it is read, so it is not read.
    """
    path = Path(path)
    state = _select(_open(path), path, key)
    tensors = {k: v for k, v in state.items() if isinstance(v, Tensor)}
    if not tensors:
        raise DataError(f"{path}: holds no tensors, only {some(map(str, state)) or 'nothing'}")
    tensors = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    broken = [k for k, v in tensors.items() if not torch.isfinite(v).all()]
    if broken:
        raise DataError(f"{path}: {len(broken)} tensors hold numbers that are not finite ({some(broken)})")
    return tensors


def _select(content: Any, path: Path, key: str | None) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise DataError(f"{path}: holds a {type(content).__name__}, not weights by name")
    if key is not None:
        if not isinstance(content.get(key), Mapping):
            raise DataError(
                f"{path}: has no entry {key!r} with weights; there are {some(map(str, content), 6)}"
            )
        return content[key]
    for usual in ("state_dict", "model"):
        if isinstance(content.get(usual), Mapping):
            return content[usual]
    return content


def _open(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"{path}: no such weights file")
    with path.open("rb") as file:
        start = file.read(64)
    if start.lstrip().startswith(b"<"):
        raise DataError(f"{path}: is a web page, the answer to the download; fetch the file itself")
    if start.startswith(b"version https://git-lfs"):
        raise DataError(f"{path}: is a pointer of Git LFS, not the file; fetch it with `git lfs pull`")
    if start.startswith(b"PK"):
        return _open_zip(path)
    if start[8:9] == b"{":
        return _open_safetensors(path)
    if start.startswith(_LEGACY_TORCH):
        return _load_torch(path)
    if start.startswith(b"\x80") or path.suffix in (".pkl", ".pickle"):
        raise _refused(path, _globals(path.read_bytes()))
    raise DataError(f"{path}: neither safetensors, nor a torch file, nor a TorchScript archive")


def _open_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:  # SafetensorError is no subclass of anything narrower
        raise _damaged(path, error) from error


def _open_zip(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:  # the table of contents stands at the end of the file
        raise _damaged(path, error) from error
    if any(name.endswith("/constants.pkl") for name in names):
        return _load_torchscript(path)
    return _load_torch(path)


def _load_torchscript(path: Path) -> dict[str, Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # torch has deprecated the format of OpenAI's files, which will not change
        try:
            return dict(torch.jit.load(str(path), map_location="cpu").state_dict())
        except Exception as error:
            raise _damaged(path, error) from error


def _load_torch(path: Path) -> Any:
    from pickle import UnpicklingError

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        names = _globals(_pickle_of(path))
        raise (_refused(path, names) if names else _damaged(path, error)) from None
    except Exception as error:  # a cut file fails in many ways: EOFError, OSError, RuntimeError, KeyError
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return DataError(f"{path}: is cut short or damaged ({reason}); fetch it again")


def _refused(path: Path, names: list[str]) -> DataError:
    message = (
        f"{path}: refused, because reading this pickle can run code: it calls {some(names) or 'on objects'}"
    )
    if any(name.startswith("numpy") for name in names):
        return DataError(
            f"{message}; if you trust its origin, convert the arrays once: d = pickle.load(open({path.name!r}, 'rb'), "
            f"encoding='latin1'); torch.save({{k: torch.as_tensor(v) for k, v in d.items()}}, '{path.stem}.pth')"
        )
    return DataError(
        f"{message}; if you trust its origin, save its tensors once: "
        f"d = torch.load({path.name!r}, weights_only=False); torch.save(d['state_dict'], '{path.stem}-plain.pth')"
    )


def _pickle_of(path: Path) -> bytes:
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        inside = next((n for n in archive.namelist() if n.endswith("data.pkl")), None)
        return archive.read(inside) if inside else b""


def _globals(content: bytes) -> list[str]:
    """Names that a pickle would import, read without running it; those of tensors are left out."""
    names: list[str] = []
    texts: list[str] = ["?", "?"]
    stream = io.BytesIO(content)
    try:
        for _ in range(5):  # old torch files are five pickles in a row, then bytes
            for operation, argument, _ in pickletools.genops(stream):
                if operation.name in ("GLOBAL", "INST"):
                    names.append(str(argument).replace(" ", "."))
                elif operation.name == "STACK_GLOBAL":
                    names.append(".".join(texts[-2:]))
                elif isinstance(argument, str):
                    texts.append(argument)
    except ValueError:  # no further pickle, or one that is cut short
        pass
    plain = ("torch._utils.", "torch.FloatStorage", "torch.HalfStorage", "torch.LongStorage", "collections.")
    return list(dict.fromkeys(n for n in names if not n.startswith(plain)))
