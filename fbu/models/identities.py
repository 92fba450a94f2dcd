"""A stand-in for weights from MS-Celeb-1M: a face encoder trained to tell drawn people apart.

The head is a softmax over cosines, as in the losses of face recognition (without their margins), so that what counts in
a feature is its direction.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from fbu.data.people import People, known_people, people
from fbu.data.transforms import Augment
from fbu.errors import DataError
from fbu.models.face_encoders import FaceEncoder, face_encoder, start_face_encoder
from fbu.models.pictures import Pictures
from fbu.recipes import Recipe
from fbu.training import Options, Outcome, Task, draw


class Identities(Options):
    """How people are told apart."""

    scale: float = Field(16.0, gt=0, description="what the cosines are multiplied by before the softmax")


class PersonClassifier(nn.Module):
    """A face encoder, and a direction for each person."""

    def __init__(self, encoder: FaceEncoder, persons: int, scale: float) -> None:
        super().__init__()
        self.encoder, self.scale = encoder, scale
        self.head = nn.Linear(encoder.width, persons, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """(n, persons) logits of normalised pictures (n, 3, S, S): scaled cosines."""
        z = F.normalize(self.encoder(images), dim=-1)
        return self.scale * z @ F.normalize(self.head.weight, dim=-1).T


class ClassifyTask(Task):
    """Who is in a picture; the weights of the encoder are stored under ``encoder.``.

    Evaluation gives, each on one half for ``"val"`` and on the other for ``"test"``:

    * ``accuracy``: share of held-out pictures of the trained people that are given the right name; ``chance``.
    * ``verification_accuracy``: share of pairs of strangers' pictures that are rightly called the same or two people,
      with the threshold that is best on the other half's strangers; chance is 0.5. Half of the pairs are the same.
    * ``verification_auc``: chance that a pair of one person is more alike than a pair of two.
    * ``score``: ``accuracy``.
    """

    options_type: ClassVar[type[Options]] = Identities

    def __init__(self, recipe: Recipe, device: torch.device, start: Path | None) -> None:
        super().__init__(recipe, device, start)
        encoder = face_encoder(recipe.encoder)
        if encoder.fixed_size and recipe.data.image_size != encoder.image_size:
            raise DataError(
                f"{encoder.name} takes pictures of {encoder.image_size} pixels, not {recipe.data.image_size}"
            )
        start_face_encoder(encoder, start)
        persons = known_people(recipe.data.size)
        self.model: PersonClassifier = PersonClassifier(encoder, persons, self.options.scale).to(device)

    @cached_property
    def shown(self) -> People:
        """All pictures, drawn once."""
        spec = self.recipe.data
        return people(size=spec.size, image_size=spec.image_size, seed=spec.seed)

    @cached_property
    def person(self) -> Tensor:
        """Who is in each picture (N,), of all pictures."""
        return torch.from_numpy(self.shown.person)

    @cached_property
    def train_rows(self) -> Tensor:
        """Rows of the training pictures among all pictures."""
        return torch.from_numpy(self.shown.rows("train"))

    @cached_property
    def pictures(self) -> Pictures:
        """All pictures."""
        encoder = self.model.encoder
        return Pictures(self.shown.images, self.device, encoder.mean, encoder.std)

    def __len__(self) -> int:
        return len(self.train_rows)

    def loss(self, rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropy of the batch."""
        chosen = self.train_rows[rows]
        x = self.pictures.batch(chosen, self.recipe.augment, generator)
        return {"loss": F.cross_entropy(self.model(x), self.person[chosen].to(self.device))}

    def evaluate(self, split: str) -> Outcome:
        """See the class."""
        held = torch.from_numpy(self.shown.rows("held_out"))
        held = held[::2] if split == "val" else held[1::2]
        said = torch.cat([self.model(x).argmax(1).cpu() for x in self._batches(held)])
        right = float((said == self.person[held]).float().mean())
        strangers = torch.from_numpy(self.shown.rows("strangers"))
        even = self.person[strangers] % 2 == 0
        own, other = (strangers[even], strangers[~even])[:: 1 if split == "val" else -1]
        threshold = best_threshold(*self._pairs(other))
        alike, same = self._pairs(own)
        metrics = {
            "accuracy": right,
            "chance": 1 / self.shown.known,
            "verification_accuracy": float(((alike > threshold) == same).float().mean()),
            "verification_auc": auc(alike, same),
        }
        return Outcome({**metrics, "score": right})

    def _batches(self, rows: Tensor) -> Iterator[Tensor]:
        for chunk in rows.split(256):
            yield self.pictures.batch(chunk, Augment.none(), torch.Generator())

    def _pairs(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines (2n,) of n pairs of one person and n pairs of two, and which are which."""
        z = torch.cat([F.normalize(self.model.encoder(x), dim=-1).cpu().float() for x in self._batches(rows)])
        pictures = self.shown.pictures
        one, two = pairs(len(rows) // pictures, pictures, draw(self.recipe.data.seed, 4))
        alike = torch.cat([(z * z[one]).sum(1), (z * z[two]).sum(1)])
        return alike, torch.arange(len(alike)) < len(z)


def pairs(persons: int, pictures: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """For each picture, another one of the same person and one of another person, drawn evenly.

    Args:
        persons: number of people, 2 or more.
        pictures: of each person, 2 or more, in a row.
        generator: of the draws.

    Returns:
        Positions (persons * pictures,) of the partners.

    Raises:
        ValueError: a picture without a partner.

    Example:
        >>> pairs(2, 2, torch.Generator())[0]  # persons 0, 0, 1, 1
        tensor([1, 0, 3, 2])
    """
    if persons < 2 or pictures < 2:
        raise ValueError(f"pairs need 2 people with 2 pictures, not {persons} with {pictures}")
    n = persons * pictures
    who, which = torch.arange(n) // pictures, torch.arange(n) % pictures
    another = (which + torch.randint(1, pictures, (n,), generator=generator)) % pictures
    stranger = (who + torch.randint(1, persons, (n,), generator=generator)) % persons
    any_picture = torch.randint(pictures, (n,), generator=generator)
    return who * pictures + another, stranger * pictures + any_picture


def best_threshold(alike: Tensor, same: Tensor) -> float:
    """The threshold that calls most pairs rightly: above it the same person, up to it two.

    Args:
        alike: (n,) cosines.
        same: (n,) whether it is one person.
    """
    order = alike.argsort()
    rising, truth = alike[order], same[order].long()
    # After the first k in order are called "two": those that are, and the "same" among the rest.
    right = (1 - truth).cumsum(0) + truth.sum() - truth.cumsum(0)
    k = int(right.argmax())
    if int(truth.sum()) > int(right[k]):
        return float(rising[0]) - 1
    return float(rising[k : k + 2].mean())


def auc(alike: Tensor, same: Tensor) -> float:
    """Chance that a pair of one person has a larger cosine than a pair of two; ties count half."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(same.numpy(), alike.numpy()))


TASKS: dict[str, type[Task]] = {"classify": ClassifyTask}
