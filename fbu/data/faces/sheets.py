"""Contact sheets of the renderer's pictures (Pillow only)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from fbu.data.faces.identity import GAIN, Identity
from fbu.data.faces.regions import region_masks
from fbu.data.faces.rendering import change_masks, render_scene
from fbu.data.faces.scene import POSE, Scene
from fbu.data.faces.units import AUS, COLUMN, PROTOTYPES, au_vector

PEOPLE = (0, 10, 17, 20, 21, 28, 50, 19)


def sheet(
    rows: Sequence[Sequence[Tensor] | Tensor], labels: Sequence[Sequence[str]] | None = None
) -> Image.Image:
    """Paste pictures (uint8 [3, S, S]) in rows, each with a small label in its corner."""
    height, width = rows[0][0].shape[-2:]
    page = Image.new("RGB", (width * max(len(row) for row in rows), height * len(rows)), "white")
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            tile = Image.fromarray(picture.cpu().permute(1, 2, 0).contiguous().numpy())
            if labels and c < len(labels[r]) and labels[r][c]:
                ImageDraw.Draw(tile).text((3, 2), labels[r][c], fill=(255, 255, 90))
            page.paste(tile, (c * width, r * height))
    return page


def heat(mask: Tensor, scale: float = 4.0) -> Tensor:
    """A mask [B, S, S] as pictures from black over red and yellow to white."""
    x = (mask * scale).clamp(0, 1)
    return (torch.stack([x * 1.6, x**1.5 * 1.2, x**3], 1).clamp(0, 1) * 255).to(torch.uint8)


def expression_sheet(people: Sequence[int] = PEOPLE, size: int = 160) -> Image.Image:
    """One row per expression, one column per person; contempt is on the right side."""
    persons = Identity.sample(torch.tensor(list(people)))
    rows, labels = [], []
    for name, units in PROTOTYPES.items():
        asym = torch.zeros(len(persons), len(AUS))
        asym[:, COLUMN[14]] = float(name == "contempt")
        au = torch.tensor(au_vector(units)).expand(len(persons), -1)
        rows.append(render_scene(Scene.plain(persons, au, asym), size))
        labels.append([name])
    return sheet(rows, labels)


def unit_sheet(person: int = 27, size: int = 160, columns: int = 6, *, regions: bool = False) -> Image.Image:
    """Every action unit alone at full strength, beside where it changes the picture (or its region)."""
    one = Identity.sample(torch.tensor([person])).repeat(len(AUS) + 1, 1)
    one[:, GAIN:] = 1
    scene = Scene.plain(one, torch.cat([torch.zeros(1, len(AUS)), 5 * torch.eye(len(AUS))]))
    maps = region_masks(scene, size).amax(1) * 0.25 if regions else change_masks(scene, size).sum(1)
    pictures, maps = render_scene(scene, size), heat(maps)
    cells = [x for pair in zip(pictures, maps, strict=True) for x in pair]
    names = [x for name in ("neutral", *(f"AU{a}" for a in AUS)) for x in (name, "")]
    step = 2 * columns
    starts = range(0, len(cells), step)
    return sheet([cells[k : k + step] for k in starts], [names[k : k + step] for k in starts])


def turn_sheet(
    people: Sequence[int] = (39, 10, 17, 28), degrees: Sequence[int] = range(-40, 41, 10), size: int = 160
) -> Image.Image:
    """Heads turned by `degrees`, one row per person; they smile on every second row."""
    rows = []
    for k, person in enumerate(people):
        one = Identity.sample(torch.tensor([person])).repeat(len(degrees), 1)
        au = torch.tensor(au_vector(PROTOTYPES["happiness"] if k % 2 else {})).expand(len(degrees), -1)
        pose = torch.zeros(len(degrees), len(POSE))
        pose[:, 0], pose[:, 5] = torch.tensor(list(degrees)) * (math.pi / 180), 1
        rows.append(render_scene(Scene.plain(one, au, pose=pose), size))
    return sheet(rows, [[str(d) for d in degrees]] + [[]] * (len(rows) - 1))


def random_sheet(seed: int = 1, rows: int = 8, columns: int = 20, size: int = 64) -> Image.Image:
    """Random scenes with all nuisances."""
    pictures = render_scene(Scene.sample(seed, torch.arange(rows * columns)), size)
    return sheet(list(pictures.unflatten(0, (rows, columns))))
