"""Synthetic faces driven by action units.

people = Identity.sample(8)                                    # [8, WIDTH]
pictures, masks = render(people, au, return_masks=True)        # au [8, 17] in 0..5, in the order of AUS
scene = Scene.sample(seed=0, index=torch.arange(100))          # all random, with scene.labels
pictures = render_scene(scene, 64)                             # uint8 [100, 3, 64, 64]
"""

from fbu.data.faces.identity import COLS, GAIN, RGB, STYLES, TRAITS, Identity
from fbu.data.faces.randomness import normal, uniform
from fbu.data.faces.regions import REGIONS, region_masks
from fbu.data.faces.rendering import change_masks, render, render_scene
from fbu.data.faces.scene import LIGHT, OCCLUDERS, POSE, STATE, Scene
from fbu.data.faces.units import ACTIVITIES, AUS, COLUMN, PROTOTYPES, VARIANTS, au_vector

__all__ = [
    "ACTIVITIES", "AUS", "COLS", "COLUMN", "GAIN", "LIGHT", "OCCLUDERS", "POSE", "PROTOTYPES", "REGIONS", "RGB",
    "STATE", "STYLES", "TRAITS", "VARIANTS", "Identity", "Scene", "au_vector", "change_masks", "normal",
    "region_masks", "render", "render_scene", "uniform",
]  # fmt: skip
