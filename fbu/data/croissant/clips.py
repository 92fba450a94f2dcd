"""What the files of the sets of clips mean: frames, and the lists that clips are tested on."""

from __future__ import annotations

from fbu.data.croissant.nodes import Described, Node, classes, column, field, file_set, of_file, records
from fbu.data.layouts import dfew as dfew_layout
from fbu.data.layouts import ferv39k as ferv39k_layout
from fbu.data.manifest import Manifest

_OWN = "Every clip is its own person: nobody says who is seen."


def dfew(manifest: Manifest) -> Described:
    """Frame folders, and the five test lists."""
    folders = manifest.tree.folders
    lists = [f"{folders['test'][0]}/set_*.csv"]
    files = [
        file_set("lists", lists, "text/csv", "Clips that each fold tests on; it trains on the others."),
        file_set("frames", [f"{folders['clip_224x224'][0]}/*/*.jpg"], "image/jpeg", "Frames of faces."),
    ]
    name = column("lists", dfew_layout.HEADER.split(",")[0])
    rows = [
        field("samples", "sample", "Number of the clip; folders have five digits.", name),
        field("samples", "subject", _OWN, name),
        field("samples", "fold", "Number of the list.", of_file("lists", r"set_(\d)\.csv$")),
        field(
            "samples", "expression", "Label code, one of classes/code from 1 on.", column("lists", "label")
        ),
    ]
    return files, _tables(manifest, _frames(r".*?(\d+)/[^/]*\.jpg$"), rows)


def ferv39k(manifest: Manifest) -> Described:
    """Frame folders, and the lists of all scenes."""
    folders = manifest.tree.folders
    lists = [f"{folders['lists'][0]}/{ferv39k_layout.list_name(ferv39k_layout.ALL, '*')}"]
    files = [
        file_set("lists", lists, "text/plain", "A line a clip: path and word, a blank between."),
        file_set("frames", [f"{folders['clips'][0]}/*/*/*/*.jpg"], "image/jpeg", "Frames of faces."),
    ]
    name = of_file("lists", r"(\S+)\s", "lines")
    rows = [
        field("samples", "sample", "Scene, expression and number of the clip.", name),
        field("samples", "subject", _OWN, name),
        field("samples", "scene", "Scene.", of_file("lists", r"([^/]+)/", "lines")),
        field("samples", "part", "train or test.", of_file("lists", r"(train|test)_")),
        field("samples", "expression", "Word of the label.", of_file("lists", r"\S+\s+(\S+)", "lines")),
    ]
    return files, _tables(manifest, _frames(r".*?([^/]+/[^/]+/\d+)/[^/]*\.jpg$"), rows)


def mafw(manifest: Manifest) -> Described:
    """Videos, the same clips as frame folders, and the five test lists without descriptions."""
    folders = manifest.tree.folders
    lists = f"{folders['lists'][0]}/single/no_caption/set_*/test.txt"
    files = [
        file_set("lists", [lists], "text/plain", "Clips that each fold tests on; it trains on the others."),
        file_set("videos", [f"{folders['clips'][0]}/*.mp4"], "video/mp4", "Clips."),
        # Rows are made of the frames, since mlcroissant reads no videos.
        file_set("frames", [f"{folders['frames'][0]}/*/*.png"], "image/png", "Frames of the same clips."),
    ]
    name = of_file("lists", r"(\d+)\.mp4", "lines")
    rows = [
        field("samples", "sample", "Number of the clip.", name),
        field("samples", "subject", _OWN, name),
        field("samples", "fold", "Number of the list.", of_file("lists", r".*set_(\d)/", "fullpath")),
        field("samples", "expression", "Word of the label.", of_file("lists", r"\S+\s+(\S+)", "lines")),
    ]
    return files, _tables(manifest, _frames(r".*?(\d+)/[^/]*\.png$"), rows)


def _frames(place: str) -> list[Node]:
    """Frames with the clip that each belongs to, which a pattern finds in its path."""
    return [
        field("files", "sample", "Clip.", of_file("frames", place, "fullpath")),
        field("files", "path", "Path of the frame.", of_file("frames", prop="fullpath")),
    ]


def _tables(manifest: Manifest, files: list[Node], samples: list[Node]) -> list[Node]:
    return [
        classes(manifest),
        records("files", files, ["path"]),
        records("samples", samples, ["sample"]),
    ]
