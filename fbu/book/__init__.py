"""The book: train what its notebooks ask for, execute them, build the pages.

``python -m fbu.book build`` does all three (:func:`build`); ``python -m fbu.book refresh`` renews the outputs
that the notebooks keep for the tests (:func:`refresh`). A build never writes a source: all that it makes lies
under ``_build/<profile>/``.
"""

from __future__ import annotations

from fbu.book.notebooks import Notebook, NotebookError, find, refresh, run_notebook
from fbu.book.pipeline import Options, build, train

__all__ = ["Notebook", "NotebookError", "Options", "build", "find", "refresh", "run_notebook", "train"]
