"""A world: the truth about every picture of a twin, and the pictures on request."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from fbu.data.faces import AUS, COLS, OCCLUDERS, POSE, RGB, STATE, Scene, render_scene
from fbu.data.worlds.population import Population

_RENDER_ROWS = 512
INTENSITY = [f"AU{number}_intensity" for number in AUS]
#: FACS intensity from which a unit counts as present ("B or above").
PRESENT = 2.0


@dataclass(frozen=True)
class World:
    """A drawn population.

    Attributes:
        name: data set that it imitates.
        size: ``"quick"``, ``"demo"`` or ``"full"``.
        seed: another seed has other people.
        population: the parameters that it was drawn from.
        records: one row per picture. ``sample``, ``split`` (empty where subjects are split later),
            ``subject``, ``expression`` (what the face shows), ``label`` (what the annotator wrote: differs by
            the label errors), ``activity``, ``frame``, ``AU1_intensity`` ... (0-5), and the columns of
            `attributes`.
        scenes: all scenes, one per record.
    """

    name: str
    size: str
    seed: int
    population: Population
    records: pd.DataFrame
    scenes: Scene

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.records)

    def scene(self, rows: np.ndarray) -> Scene:
        """The scenes of some records (positions, in any order)."""
        at = torch.as_tensor(np.ascontiguousarray(rows), dtype=torch.int64)
        picked = self.scenes.map(lambda x: x[at])
        picked.labels = None
        return picked

    def render(self, rows: np.ndarray, image_size: int) -> np.ndarray:
        """Pictures of some records: uint8 ``[n, 3, S, S]``, the same whatever the other rows are."""
        rows = np.asarray(rows)
        out = np.empty((len(rows), 3, image_size, image_size), np.uint8)
        for start in range(0, len(rows), _RENDER_ROWS):
            part = slice(start, start + _RENDER_ROWS)
            pictures = render_scene(self.scene(rows[part]), image_size)
            out[part] = np.asarray(pictures)
        return out

    def masks(self, rows: np.ndarray, image_size: int) -> np.ndarray:
        """Mean absolute change that each unit makes: float32 ``[n, 17, S, S]``, in the order of ``AUS``."""
        _, masks = render_scene(self.scene(rows), image_size, masks=True)
        return masks.numpy()


def attributes(scene: Scene) -> pd.DataFrame:
    """What can be said about the people and pictures of a scene, apart from what they express.

    Returns:
        One row per picture: sex ("female", "male"), age (-1 young .. 1 old), skin (0 light .. 1 dark), glasses
        (bool), beard (0 none .. 1), style (index into ``faces.STYLES``), hair_red, hair_green, hair_blue
        (0..1), grey, lipstick, yaw, pitch (radians), occluder (of ``faces.OCCLUDERS``), blink (bool).
    """
    who = {name: scene.identity[:, i].cpu().numpy() for name, i in COLS.items()}
    hair = scene.identity[:, RGB["hair"] : RGB["hair"] + 3].cpu().numpy()
    state = scene.state.cpu().numpy()
    pose = scene.pose.cpu().numpy()
    return pd.DataFrame(
        {
            "sex": np.where(who["sex"] > 0, "female", "male"),
            "age": who["age"],
            "skin": who["melanin"],
            "glasses": who["glasses"] > 0,
            "beard": who["beard"],
            "style": who["style"].astype(int),
            "hair_red": hair[:, 0],
            "hair_green": hair[:, 1],
            "hair_blue": hair[:, 2],
            "grey": who["grey"],
            "lipstick": who["lipstick"],
            "yaw": pose[:, POSE.index("yaw")],
            "pitch": pose[:, POSE.index("pitch")],
            "occluder": np.take(OCCLUDERS, state[:, STATE.index("occluder")].astype(int)),
            "blink": state[:, STATE.index("blink")] > 0.5,
        }
    )


def intensities(scene: Scene) -> pd.DataFrame:
    """Action unit intensities of a scene, one column per unit: ``AU1_intensity`` ..."""
    return pd.DataFrame(scene.au.cpu().numpy(), columns=INTENSITY)
