"""Figures of the book in one style: readable at page width, safe for colour-blind readers.

Every function returns a figure and shows nothing. A figure is drawn through the object interface, so nothing
stays open in pyplot; a notebook displays it when it is the last expression of a cell.
"""

from fbu.figures.charts import bars, deviations, sweep
from fbu.figures.circle import circle
from fbu.figures.film import film
from fbu.figures.heatmaps import against_chance, heatmap_sheet, shaded_words
from fbu.figures.matrices import confusion, similarity_matrices, similarity_matrix
from fbu.figures.people import people_dots
from fbu.figures.sheets import contact_sheet
from fbu.figures.style import COLOURS, PAGE_WIDTH, PageFigure
from fbu.figures.tables import ablation_dots

__all__ = [
    "COLOURS",
    "PAGE_WIDTH",
    "PageFigure",
    "ablation_dots",
    "against_chance",
    "bars",
    "circle",
    "confusion",
    "contact_sheet",
    "deviations",
    "film",
    "heatmap_sheet",
    "people_dots",
    "shaded_words",
    "similarity_matrices",
    "similarity_matrix",
    "sweep",
]
