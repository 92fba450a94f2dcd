"""One picture, or video, through a finished run: what the model says about a face, and where it looked."""

from fbu.predicting.pictures import placement, read_picture
from fbu.predicting.prediction import Kind, Prediction
from fbu.predicting.reading import Reader, of_picture, predict, readers
from fbu.predicting.stored import code_of, labels_of, run_in, run_of_table, run_with_key

#: What `fbu predict` takes when no run is named: table, row, column.
DEFAULT = ("clef.table7_ablation", "CLEF PA,PI,I,N,D", "RAF-DB")

__all__ = [
    "DEFAULT",
    "Kind",
    "Prediction",
    "Reader",
    "code_of",
    "labels_of",
    "of_picture",
    "placement",
    "predict",
    "read_picture",
    "readers",
    "run_in",
    "run_of_table",
    "run_with_key",
]
