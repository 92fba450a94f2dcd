"""One page per dataset: what is known about it, a sheet of its twin, and its labels beside the published ones."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd
from filelock import FileLock

from fbu import hardness, processes
from fbu.config import home
from fbu.data import layouts
from fbu.data.cache import new_folder
from fbu.data.manifest import Manifest, load_manifest, names
from fbu.data.twins import twin, twin_fingerprint
from fbu.resources import resource

#: Below the book's source folder.
FOLDER = "book/data"
_SIZE = "quick"
_REACHED = ("fbu.book.dataset_pages", "fbu.data.preview", "fbu.figures.sheets", "fbu.figures.style")
_LEVELS = {"hash": "people, by a stable hash of their name", "file": "people, by a published list"}
#: Words of a measure that are not written as they are.
_SPELT = {"f1": "F1", "uar": "UAR", "war": "WAR"}


def dataset_files(pages: Iterable[str], workers: int = 1) -> dict[Path, Path]:
    """Files of the dataset pages among ``pages``: place in the book's source -> where it was made.

    A page and its contact sheet are made once for a state of the code and kept in ``home()/pages``.

    Args:
        pages: names of pages, e.g. ``book/data/rafdb``; others are passed over.
        workers: pages made at a time.
    """
    wanted = [page.removeprefix(f"{FOLDER}/") for page in pages if page.startswith(f"{FOLDER}/")]
    wanted = [name for name in wanted if name in names()]
    # Drawing and reading hold the interpreter, so threads would not help; a process costs seconds to start.
    missing = [name for name in wanted if not _place(name).is_dir()]
    if workers > 1 and len(missing) > 1:
        with processes.pool(workers) as pool:
            list(pool.map(made, missing))
    return {Path(FOLDER) / path.name: path for name in wanted for path in sorted(made(name).iterdir())}


def made(name: str) -> Path:
    """Folder with the page of a dataset and its contact sheet, made if need be."""
    final = _place(name)
    final.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(final.with_name(f"{final.name}.lock")):
        if not final.is_dir():
            from fbu.data.preview import preview

            manifest, folder = load_manifest(name), twin(name, size=_SIZE)
            with new_folder(final) as draft:
                preview(manifest, folder, source="twin", rows=2).savefig(draft / f"{name}.png", dpi=110)
                (draft / f"{name}.md").write_text(page(manifest, folder), encoding="utf-8")
                os.replace(draft, final)
    return final


def _place(name: str) -> Path:
    return home() / "pages" / f"{name}-{_key(name)}"


def _key(name: str) -> str:
    from fbu.fingerprints import code_fingerprint

    known = (
        twin_fingerprint(name),
        code_fingerprint(_REACHED),
        resource(f"{name}.yml").read_text(encoding="utf-8"),
        hardness.read(name).to_csv(),
    )
    return hashlib.sha256("".join(known).encode()).hexdigest()[:16]


def page(manifest: Manifest, folder: Path) -> str:
    """Markdown of a dataset's page.

    Args:
        manifest: what is known.
        folder: its twin.
    """
    table = layouts.read(folder, manifest)
    return "\n".join(
        [
            f"# {manifest.title}",
            "",
            *_facts(manifest),
            "## Files",
            "",
            "```text",
            manifest.tree.text.rstrip(),
            "```",
            "",
            *_options(manifest),
            *_protocols(manifest),
            "## The twin",
            "",
            f"Drawn, in the same files: `fbu data twin {manifest.name} --root /tmp/try`.",
            "",
            f"![Contact sheet of the twin of {manifest.title}]({manifest.name}.png)",
            "",
            "It imitates",
            "",
            *(f"* {said}" for said in manifest.twin.imitates),
            "",
            "and lacks",
            "",
            *(f"* {said}" for said in manifest.twin.lacks),
            "",
            *_hardness(manifest.name),
            "## Labels",
            "",
            *_labels(manifest, table),
            *_attributes(table),
            "## Known from",
            "",
            *(f"* {source}" for source in manifest.sources),
            "",
        ]
    )


def _facts(manifest: Manifest) -> Iterator[str]:
    rule = manifest.splits
    folds = f"{len(rule.folds)} folds of " if rule.folds else "the owner's train and test"
    what = f"{len(manifest.classes)} expressions" if manifest.classes else f"{len(manifest.aus)} action units"
    facts = {
        "Holds": f"{layouts.media(manifest.name).name.partition('-')[0]}, {what}: {', '.join(manifest.labels)}",
        "Licence": manifest.licence,
        "Get it": manifest.obtain,
        "Split": f"{folds}{_LEVELS.get(rule.rule, 'the owner') if rule.folds else ''}. {rule.source}",
        "Score": _metric(manifest.metric),
        "Alignment": f"`{manifest.preset}`",
        "Check your copy": f"`fbu data check {manifest.name} --root FOLDER`",
    }
    yield from _table(["", ""], [[f"**{name}**", " ".join(said.split())] for name, said in facts.items()])


def _options(manifest: Manifest) -> Iterator[str]:
    if manifest.options:
        yield "Reader options and their defaults; a file `fbu.yml` beside the files of a copy sets others:"
        yield ""
        yield from _table(
            ["Option", "Default"],
            [[f"`{k}`", f"`{v}`" if v != "" else "nothing"] for k, v in manifest.options.items()],
        )


def _protocols(manifest: Manifest) -> Iterator[str]:
    yield from ("## Protocols", "")
    rows = []
    for name, protocol in manifest.protocols.items():
        other = [f"{k} = {v}" for k, v in protocol.options.items()]
        other += [f"preset {protocol.preset}"] if protocol.preset else []
        other += ["classes drawn equally often"] if protocol.sampling == "balanced" else []
        other += [{"none": "no validation part", "test": "validation is the test part"}[protocol.validation]] if (
            protocol.validation != "part_of_train"
        ) else []  # fmt: skip
        scored = ", ".join(_metric(metric) for metric in protocol.metrics)
        said = " ".join(protocol.description.split())
        rows.append([f"`{name}`", said, scored, ", ".join(other), protocol.source])
    yield from _table(["Name", "What is done", "Scores", "Differs in", "Source"], rows)


def _labels(manifest: Manifest, table: pd.DataFrame) -> Iterator[str]:
    expected, people = manifest.expected, f"{table['subject'].nunique():,}"
    published = f"{expected.subjects:,}" if expected.subjects is not None else "not published"
    rows = [
        ["rows", f"{expected.rows:,}" if expected.rows is not None else "not published", f"{len(table):,}"]
    ]
    rows.append(["people", published, people])
    if manifest.kind == "expression":
        total, counts = sum(expected.classes.values()), table["expression"].value_counts()
        for name in manifest.labels:
            n = expected.classes.get(name)
            real = f"{n:,} ({100 * n / total:.1f} %)" if n is not None else ""
            own = int(counts.get(name, 0))
            rows.append([name, real, f"{own:,} ({100 * own / len(table):.1f} %)"])
    else:
        for unit in manifest.aus:
            coded = table[f"AU{unit}"][table[f"AU{unit}"] >= 0]
            rate = expected.rates.get(unit)
            share = f"{100 * (coded == 1).mean():.0f} %" if len(coded) else "not coded"
            rows.append([f"AU{unit} is on", f"{rate:g} %" if rate is not None else "not published", share])
    yield from _table(["", "published", f"twin ({_SIZE})"], rows)
    yield from (f"Published numbers: {' '.join(expected.source.split())}.".replace("..", "."), "")


def _attributes(table: pd.DataFrame) -> Iterator[str]:
    """Who is drawn: of each person's first row."""
    if "true_sex" not in table:
        return
    first = table.drop_duplicates("subject")
    skin = pd.cut(first["true_skin"], [-1, 1 / 3, 2 / 3, 2], labels=["light", "medium", "dark"])
    shares = [f"{100 * (first['true_sex'] == 'female').mean():.0f} % women"]
    shares += [f"{100 * (skin == tone).mean():.0f} % {tone} skin" for tone in ("light", "medium", "dark")]
    shares += [f"{100 * (first['true_age'] > 0.3).mean():.0f} % older people"]
    covered = 100 * (table["true_occluder"] != "none").mean()
    yield f"Of the people drawn, {', '.join(shares)}; a hand, sunglasses or hair before {covered:.0f} % of the faces."
    yield ""


def _hardness(name: str) -> Iterator[str]:
    rows = hardness.read(name)
    if not len(rows):
        return
    yield from ("## How hard the twin is", "")
    yield "In points, on other people than those that a model is fitted on: an answer that ignores the picture (floor),"
    yield "a linear model on grey pixels, and a reader who sees what is shown and misses the wrong labels (oracle)."
    yield ""
    shown = [
        [
            _metric(row["measure"]),
            row["size"],
            *(_points(row[k]) for k in ("floor", "linear", "oracle")),
        ]
        for row in rows.to_dict("records")
    ]
    yield from _table(["Measure", "Size", "Floor", "Linear", "Oracle"], shown)
    for size, part in rows.groupby("size"):
        first = part.iloc[0]
        old = "; stale: the code that draws the twin has changed since" if part["stale"].any() else ""
        yield f"Reference, size {size}, commit {first['commit']}, {first['machine']}{old}."
    yield ""


def _points(value: float) -> str:
    return "" if value != value else f"{value:.1f}"


def _metric(name: str) -> str:
    return " ".join(_SPELT.get(word, word) for word in name.split("_"))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"
    yield ""
