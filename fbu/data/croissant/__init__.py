"""Manifests as MLCommons Croissant 1.0 (JSON-LD), for data catalogues and their loaders.

What a catalogue needs to know of the files (which column means what) is written down in `lists`, `frames` and
`clips` for each dataset; titles, terms, counts and label codes come from the manifest. Nothing is read from a copy
of the data.

The files on disk and the labelled rows are two record sets with the same ``sample`` (for frames: subject, task and
number). They refer to each other by these values only: a declared reference makes mlcroissant 1.1 join them, and its
join goes neither with a pattern on the joined column nor with a table in a file set.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from fbu.data.croissant import clips, frames, lists
from fbu.data.croissant.nodes import Described, Node
from fbu.data.fetching import ADDRESSES
from fbu.data.manifest import Manifest, load_manifest

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
_SPDX = {"Apache-2.0": "https://spdx.org/licenses/Apache-2.0.html"}
#: The context that the specification asks for.
_CONTEXT: Node = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
} | {
    term: f"cr:{term}"
    for term in (
        "citeAs column equivalentProperty extract field fileObject fileProperty fileSet format includes "
        "isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace "
        "samplingRate separator source subField transform"
    ).split()
}


def croissant(name: str) -> Node:
    """A dataset's manifest as a Croissant document.

    Raises:
        DataError: unknown dataset.

    Example:
        >>> found = croissant("rafdb")
        >>> found["conformsTo"], [field["name"] for field in found["recordSet"][-1]["field"]]
        ('http://mlcommons.org/croissant/1.0', ['sample', 'subject', 'part', 'expression'])
    """
    manifest = load_manifest(name)
    distribution, records = _FILES.get(name, lists.unknown)(manifest)
    document: Node = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": manifest.name,
        "alternateName": manifest.title,
        "description": _description(manifest),
        "version": f"{manifest.version}.0.0",
        "license": next((url for key, url in _SPDX.items() if key in manifest.licence), manifest.licence),
        "usageInfo": manifest.licence,
        "conditionsOfAccess": manifest.obtain,
        "isAccessibleForFree": manifest.open,
        "keywords": ["faces", "action units" if manifest.kind == "au" else "facial expressions"],
        "distribution": distribution,
        "recordSet": records,
    }
    if name in ADDRESSES:
        document["url"] = ADDRESSES[name].page
        # A repository may move on, so no checksum can be given.
        document["isLiveDataset"] = True
    return document


def to_json(name: str) -> str:
    """`croissant` as text."""
    return json.dumps(croissant(name), indent=2, ensure_ascii=False) + "\n"


def _description(manifest: Manifest) -> str:
    expected = manifest.expected
    counts = {"rows": expected.rows, "subjects": expected.subjects, "sequences": expected.sequences}
    told = ", ".join(f"{n:,} {what}" for what, n in counts.items() if n is not None)
    told += "".join(f"; {name} {n:,}" for name, n in {**expected.parts, **expected.classes}.items())
    split = f"Split: {manifest.splits.source}"
    return f"{manifest.title}. {told} ({expected.source}).\n{split}\nFiles:\n{manifest.tree.text.rstrip()}"


_FILES: dict[str, Callable[[Manifest], Described]] = {
    "affectnet": lists.affectnet,
    "bp4d": frames.bp4d,
    "bp4dplus": frames.bp4d_plus,
    "ckplus": lists.ckplus,
    "dfew": clips.dfew,
    "disfa": frames.disfa,
    "facial_expressions": lists.facial_expressions,
    "ferplus": lists.ferplus,
    "ferv39k": clips.ferv39k,
    "gft": frames.gft,
    "mafw": clips.mafw,
    "rafdb": lists.rafdb,
}
