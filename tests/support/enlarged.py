"""Pictures of the paper's size without drawing them at that size: what a step of a large encoder needs, in no time."""

from dataclasses import replace

import numpy as np

from fbu.data.specs import load_spec


def enlarged(spec, split):
    """A split as ``load_spec`` gives it, its pictures drawn with 64 pixels and repeated up to the size asked for."""
    small = load_spec(spec.model_copy(update={"image_size": 64}), split)
    at = np.arange(spec.image_size) * 64 // spec.image_size
    return replace(small, images=np.asarray(small.images)[:, :, at][..., at])
