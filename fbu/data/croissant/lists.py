"""What the files of the expression sets mean, and pictures of which nobody wrote down more."""

from __future__ import annotations

from fbu.data.croissant.nodes import (
    INTEGER,
    Described,
    Node,
    classes,
    column,
    field,
    file_set,
    of_file,
    records,
)
from fbu.data.fetching import ADDRESSES
from fbu.data.layouts.affectnet import BOX, COLUMNS, LISTS
from fbu.data.layouts.ckplus import IMAGES
from fbu.data.layouts.facial_expressions import LEGEND
from fbu.data.layouts.rafdb import LIST
from fbu.data.manifest import Manifest


def rafdb(manifest: Manifest) -> Described:
    """Pictures, and a list line by line."""
    listing = f"basic/{LIST}"
    files = [
        file_set("list", [listing], "text/plain", "One line a picture: name and label code."),
        file_set("pictures", ["basic/Image/aligned/*.jpg"], "image/jpeg", "Aligned pictures."),
    ]
    named = [
        field("files", "sample", "Name without _aligned.jpg.", of_file("pictures", r"(.+)_aligned\.jpg$")),
        field("files", "path", "Path of the picture.", of_file("pictures", prop="fullpath")),
    ]
    line = [
        field("samples", "sample", "Name of the picture.", of_file("list", r"(\S+)\.jpg", "lines")),
        field(
            "samples",
            "subject",
            "Every picture is its own person.",
            of_file("list", r"(\S+)\.jpg", "lines"),
        ),
        field("samples", "part", "train or test.", of_file("list", r"(train|test)", "lines")),
        field(
            "samples",
            "expression",
            "Label code, one of classes/code.",
            of_file("list", r"\S+\s+(\d+)", "lines"),
        ),
    ]
    return files, [
        classes(manifest),
        records("files", named, ["sample"]),
        records("samples", line, ["sample"]),
    ]


def facial_expressions(manifest: Manifest) -> Described:
    """The public repository: pictures, and a legend with a row for each label."""
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
        file_set("legend", [LEGEND], "text/csv", "One row a label.") | within,
        file_set("pictures", ["images/*.jpg"], "image/jpeg", "Photographs.") | within,
    ]
    named = [
        field("files", "sample", "File name.", of_file("pictures")),
        field("files", "path", "Path of the picture.", of_file("pictures", prop="fullpath")),
    ]
    person = r"(.+?)(?:[_-]?\d+[a-z]?)?\.jpg$"
    row = [
        field("samples", "sample", "File name of the picture.", column("legend", "image")),
        field("samples", "subject", "File name without its number.", column("legend", "image", person)),
        field(
            "samples",
            "expression",
            "Label in mixed case; to be read in small letters.",
            column("legend", "emotion"),
        ),
        field("samples", "annotator", "Who gave the label.", column("legend", "user.id")),
    ]
    return files, [classes(manifest), records("files", named, ["sample"]), records("samples", row)]


def affectnet(manifest: Manifest) -> Described:
    """Both releases: the pictures of each, and the training list of the csv release."""
    lists = manifest.tree.folders["lists"][0]
    files = [
        file_set(
            "crops",
            ["train_set/images/*.jpg", "val_set/images/*.jpg"],
            "image/jpeg",
            "Face crops of the array release.",
        ),
        file_set(
            "codes",
            ["train_set/annotations/*_exp.npy", "val_set/annotations/*_exp.npy"],
            "application/octet-stream",
            "Label code of each crop, a NumPy array of one text or number.",
        ),
        file_set(
            "pictures",
            [f"{manifest.tree.folders['pictures'][0]}/*/*"],
            "image/jpeg",
            "Whole pictures of the csv release.",
        ),
        file_set("training", [f"{lists}/{LISTS['train']}"], "text/csv", "One row a training picture."),
        file_set(
            "validation",
            [f"{lists}/{LISTS['val']}"],
            "text/csv",
            f"One row a picture for testing; the header may be missing: {', '.join(COLUMNS)}.",
        ),
    ]
    place = r".*?((?:train|val)_set/images/\d+)\.jpg$"
    crops = [
        field("files", "sample", "Part and number of the crop.", of_file("crops", place, "fullpath")),
        field("files", "path", "Path of the crop.", of_file("crops", prop="fullpath")),
        field("files", "part", "train, or val: for testing.", of_file("crops", r"(train|val)_", "fullpath")),
    ]
    stem = r"(.+)\.[^.]+$"
    told = "Label code, one of classes/code, or 8 none, 9 uncertain, 10 no face."
    row = [
        field("samples", "sample", "Name of the whole picture.", column("training", COLUMNS[0], stem)),
        field("samples", "subject", "Every picture is its own person.", column("training", COLUMNS[0], stem)),
        # As text, because a picture without a face may have no box.
        *(field("samples", name, "Face box, in pixels.", column("training", name)) for name in BOX),
        field("samples", "expression", told, column("training", "expression"), INTEGER),
    ]
    return files, [classes(manifest), records("files", crops, ["sample"]), records("samples", row)]


