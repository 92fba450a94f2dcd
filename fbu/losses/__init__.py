"""Losses as plain functions of tensors.

============================ ===================== ======================================================
function                     equation              what it asks for
============================ ===================== ======================================================
cross_modal_supcon           CLEF 1                samples of a class close, across two views or modalities
clef_pretraining             CLEF 2                that, for image-image and image-activity pairs
name_description_contrast    CLEF 3                each label description close to its own name
image_name_cross_entropy     CLEF 4                an image close to the name of its expression
image_name_bce               CLEF 5                an image close to the names of its action units
clef_finetuning              CLEF 6                the last two kinds together
============================ ===================== ======================================================

All take raw features and bring them to unit length, compute similarities and their log-sum-exp in float32
or wider even under autocast, take device and dtype from their input, and raise ``ValueError`` naming the
argument and the shapes received. Composite losses return ``(total, named terms)``.
"""

from fbu.losses.clef import (
    clef_finetuning,
    clef_pretraining,
    image_name_bce,
    image_name_cross_entropy,
    name_description_contrast,
)
from fbu.losses.contrastive import cross_modal_supcon

__all__ = [
    "clef_finetuning",
    "clef_pretraining",
    "cross_modal_supcon",
    "image_name_bce",
    "image_name_cross_entropy",
    "name_description_contrast",
]
