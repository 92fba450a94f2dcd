"""Draw the twin, look at it, train on it."""

from fbu import data
from fbu.recipes import DataSpec, OptimSpec, Recipe
from fbu.runs import run

print(data.load("polaroids", "train").describe())

recipe = Recipe(
    task="clef.finetune",
    data=DataSpec(name="polaroids"),
    options={"use": "IN"},
    optim=OptimSpec(images=320, batch_size=16),
)
done = run(recipe, device="cpu")
accuracy = 100 * done.metrics["test"]["mean_class_accuracy"]
print(f"mean-class accuracy {accuracy:.1f} on {len(done.predictions)} pictures")
