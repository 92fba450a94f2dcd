"""Numbers that the papers print, as typed tables, and the arithmetic that checks them.

One CSV per table in ``data_manifests/reported``. Tables of results have the columns of ``ResultRow``; the
other files (prompts, hyperparameters, training logs ...) have a row type of their own. A malformed file is
refused with its name and line.
"""

from fbu.reported.arithmetic import TOLERANCE, averages, leaders, second_best_marks, shared_cells
from fbu.reported.rows import ResultRow, read_rows
from fbu.reported.tables import (
    PAPERS,
    Printed,
    hyperparameters,
    names,
    paper_of,
    results,
    table,
    title,
    value,
)

__all__ = [
    "PAPERS",
    "TOLERANCE",
    "Printed",
    "ResultRow",
    "averages",
    "hyperparameters",
    "leaders",
    "names",
    "paper_of",
    "read_rows",
    "results",
    "second_best_marks",
    "shared_cells",
    "table",
    "title",
    "value",
]
