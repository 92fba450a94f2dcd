"""What the files of the sets with action units mean."""

from __future__ import annotations

from collections.abc import Mapping

from fbu.data.croissant.nodes import INTEGER, Described, Node, column, field, file_set, of_file, records
from fbu.data.layouts import bp4d_twin, bp4dplus, disfa_twin
from fbu.data.layouts.twin_sequences import OCCURRENCE
from fbu.data.manifest import Manifest

_KEY = ("subject", "activity", "frame")


def bp4d(manifest: Manifest) -> Described:
    """Frames, and occurrence files whose columns are called as units."""
    return _tasks(manifest, bp4d_twin.IMAGES, "0", {unit: str(unit) for unit in manifest.aus})


def bp4d_plus(manifest: Manifest) -> Described:
    """As BP4D; frame number and AU1 have the same name, and tables call the second one "1.1"."""
    units = {unit: "1.1" if unit == 1 else str(unit) for unit in manifest.aus}
    return _tasks(manifest, bp4dplus.IMAGES, "1", units)


def gft(manifest: Manifest) -> Described:
    """Frames, one file of units a participant under the names that the reader takes, and the list of parts."""
    options = manifest.options
    files = [
        file_set(
            "annotations",
            [f"{options['annotations']}/*.csv"],
            "text/csv",
            "One file a participant, under names that are not the owner's; what is neither 0 nor 1 is not coded.",
        ),
        file_set("split", [str(options["split"])], "text/csv", "Participants for training and test."),
        file_set("pictures", ["images/*/*.jpg"], "image/jpeg", "Frames."),
    ]
    person = r".*?(\d{3}[A-Z])/\d+\.jpg$"
    seen = [
        field(
            "frames",
            "sample",
            "Participant and number.",
            of_file("pictures", r".*?(\d{3}[A-Z]/\d+)\.jpg$", "fullpath"),
        ),
        field("frames", "path", "Path of the frame.", of_file("pictures", prop="fullpath")),
        field("frames", "subject", "Participant.", of_file("pictures", person, "fullpath")),
        field("frames", "frame", "Number.", of_file("pictures", r".*/0*(\d+)\.jpg$", "fullpath"), INTEGER),
    ]
    coded = [
        field("labels", "subject", "Participant.", of_file("annotations", r"(\d{3}[A-Z])")),
        field("labels", "frame", "Number.", column("annotations", str(options["frame_column"])), INTEGER),
        *_units(manifest, "annotations", {unit: f"AU{unit}" for unit in manifest.aus}),
    ]
    parts = [
        field("participants", "subject", "Participant.", column("split", "subject")),
        field("participants", "part", "train or test.", column("split", "split")),
    ]
    key = ("subject", "frame")
    return files, [
        records("frames", seen, key),
        records("labels", coded, key),
        records("participants", parts, ["subject"]),
    ]


def disfa(manifest: Manifest) -> Described:
    """Videos of both cameras, and one file of intensities for each person and unit."""
    files = [
        file_set(view, [pattern.format("*")], "video/x-msvideo", f"Videos of the {view} camera.")
        for view, pattern in disfa_twin.VIDEOS.items()
    ]
    person = r".*?(SN\d{3})_"
    told = [
        field(
            "videos",
            "sample",
            "Person; frame n of the labels is the n-th of the video.",
            of_file("left", person),
        ),
        field("videos", "path", "Path of the video.", of_file("left", prop="fullpath")),
        field("videos", "subject", "Person.", of_file("left", person)),
    ]
    tables = [records("videos", told, ["sample"])]
    for unit in manifest.intensity_aus:
        source, label = f"au{unit}", f"AU{unit}"
        pattern = f"{disfa_twin.LABELS}/*/*_au{unit}.txt"
        files.append(file_set(source, [pattern], "text/plain", f"Intensities of action unit {unit}."))
        lines = "Whole file: a line 'frame,intensity' for each frame, from 1; intensity 0-5, on from 2."
        # Not line by line: mlcroissant 1.1 takes lines with commas for tables.
        coded = [
            field(label, "subject", "Person.", of_file(source, person)),
            field(label, label, lines, of_file(source, prop="content")),
        ]
        tables.append(records(label, coded, ["subject"]))
    return files, tables


def _tasks(manifest: Manifest, images: str, frame: str, units: Mapping[int, str]) -> Described:
    """Frames by subject and task, and one occurrence file a sequence.

    Args:
        manifest: of the dataset.
        images: folder of the frames.
        frame: column of the frame number.
        units: column of each unit.
    """
    occurrence = [f"{OCCURRENCE}/*.csv"]
    files = [
        file_set("occurrence", occurrence, "text/csv", "One file a sequence; 9 is not coded."),
        file_set("pictures", [f"{images}/*/*/*.jpg"], "image/jpeg", "Frames; zero padding differs."),
    ]
    place = r".*?([FM]\d{3}/T\d+/\d+)\.jpg$"
    seen = [
        field("frames", "sample", "Subject, task and number.", of_file("pictures", place, "fullpath")),
        field("frames", "path", "Path of the frame.", of_file("pictures", prop="fullpath")),
        field("frames", "subject", "Person.", of_file("pictures", r".*?([FM]\d{3})/T\d+/", "fullpath")),
        field("frames", "activity", "Task.", of_file("pictures", r".*?/(T\d+)/", "fullpath")),
        field("frames", "frame", "Number.", of_file("pictures", r".*/0*(\d+)\.jpg$", "fullpath"), INTEGER),
    ]
    coded = [
        field("labels", "subject", "Person.", of_file("occurrence", r"([FM]\d{3})_")),
        field("labels", "activity", "Task.", of_file("occurrence", r".*_(T\d+)\.csv$")),
        field("labels", "frame", "Number.", column("occurrence", frame), INTEGER),
        *_units(manifest, "occurrence", units),
    ]
    return files, [records("frames", seen, _KEY), records("labels", coded, _KEY)]


def _units(manifest: Manifest, files: str, columns: Mapping[int, str]) -> list[Node]:
    """A field for each action unit."""
    return [
        field(
            "labels",
            label,
            f"Action unit {unit}: 0 absent, 1 present, 9 not coded.",
            column(files, columns[unit]),
            INTEGER,
        )
        for unit, label in zip(manifest.aus, manifest.labels, strict=True)
    ]
