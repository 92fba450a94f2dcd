"""Manifests as MLCommons Croissant 1.0 (JSON-LD), for data catalogues and their loaders.

What a catalogue needs to know of the files (which column means what) is written down here for each dataset;
titles, terms, counts and label codes come from the manifest. Nothing is read from a copy of the data.

The files on disk and the labelled rows are two record sets with the same ``sample`` (for frames: subject, task and
number). They refer to each other by these values only: a declared reference makes mlcroissant 1.1 join them, and its
join goes neither with a pattern on the joined column nor with a table in a file set.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from fbu.data.fetching import ADDRESSES
from fbu.data.layouts.bp4d_twin import IMAGES
from fbu.data.layouts.facial_expressions import LEGEND
from fbu.data.layouts.rafdb import LIST
from fbu.data.manifest import Manifest, load_manifest

Node = dict[str, Any]

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
    distribution, records = _FILES.get(name, _unknown)(manifest)
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


def _rafdb(manifest: Manifest) -> tuple[list[Node], list[Node]]:
    listing = f"basic/{LIST}"
    files = [
        _file_set("list", [listing], "text/plain", "One line a picture: name and label code."),
        _file_set("pictures", ["basic/Image/aligned/*.jpg"], "image/jpeg", "Aligned pictures."),
    ]
    named = [
        _field("files", "sample", "Name without _aligned.jpg.", _of_file("pictures", r"(.+)_aligned\.jpg$")),
        _field("files", "path", "Path of the picture.", _of_file("pictures", prop="fullpath")),
    ]
    line = [
        _field("samples", "sample", "Name of the picture.", _of_file("list", r"(\S+)\.jpg", "lines")),
        _field(
            "samples",
            "subject",
            "Every picture is its own person.",
            _of_file("list", r"(\S+)\.jpg", "lines"),
        ),
        _field("samples", "part", "train or test.", _of_file("list", r"(train|test)", "lines")),
        _field(
            "samples",
            "expression",
            "Label code, one of classes/code.",
            _of_file("list", r"\S+\s+(\d+)", "lines"),
        ),
    ]
    return files, [
        _classes(manifest),
        _records("files", named, ["sample"]),
        _records("samples", line, ["sample"]),
    ]


def _facial_expressions(manifest: Manifest) -> tuple[list[Node], list[Node]]:
    address = ADDRESSES[manifest.name]
    # The repository and not its archive: mlcroissant reads tables from a clone, and from a zip file only under
    # their full name, which holds the whole commit.
    repository: Node = {
        "@type": "cr:FileObject",
        "@id": "repository",
        "name": "repository",
        "description": f"The public repository; the counts are of commit {address.commit}.",
        "contentUrl": address.page,
        "encodingFormat": "git+https",
    }
    within = {"containedIn": {"@id": "repository"}}
    files = [
        repository,
        _file_set("legend", [LEGEND], "text/csv", "One row a label.") | within,
        _file_set("pictures", ["images/*.jpg"], "image/jpeg", "Photographs.") | within,
    ]
    named = [
        _field("files", "sample", "File name.", _of_file("pictures")),
        _field("files", "path", "Path of the picture.", _of_file("pictures", prop="fullpath")),
    ]
    person = r"(.+?)(?:[_-]?\d+[a-z]?)?\.jpg$"
    row = [
        _field("samples", "sample", "File name of the picture.", _column("legend", "image")),
        _field("samples", "subject", "File name without its number.", _column("legend", "image", person)),
        _field(
            "samples",
            "expression",
            "Label in mixed case; to be read in small letters.",
            _column("legend", "emotion"),
        ),
        _field("samples", "annotator", "Who gave the label.", _column("legend", "user.id")),
    ]
    return files, [_classes(manifest), _records("files", named, ["sample"]), _records("samples", row)]


def _bp4d(manifest: Manifest) -> tuple[list[Node], list[Node]]:
    files = [
        _file_set(
            "occurrence", ["AUCoding/AU_OCC/*.csv"], "text/csv", "One file a sequence; 9 is not coded."
        ),
        _file_set("pictures", [f"{IMAGES}/*/*/*.jpg"], "image/jpeg", "Frames; zero padding differs."),
    ]
    place = r".*?([FM]\d{3}/T\d+/\d+)\.jpg$"
    frames = [
        _field("frames", "sample", "Subject, task and number.", _of_file("pictures", place, "fullpath")),
        _field("frames", "path", "Path of the frame.", _of_file("pictures", prop="fullpath")),
        _field("frames", "subject", "Person.", _of_file("pictures", r".*?([FM]\d{3})/T\d+/", "fullpath")),
        _field("frames", "activity", "Task.", _of_file("pictures", r".*?/(T\d+)/", "fullpath")),
        _field(
            "frames", "frame", "Number.", _of_file("pictures", r".*/0*(\d+)\.jpg$", "fullpath"), "sc:Integer"
        ),
    ]
    labels = [
        _field("labels", "subject", "Person.", _of_file("occurrence", r"([FM]\d{3})_")),
        _field("labels", "activity", "Task.", _of_file("occurrence", r".*_(T\d+)\.csv$")),
        _field("labels", "frame", "Number.", _column("occurrence", "0"), "sc:Integer"),
    ]
    for unit, label in zip(manifest.aus, manifest.labels, strict=True):
        told = f"Action unit {unit}: 0 absent, 1 present, 9 not coded."
        labels.append(_field("labels", label, told, _column("occurrence", str(unit)), "sc:Integer"))
    records = [_records("frames", frames, ["subject", "activity", "frame"])]
    return files, [*records, _records("labels", labels, ["subject", "activity", "frame"])]


def _unknown(manifest: Manifest) -> tuple[list[Node], list[Node]]:
    """Pictures by name, where nobody wrote down more."""
    folders = manifest.tree.folders.get("images", (".",))
    includes = [f"{folder}/**/*.jpg" for folder in folders]
    files = [_file_set("pictures", includes, "image/jpeg", "Pictures.")]
    fields = [
        _field("samples", "sample", "File name.", _of_file("pictures")),
        _field("samples", "path", "Path of the picture.", _of_file("pictures", prop="fullpath")),
    ]
    return files, [_records("samples", fields)]


_FILES: dict[str, Callable[[Manifest], tuple[list[Node], list[Node]]]] = {
    "bp4d": _bp4d,
    "facial_expressions": _facial_expressions,
    "rafdb": _rafdb,
}


def _file_set(name: str, includes: Sequence[str], encoding: str, description: str) -> Node:
    node: Node = {"@type": "cr:FileSet", "@id": name, "name": name, "description": description}
    return node | {"encodingFormat": encoding, "includes": list(includes)}


def _records(name: str, fields: Sequence[Node], key: Sequence[str] = ()) -> Node:
    node: Node = {"@type": "cr:RecordSet", "@id": name, "name": name}
    if key:
        node["key"] = [{"@id": f"{name}/{column}"} for column in key]
    return node | {"field": list(fields)}


def _field(records: str, name: str, description: str, source: Node, kind: str = "sc:Text") -> Node:
    node: Node = {"@type": "cr:Field", "@id": f"{records}/{name}", "name": name, "description": description}
    return node | {"dataType": kind, "source": source}


def _column(files: str, column: str, regex: str | None = None) -> Node:
    return _source(files, {"column": column}, regex)


def _of_file(files: str, regex: str | None = None, prop: str = "filename") -> Node:
    return _source(files, {"fileProperty": prop}, regex)


def _source(files: str, extract: Node, regex: str | None) -> Node:
    # The pattern is matched from the start of the text, and its first group is the value.
    source: Node = {"fileSet": {"@id": files}, "extract": extract}
    return source | ({"transform": {"regex": regex}} if regex else {})


def _classes(manifest: Manifest) -> Node:
    """Label codes as a table of their own."""
    fields: list[Node] = [
        {
            "@type": "cr:Field",
            "@id": f"classes/{name}",
            "name": name,
            "description": told,
            "dataType": "sc:Text",
        }
        for name, told in (("code", "Code in the file."), ("name", "Class that it means."))
    ]
    rows = [{"classes/code": c.code, "classes/name": c.name} for c in manifest.classes]
    node: Node = {"@type": "cr:RecordSet", "@id": "classes", "name": "classes", "dataType": "sc:Enumeration"}
    return node | {"key": [{"@id": "classes/code"}], "field": fields, "data": rows}