def ckplus(manifest: Manifest) -> Described:
    """Frames, and the emotion files of last frames; frames are called as their files, ``S005_001_00000011``."""
    folders = manifest.tree.folders
    files = [
        file_set("pictures", [f"{IMAGES}/*/*/*.png"], "image/png", "Frames of posed sequences."),
        file_set(
            "emotions",
            [f"{folders['emotion'][0]}/*/*/*_emotion.txt"],
            "text/plain",
            "Label code of a last frame, as 3.0000000e+00.",
        ),
        file_set(
            "units",
            [f"{folders['facs'][0]}/*/*/*_facs.txt"],
            "text/plain",
            "Action units of a last frame, one a line: unit and intensity (0: present, strength not given).",
        ),
    ]
    who = r"(S\d{3})_"
    frames = [
        field("files", "sample", "Name of the frame.", of_file("pictures", r"(.+)\.png$")),
        field("files", "path", "Path of the frame.", of_file("pictures", prop="fullpath")),
        field("files", "subject", "Person.", of_file("pictures", who)),
    ]
    told = "Label code, one of classes/code; the first frame of a sequence is neutral."
    emotion = [
        field("samples", "sample", "Name of the frame.", of_file("emotions", r"(.+)_emotion\.txt$")),
        field("samples", "subject", "Person.", of_file("emotions", who)),
        field("samples", "expression", told, of_file("emotions", prop="lines"), INTEGER),
    ]
    return files, [
        classes(manifest),
        records("files", frames, ["sample"]),
        records("samples", emotion, ["sample"]),
    ]


def ferplus(manifest: Manifest) -> Described:
    """Pictures as numbers with FER2013's label, and the votes, row by row."""
    files = [
        file_set("fer2013", ["fer2013.csv"], "text/csv", "One row a picture: label, 48 x 48 numbers, part."),
        file_set(
            "votes",
            ["fer2013new.csv"],
            "text/csv",
            "Name and ten votes of each row of fer2013, in its order.",
        ),
        file_set(
            "votes_by_name",
            [f"{manifest.tree.folders[part][0]}/label.csv" for part in ("train", "val", "test")],
            "text/csv",
            "Votes once more, without a header: name, box, ten votes; they differ for some pictures.",
        ),
    ]
    told = "FER2013's own code: 0 angry, 1 disgust, 2 fear, 3 happy, 4 sad, 5 surprise, 6 neutral."
    row = [
        field("pictures", "path", "File of the pixels.", of_file("fer2013", prop="fullpath")),
        field("pictures", "pixels", "2,304 numbers from 0 to 255.", column("fer2013", "pixels")),
        field("pictures", "part", "Training, PublicTest, PrivateTest.", column("fer2013", "Usage")),
        field("pictures", "fer2013", told, column("fer2013", "emotion"), INTEGER),
    ]
    name = "Name of the picture; empty for some, and double for others."
    votes = [
        field("answers", "sample", name, column("votes", "Image name")),
        field("answers", "subject", "Every picture is its own person.", column("votes", "Image name")),
        field("answers", "part", "Training, PublicTest, PrivateTest.", column("votes", "Usage")),
        # The label follows from the votes by a rule, so its fields are the votes.
        field(
            "answers",
            "expression",
            "Votes for the first class of classes/code.",
            column("votes", "neutral"),
            INTEGER,
        ),
        *(
            field("answers", answer, f"Votes for {answer}.", column("votes", answer), INTEGER)
            for answer in (*manifest.labels[1:], "unknown", "NF")
        ),
    ]
    return files, [classes(manifest), records("pictures", row), records("answers", votes)]


def unknown(manifest: Manifest) -> Described:
    """Pictures by name, where nobody wrote down more."""
    folders = manifest.tree.folders.get("images", (".",))
    includes = [f"{folder}/**/*.jpg" for folder in folders]
    files = [file_set("pictures", includes, "image/jpeg", "Pictures.")]
    fields = [
        field("samples", "sample", "File name.", of_file("pictures")),
        field("samples", "path", "Path of the picture.", of_file("pictures", prop="fullpath")),
    ]
    return files, [records("samples", fields)]
