"""Losses as plain functions of tensors.

============================= ===================== ======================================================
function                      equation              what it asks for
============================= ===================== ======================================================
cross_modal_supcon            CLEF 1                samples of a class close, across two views or modalities
clef_pretraining              CLEF 2                that, for image-image and image-activity pairs
name_description_contrast     CLEF 3                each label description close to its own name
image_name_cross_entropy      CLEF 4                an image close to the name of its expression
image_name_bce                CLEF 5                an image close to the names of its action units
clef_finetuning               CLEF 6                the last two kinds together
text_similarity_cross_entropy KE-FER 5              a picture close to the text of its expression
neutral_transformation        KE-FER 9              from expression to neutral, pictures going the way of their texts
self_contrast                 KE-FER 10             each text closer to its picture than to that one's neutral feature
text_expression_contrast      KE-FER Fig. 4         the same against a whole batch, as baseline
knowledge_enhanced            KE-FER 11             similarity, transformation and contrast together
emotion_classification        EmoCo 2               a query close to the prototype of its emotion
intra_class_normalize         EmoCo 4               (no loss) the direction of a feature as seen from a prototype
emotion_aware_contrast        EmoCo 5               a query closer to its key than to earlier keys of its emotion
emoco_pretraining             EmoCo 1               classification and contrast together
snippet_scores                DK-CLIP 9             (no loss) how much each snippet of a clip is like the whole
fuse_snippets                 DK-CLIP 9, 10         (no loss) one prediction from the snippets that are not noise
consistency_terms             DK-CLIP 11            the three terms of the next one by name
class_aware_consistency       DK-CLIP 11            clips and snippets classified, and both predictions alike
============================= ===================== ======================================================

All take raw features and bring them to unit length, but EmoCo's equations 4 and 5, which take unit features; all
compute similarities and their log-sum-exp in float32 or wider even under autocast, take device and dtype from their
input, and raise ``ValueError`` naming the argument and the shapes received. Composite losses return ``(total, named
terms)``.
"""

from fbu.losses.clef import (
    clef_finetuning,
    clef_pretraining,
    image_name_bce,
    image_name_cross_entropy,
    name_description_contrast,
)
from fbu.losses.contrastive import cross_modal_supcon
from fbu.losses.dk_clip import (
    class_aware_consistency,
    consistency_terms,
    fuse_snippets,
    snippet_scores,
)
from fbu.losses.emoco import (
    emoco_pretraining,
    emotion_aware_contrast,
    emotion_classification,
    intra_class_normalize,
)
from fbu.losses.ke_fer import (
    knowledge_enhanced,
    neutral_transformation,
    self_contrast,
    text_expression_contrast,
    text_similarity_cross_entropy,
)

__all__ = [
    "class_aware_consistency",
    "clef_finetuning",
    "clef_pretraining",
    "consistency_terms",
    "cross_modal_supcon",
    "emoco_pretraining",
    "emotion_aware_contrast",
    "emotion_classification",
    "fuse_snippets",
    "image_name_bce",
    "image_name_cross_entropy",
    "intra_class_normalize",
    "knowledge_enhanced",
    "name_description_contrast",
    "neutral_transformation",
    "self_contrast",
    "snippet_scores",
    "text_expression_contrast",
    "text_similarity_cross_entropy",
]
