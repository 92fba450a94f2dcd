"""Find the book's notebooks, execute one, and renew the outputs that the tests compare."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fbu.errors import DataError
from fbu.parameters import validate

MARK = "nbval-check-output"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class NotebookError(RuntimeError):
    """A notebook raised; the message names it and ends with the last lines of its traceback."""


@dataclass(frozen=True, order=True)
class Notebook:
    """A notebook of the book: ``notebooks/<chapter>/<stem>.ipynb``."""

    chapter: str
    stem: str
    path: Path

    @property
    def name(self) -> str:
        """Short name, e.g. ``clef/table7_ablation``."""
        return f"{self.chapter}/{self.stem}"


def find(root: Path, only: str | None = None) -> list[Notebook]:
    """Notebooks of a checkout, sorted by name.

    Args:
        root: the checkout.
        only: a chapter (``"clef"``) or one notebook (``"clef/fig5_similarity"``).

    Raises:
        DataError: nothing matches ``only``; the message lists what there is.
    """
    paths = [path for path in (root / "notebooks").glob("*/*.ipynb") if not path.name.startswith(".")]
    found = sorted(Notebook(path.parent.name, path.stem, path) for path in paths)
    chosen = [book for book in found if only is None or only in (book.chapter, book.name)]
    if only is not None and not chosen:
        known = sorted({book.chapter for book in found}) + [book.name for book in found]
        raise DataError(f"no notebook matches {only!r}; there are {', '.join(known) or 'none yet'}")
    return chosen


def run_notebook(path: Path, parameters: Mapping[str, Any], output: Path, *, cwd: Path | None = None) -> Path:
    """Execute a notebook with papermill; ``output`` appears only when every cell has succeeded.

    Args:
        path: the notebook.
        parameters: checked against what the notebook declares before a kernel starts.
        output: the executed notebook. One that failed is kept beside it as ``<stem>.failed.ipynb``.
        cwd: folder in which the kernel works; default: the present one.

    Raises:
        ParameterError: an unknown parameter or a wrong type.
        NotebookError: a cell raised.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError

    from fbu.book import kernels

    validate(path, parameters)
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.stem}.{os.getpid()}.partial.ipynb")
    failed = output.with_name(f"{output.stem}.failed.ipynb")
    failed.unlink(missing_ok=True)
    # A kernel of the user's home must not replace the environment's own.
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    kernels.use()
    try:
        papermill.execute_notebook(
            str(path),
            str(partial),
            parameters=dict(parameters),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=str(cwd or Path.cwd()),
            # Its remarks would break the progress display; one of them, an error to it, is that it was told to stop.
            extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
        )
        os.replace(partial, output)
    except papermill.PapermillExecutionError as error:
        os.replace(partial, failed)
        lines = ANSI.sub("", "\n".join(error.traceback)).splitlines()
        raise NotebookError("\n".join([f"{path} failed; see {failed}", *lines[-12:]])) from None
    except DeadKernelError:
        raise NotebookError(f"{path} failed: its kernel died, most likely for lack of memory") from None
    finally:
        partial.unlink(missing_ok=True)
    return output


def refresh(path: Path, *, cwd: Path | None = None) -> None:
    """Execute a notebook with its defaults and store the outputs of its marked cells, and no others.

    Raises:
        NotebookError: a cell raised; the notebook stays as it was.
        DataError: no cell is tagged ``nbval-check-output``, or a marked cell printed nothing.
    """
    import tempfile

    import nbformat

    with tempfile.TemporaryDirectory() as folder:
        ran = nbformat.read(run_notebook(path, {}, Path(folder) / path.name, cwd=cwd), as_version=4)
    outputs = {cell.id: cell.outputs for cell in ran.cells if cell.cell_type == "code"}
    source = nbformat.read(path, as_version=4)
    marked = 0
    for number, cell in enumerate(source.cells):
        cell.metadata = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
        if cell.cell_type != "code":
            continue
        keep = MARK in cell.metadata.get("tags", [])
        if keep and not outputs[cell.id]:
            raise DataError(f"{path}: cell {number} is tagged {MARK} but printed nothing")
        cell.outputs = _plain(outputs[cell.id]) if keep else []
        cell.execution_count = 1 if keep else None  # nbval refuses outputs of a cell without a count
        marked += keep
    if not marked:
        raise DataError(f"{path}: tag at least one cell {MARK}")
    source.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    nbformat.write(source, temporary)
    os.replace(temporary, path)


def _plain(outputs: list[Any]) -> list[Any]:
    """Outputs with constant counts, and with one entry for what was printed in pieces."""
    kept: list[Any] = []
    for output in outputs:
        if "execution_count" in output:
            output.execution_count = 1
        if kept and output.output_type == "stream" and kept[-1].get("name") == output.name:
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept
