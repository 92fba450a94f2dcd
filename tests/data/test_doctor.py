"""Damaged copies: each damage is reported where it is, none stops the report, none passes silently."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from damages import (
    Case,
    Damage,
    Noisy,
    all_of,
    also,
    assert_reported,
    content,
    copied,
    cut,
    error,
    field,
    gone,
    line,
    more,
    moved,
    picture,
    real,
    warning,
    without_column,
)
from PIL import Image
from typer.testing import CliRunner

from fbu import cli
from fbu.data import checks, doctor, layouts, load_manifest, twins
from fbu.data.checks import pictures
from fbu.errors import DataError

runner = CliRunner()

RAF = [f"train_{i:05d}" for i in range(1, 15)] + [f"test_{i:04d}" for i in range(1, 8)]
PEOPLE = [f"person{chr(97 + i % 5)}" for i in range(16)]
SEQUENCES = [(s, t, range(5, 10)) for s in ("F001", "F003", "M003") for t in ("T1", "T3")]

DFEW = [f"{i:05d}" for i in range(1, 16)]
SCENES = [f"{s}/{w}/{n:04d}" for s in ("Action", "War") for w in ("Happy", "Fear") for n in range(4)]
WATCHERS = [("SN001", 4), ("SN002", 3), ("SN003", 4)]

VOTED = [
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
]

LIST = "basic/EmoLabel/list_patition_label.txt"
ALIGNED = "basic/Image/aligned"
P1 = f"{ALIGNED}/train_00001_aligned.jpg"
LEGEND = "data/legend.csv"
OCCURRENCE = "AUCoding/AU_OCC/F001_T1.csv"
INTENSITY = "AUCoding/AU_INT/AU06/F001_T1_AU06.csv"
FRAMES = "Sequences_2D+3D/F001/T1"
LABELS = {"Happy": "happiness", "Fear": "fear"}
PIXELS, ROWS, NAMED = "fer2013.csv", "fer2013new.csv", "data/FER2013Train/label.csv"
GRADES = "ActionUnit_Labels/SN001/SN001_au4.txt"
VIDEOS = "Videos_LeftCamera"
FILM = f"{VIDEOS}/LeftVideoSN001_comp.avi"


def watching(sequences: Callable) -> Noisy:
    """A world of videos of two cameras."""
    world = sequences([(s, view, range(1, n + 1)) for view in ("left", "right") for s, n in WATCHERS])
    return Noisy("disfa", world.seed, world.records.rename(columns={"activity": "view"}))


def voted(faces: Callable) -> Noisy:
    """A world of pictures with votes: six of training, two of each other part; the last of training is no face."""
    world = faces("ferplus", [(f"s{i}", ("fear", "anger")[i % 2]) for i in range(10)])
    votes = np.zeros((10, 10), dtype=int)
    votes[range(10), [0, 1, 2, 3, 4, 9, 6, 7, 1, 2]] = 10
    columns = pd.DataFrame(votes, columns=[f"votes_{name}" for name in VOTED])
    columns["split"] = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    columns["emotion"] = world.records["label"]
    return Noisy("ferplus", world.seed, pd.concat([world.records, columns], axis=1))


@pytest.fixture(scope="module")
def written(
    tmp_path_factory: pytest.TempPathFactory, faces: Callable, sequences: Callable, clips: Callable
) -> Path:
    """A tiny twin of each dataset."""
    labels = {name: load_manifest(name).labels for name in ("rafdb", "facial_expressions")}
    worlds = [
        faces("rafdb", [(sample, labels["rafdb"][i % 7]) for i, sample in enumerate(RAF)]),
        faces("facial_expressions", [(p, labels["facial_expressions"][i % 8]) for i, p in enumerate(PEOPLE)]),
        sequences(SEQUENCES),
        watching(sequences),
        voted(faces),
    ]
    root = tmp_path_factory.mktemp("twins")
    for world in worlds:
        noisy = Noisy(world.name, world.seed, world.records)
        twins.write_twin(world.name, noisy, root / world.name, size="quick", image_size=24)
    for world in (
        clips("dfew", [(sample, "", ("fear", "anger")[i % 2], 1 + i % 4) for i, sample in enumerate(DFEW)]),
        clips(
            "ferv39k", [(s, ("test", "train")[int(s[-1]) % 2], LABELS[s.split("/")[1]], 3) for s in SCENES]
        ),
        clips("mafw", [(sample, "", ("fear", "anxiety")[i % 2], 2 + i % 4) for i, sample in enumerate(DFEW)]),
    ):
        twins.write_twin(world.name, world, root / world.name, size="quick", image_size=24)
    return root


def half_then_zeros(root: Path) -> None:
    """What a broken download leaves in a file that had its full size from the start."""
    raw = (root / P1).read_bytes()
    (root / P1).write_bytes(raw[: len(raw) // 2].ljust(len(raw), b"\0"))


def ninth_task(root: Path) -> None:
    real(root)
    copied(OCCURRENCE, "AUCoding/AU_OCC/F001_T9.csv")(root)
    shutil.copytree(root / FRAMES, root / "Sequences_2D+3D/F001/T9")


def unlisted_subject(root: Path) -> None:
    moved(OCCURRENCE, "AUCoding/AU_OCC/F099_T1.csv")(root)
    moved(FRAMES, "Sequences_2D+3D/F099/T1")(root)


def shifted(root: Path) -> None:
    """Number all frames from another start."""
    real(root)
    for folder in sorted((root / "Sequences_2D+3D").glob("*/*")):
        for path in sorted(folder.iterdir()):
            path.rename(path.with_name(f"{int(path.stem) - 1:05d}.jpg"))


def without_last_line(root: Path) -> None:
    (root / LIST).write_text("\n".join((root / LIST).read_text().splitlines()[:-1]))


def same_picture(root: Path) -> None:
    real(root)
    copied(f"{ALIGNED}/train_00001_aligned.jpg", f"{ALIGNED}/test_0001_aligned.jpg")(root)
    line(LIST, 15, lambda text: f"test_0001.jpg {(root / LIST).read_text().splitlines()[0][-1]}")(root)


def film(file: str, frames: int) -> Damage:
    """Write a video of another length."""

    def damage(root: Path) -> None:
        with av.open(str(root / file), "w") as container:
            stream = container.add_stream("mjpeg", rate=20)
            stream.width, stream.height, stream.pix_fmt = 24, 24, "yuvj444p"
            for i in range(frames):
                grey = np.full((24, 24, 3), 50 + i, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, "rgb24")))
            container.mux(stream.encode())

    return damage


def unlisted_watcher(root: Path) -> None:
    for unit in load_manifest("disfa").intensity_aus:
        moved(f"ActionUnit_Labels/SN001/SN001_au{unit}.txt", f"ActionUnit_Labels/SN014/SN014_au{unit}.txt")(
            root
        )
    (root / "ActionUnit_Labels/SN001").rmdir()
    moved(FILM, FILM.replace("SN001", "SN014"))(root)


F1 = "images/persona_0001.jpg"
B1 = f"{FRAMES}/0005.jpg"

RAFDB = [
    error("rafdb", "picture cut", cut(P1, 0.5), "truncated picture", P1),
    error("rafdb", "picture cut in its header", cut(P1, 0.1), "truncated picture", P1),
    error("rafdb", "end marker lost", cut(P1, 1), "truncated picture", P1),
    error("rafdb", "half a picture, then zeros", half_then_zeros, "truncated picture", P1),
    error("rafdb", "zero bytes", content(P1, b""), "empty picture", P1),
    error("rafdb", "text named jpg", content(P1, "<html>not found</html>"), "not a picture", P1),
    error("rafdb", "random bytes", content(P1, bytes(range(256)) * 4), "not a picture", P1),
    error("rafdb", "picture lost", gone(P1), "missing picture", LIST, 1),
    error("rafdb", "picture in capitals", moved(P1, P1.replace(".jpg", ".JPG")), "missing picture", LIST, 1),
    error(
        "rafdb", "folder for a picture", all_of(gone(P1), content(f"{P1}/x", "")), "missing picture", LIST, 1
    ),
    warning("rafdb", "png named jpg", picture(P1, (24, 24), "PNG"), "wrong ending", P1),
    warning("rafdb", "long picture", picture(P1, (90, 20)), "odd shape", P1),
    warning("rafdb", "tiny picture", picture(P1, (8, 8)), "odd shape", P1),
    warning("rafdb", "another size", picture(P1, (30, 30)), "odd shape", P1),
    error("rafdb", "code 9", line(LIST, 2, "train_00002.jpg 9"), "unknown label code", LIST, 2),
    error("rafdb", "code 0", line(LIST, 2, "train_00002.jpg 0"), "unknown label code", LIST, 2),
    error("rafdb", "word for code", line(LIST, 2, "train_00002.jpg fear"), "unknown label code", LIST, 2),
    error("rafdb", "no code", line(LIST, 3, "train_00003.jpg"), "wrong number of fields", LIST, 3),
    error("rafdb", "three fields", line(LIST, 3, "train_00003.jpg 1 1"), "wrong number of fields", LIST, 3),
    error("rafdb", "blank line", line(LIST, 3, ""), "wrong number of fields", LIST, 3),
    error("rafdb", "commas", line(LIST, 3, "train_00003.jpg,3"), "wrong number of fields", LIST, 3),
    error("rafdb", "name in capitals", line(LIST, 4, "Train_00004.jpg 4"), "malformed name", LIST, 4),
    error("rafdb", "aligned name", line(LIST, 4, "train_00004_aligned.jpg 4"), "malformed name", LIST, 4),
    error("rafdb", "path upwards", line(LIST, 5, "../train_00005.jpg 5"), "path leaves the folder", LIST, 5),
    error("rafdb", "same row twice", more(LIST, "train_00001.jpg 1"), "duplicate row", LIST, 22),
    error("rafdb", "two labels", more(LIST, "train_00001.jpg 2"), "contradicting labels", LIST, 22),
    error("rafdb", "list empty", content(LIST, ""), "empty file", LIST),
    error("rafdb", "list missing", gone(LIST), "missing file", LIST),
    error("rafdb", "list is a folder", all_of(gone(LIST), content(f"{LIST}/x", "")), "unreadable file", LIST),
    error(
        "rafdb",
        "list not utf-8",
        lambda root: (root / LIST).write_bytes((root / LIST).read_bytes() + b"\ntrain_\xe9.jpg 1") and None,
        "not UTF-8",
        LIST,
        22,
    ),
    error("rafdb", "no pictures", gone(ALIGNED), "missing folder", "basic"),
    error(
        "rafdb", "folder of another name", moved(ALIGNED, "basic/Image/Aligned"), "missing folder", "basic"
    ),
    warning("rafdb", "extra folder", content("basic/Image/aligned/old/x.txt", ""), "extra folder", ALIGNED),
    warning(
        "rafdb", "another list", copied(LIST, "basic/EmoLabel/noise01.txt"), "another list", "basic/EmoLabel"
    ),
    warning("rafdb", "row lost", without_last_line, "picture without label", ALIGNED),
    warning("rafdb", "a subset", real, "subset", "."),
    warning("rafdb", "one picture in two parts", same_picture, "picture in two parts", LIST, 15),
    error("rafdb", "stamp lost", gone(twins.STAMP), "damaged twin", "twin_truth.csv"),
    error("rafdb", "truth lost", gone("twin_truth.csv"), "damaged twin", "twin_truth.csv"),
    error("rafdb", "stamp cut", cut(twins.STAMP, 0.5), "damaged twin", twins.STAMP),
    error(
        "rafdb", "stamp of another", line(twins.STAMP, 2, ' "dataset": "bp4d",'), "damaged twin", twins.STAMP
    ),
    warning("rafdb", "old twin", line(twins.STAMP, 6, ' "code": "0"'), "older twin", twins.STAMP),
    error("rafdb", "truth of others", more("twin_truth.csv", "a,b"), "cannot be read", "twin_truth.csv", 23),
]
OPEN = [
    error("facial_expressions", "picture cut", cut(F1, 0.5), "truncated picture", F1),
    error("facial_expressions", "picture lost", gone(F1), "missing picture", LEGEND, 2),
    error("facial_expressions", "zero bytes", content(F1, b""), "empty picture", F1),
    error(
        "facial_expressions", "unknown label", line(LEGEND, 3, "1,b.jpg,joy"), "unknown label code", LEGEND, 3
    ),
    error(
        "facial_expressions", "9 for a label", line(LEGEND, 3, "1,b.jpg,9"), "unknown label code", LEGEND, 3
    ),
    error("facial_expressions", "no label", line(LEGEND, 3, "1,b.jpg,"), "unknown label code", LEGEND, 3),
    error(
        "facial_expressions", "two fields", line(LEGEND, 4, "1,c.jpg"), "wrong number of fields", LEGEND, 4
    ),
    error(
        "facial_expressions",
        "four fields",
        line(LEGEND, 4, "1,c.jpg,fear,"),
        "wrong number of fields",
        LEGEND,
        4,
    ),
    error("facial_expressions", "open quote", line(LEGEND, 4, '1,"c.jpg,fear'), "malformed line", LEGEND, 4),
    error(
        "facial_expressions",
        "path upwards",
        line(LEGEND, 5, "1,../d.jpg,fear"),
        "path leaves the folder",
        LEGEND,
        5,
    ),
    error(
        "facial_expressions",
        "whole path",
        line(LEGEND, 5, "1,/etc/d.jpg,fear"),
        "path leaves the folder",
        LEGEND,
        5,
    ),
    error(
        "facial_expressions",
        "Windows path",
        line(LEGEND, 5, "1,C:\\d.jpg,fear"),
        "path leaves the folder",
        LEGEND,
        5,
    ),
    error("facial_expressions", "no name", line(LEGEND, 5, "1,,fear"), "path leaves the folder", LEGEND, 5),
    error("facial_expressions", "column dropped", without_column(LEGEND, 2), "missing column", LEGEND, 1),
    error("facial_expressions", "header lost", line(LEGEND, 1, "1,a.jpg,fear"), "missing column", LEGEND, 1),
    error(
        "facial_expressions",
        "header only",
        content(LEGEND, "user.id,image,emotion\n"),
        "empty file",
        LEGEND,
        1,
    ),
    error("facial_expressions", "legend empty", content(LEGEND, " \n"), "empty file", LEGEND),
    error("facial_expressions", "legend missing", gone("data"), "missing file", LEGEND),
    error(
        "facial_expressions",
        "legend not utf-8",
        content(LEGEND, b"user.id,image,emotion\n1,Andr\xe9.jpg,fear\n"),
        "not UTF-8",
        LEGEND,
        2,
    ),
    error("facial_expressions", "no pictures", gone("images"), "missing folder", "."),
    warning(
        "facial_expressions", "capitals", line(LEGEND, 2, field(2, "Neutral")), "mixed-case label", LEGEND, 2
    ),
    warning("facial_expressions", "same row twice", lambda root: None, "duplicate row", LEGEND, 18),
    warning(
        "facial_expressions",
        "two labels",
        more(LEGEND, "1,personb_0001.jpg,fear"),
        "contradicting labels",
        LEGEND,
        19,
    ),
    warning(
        "facial_expressions",
        "picture of nobody",
        copied(F1, "images/x.jpg"),
        "picture without label",
        "images",
    ),
    warning("facial_expressions", "extra folder", content("images2/x.txt", ""), "extra folder", "."),
    warning("facial_expressions", "a subset", real, "subset", "."),
    warning(
        "facial_expressions",
        "one picture under two names",
        all_of(real, copied(F1, "images/personb_0001.jpg")),
        "contradicting labels",
        LEGEND,
        3,
    ),
]
BP4D = [
    error("bp4d", "picture cut", cut(B1, 0.5), "truncated picture", B1),
    error("bp4d", "text named jpg", content(B1, "no picture"), "not a picture", B1),
    warning("bp4d", "one frame lost", gone(B1), "frame without picture", OCCURRENCE, 2),
    error("bp4d", "all frames lost", gone(FRAMES), "sequence without pictures", OCCURRENCE, 2),
    error("bp4d", "column dropped", without_column(OCCURRENCE, 4), "missing column", OCCURRENCE, 1),
    error("bp4d", "other header", line(OCCURRENCE, 1, "frame,1,2"), "unknown header", OCCURRENCE, 1),
    error("bp4d", "header lost", line(OCCURRENCE, 1, field(0, "4")), "unknown header", OCCURRENCE, 1),
    error("bp4d", "code 5", line(OCCURRENCE, 3, field(4, "5")), "unknown label code", OCCURRENCE, 3),
    error("bp4d", "code 999", line(OCCURRENCE, 3, field(12, "999")), "unknown label code", OCCURRENCE, 3),
    warning("bp4d", "9 among the units", line(OCCURRENCE, 3, field(4, "9")), "unit not coded", OCCURRENCE),
    error(
        "bp4d",
        "a field too few",
        line(OCCURRENCE, 4, lambda text: text[:-2]),
        "wrong number of fields",
        OCCURRENCE,
        4,
    ),
    error("bp4d", "frame 2.5", line(OCCURRENCE, 4, field(0, "2.5")), "not a whole number", OCCURRENCE, 4),
    error("bp4d", "frame -7", line(OCCURRENCE, 4, field(0, "-7")), "not a whole number", OCCURRENCE, 4),
    error("bp4d", "frame twice", line(OCCURRENCE, 3, field(0, "5")), "frame twice", OCCURRENCE, 3),
    error("bp4d", "file empty", content(OCCURRENCE, ""), "empty file", OCCURRENCE),
    error("bp4d", "file not utf-8", content(OCCURRENCE, b"0,1,2\n\xff\xfe\n"), "not UTF-8", OCCURRENCE, 2),
    error("bp4d", "no occurrence", gone("AUCoding/AU_OCC"), "missing file", "AUCoding"),
    error("bp4d", "no codes at all", gone("AUCoding"), "missing folder", "."),
    error("bp4d", "no frames at all", gone("Sequences_2D+3D"), "missing folder", "."),
    error("bp4d", "unknown subject", unlisted_subject, "unknown subject", "AUCoding/AU_OCC/F099_T1.csv", 2),
    warning(
        "bp4d",
        "unknown task",
        ninth_task,
        "unknown task",
        "AUCoding/AU_OCC/F001_T9.csv",
    ),
    warning(
        "bp4d",
        "file name",
        copied(OCCURRENCE, "AUCoding/AU_OCC/F001-T1.csv"),
        "strange file name",
        "AUCoding/AU_OCC",
    ),
    warning("bp4d", "frame name", copied(B1, f"{FRAMES}/x1.jpg"), "strange file name", FRAMES),
    error("bp4d", "one number twice", copied(B1, f"{FRAMES}/00005.jpg"), "number twice", B1),
    warning(
        "bp4d", "frame of no row", copied(B1, f"{FRAMES}/99.jpg"), "picture without label", "Sequences_2D+3D"
    ),
    warning(
        "bp4d",
        "task of no file",
        copied(B1, "Sequences_2D+3D/F001/T5/1.jpg"),
        "picture without label",
        "Sequences_2D+3D",
    ),
    warning(
        "bp4d", "extra folder", copied(B1, "Sequences_2D+3D/X9/1.jpg"), "extra folder", "Sequences_2D+3D"
    ),
    warning("bp4d", "numbers shifted", shifted, "frame offset", "Sequences_2D+3D"),
    error("bp4d", "intensity 7", line(INTENSITY, 2, "6,7"), "unknown intensity", INTENSITY, 2),
    error("bp4d", "intensity B", line(INTENSITY, 2, "6,B"), "not a whole number", INTENSITY, 2),
    error("bp4d", "one field", line(INTENSITY, 2, "6"), "wrong number of fields", INTENSITY, 2),
    error("bp4d", "intensity twice", line(INTENSITY, 2, "5,1"), "frame twice", INTENSITY, 2),
    warning("bp4d", "intensity of no row", more(INTENSITY, "77,1"), "frame without occurrence", INTENSITY, 6),
    warning("bp4d", "no intensity file", gone(INTENSITY), "no intensities", "AUCoding/AU_INT/AU06"),
    warning("bp4d", "no intensities", gone("AUCoding/AU_INT"), "no intensities", "."),
    warning("bp4d", "unit folder lost", gone("AUCoding/AU_INT/AU06"), "no intensities", "AUCoding/AU_INT"),
    warning(
        "bp4d",
        "intensity of others",
        copied(INTENSITY, "AUCoding/AU_INT/AU06/F050_T1_AU06.csv"),
        "strange file name",
        "AUCoding/AU_INT/AU06",
    ),
    warning("bp4d", "a subset", real, "subset", "."),
]
D_TEST, D_TRAIN = (f"EmoLabel_DataSplit/{part}(single-labeled)/set_1.csv" for part in ("test", "train"))
D_OTHER = D_TEST.replace("1.csv", "2.csv")
D_CLIPS = "Clip/clip_224x224"
CLIP, FRAME = f"{D_CLIPS}/00002", f"{D_CLIPS}/00002/00002_00001.jpg"


def other_release(root: Path) -> None:
    """Sixteen frames are asked for, and one clip has other than that."""
    content("fbu.yml", "release: clip_224x224_16f")(root)
    for folder in sorted((root / D_CLIPS).iterdir()):
        for n in range(1, 17 if folder.name != "00003" else 16):
            copied(
                f"{D_CLIPS}/{folder.name}/{folder.name}_00001.jpg", f"{D_CLIPS}_16f/{folder.name}/{n}.jpg"
            )(root)


DFEW_CASES = [
    error("dfew", "code 8", line(D_TEST, 2, "2,8"), "unknown label code", D_TEST, 2),
    error("dfew", "code 0", line(D_TEST, 2, "2,0"), "unknown label code", D_TEST, 2),
    error("dfew", "word for a code", line(D_TRAIN, 3, "5,sad"), "unknown label code", D_TRAIN, 3),
    error("dfew", "no code", line(D_TEST, 2, "2"), "wrong number of fields", D_TEST, 2),
    error("dfew", "three fields", line(D_TEST, 2, "2,7,7"), "wrong number of fields", D_TEST, 2),
    error("dfew", "path for a name", line(D_TEST, 2, "../2,7"), "malformed name", D_TEST, 2),
    error("dfew", "header lost", line(D_TEST, 1, "2,4"), "missing column", D_TEST, 1),
    error("dfew", "header only", content(D_TEST, "video_name,label"), "empty file", D_TEST),
    error("dfew", "list empty", content(D_TEST, ""), "empty file", D_TEST),
    error("dfew", "list lost", gone(D_TEST), "missing file", D_TEST),
    error("dfew", "list not utf-8", content(D_TEST, b"video_name,label\n\xff,1"), "not UTF-8", D_TEST, 2),
    error("dfew", "list is a folder", all_of(gone(D_TEST), content(f"{D_TEST}/x", "")), "unreadable file", D_TEST),
    error("dfew", "same row twice", also(D_TEST, 2, D_TEST), "duplicate row", D_TEST, 5),
    error("dfew", "in two test folds", also(D_TEST, 2, D_OTHER), "clip in two test folds", D_OTHER, 5),
    error("dfew", "in train and test", also(D_TEST, 2, D_TRAIN), "clip in train and test", D_TRAIN, 14),
    error("dfew", "in no test list", more(D_TRAIN, "999,4"), "clip without fold", D_TRAIN, 14),
    error("dfew", "training clip lost", line(D_TRAIN, 2, ""), "train list is not the other folds", D_TRAIN),
    error("dfew", "two labels", line(D_TRAIN, 2, lambda text: text[:-1] + "1"), "contradicting labels", D_TRAIN, 2),
    error("dfew", "frame folder lost", gone(CLIP), "missing file", CLIP),
    error("dfew", "frame folder empty", all_of(gone(CLIP), content(f"{CLIP}/x", "")), "empty file", CLIP),
    error("dfew", "frame cut", cut(FRAME, 0.5), "damaged clip", CLIP),
    error("dfew", "text for a frame", content(FRAME, "no picture"), "damaged clip", CLIP),
    error("dfew", "no test lists", gone(str(Path(D_TEST).parent)), "missing folder", "."),
    error("dfew", "no clips", gone("Clip"), "missing folder", "."),
    error("dfew", "another release", content("fbu.yml", "release: avi"), "missing folder", "."),
    error("dfew", "unknown release", content("fbu.yml", "release: gif"), "wrong option", "."),
    warning("dfew", "fifteen frames", all_of(real, other_release), "frames missing", f"{D_CLIPS}_16f"),
    warning("dfew", "a subset", real, "subset", "."),
]  # fmt: skip
V_TRAIN, V_TEST = (f"4_setups/All_scenes/{part}_All.csv" for part in ("train", "test"))
V_CLIPS = "2_ClipsforFaceCrop"
V_CLIP, ACTION = f"{V_CLIPS}/War/Fear/0001", "Action/Happy/0001"
ON_THE_MOON = all_of(
    moved(f"{V_CLIPS}/Action/Happy/0001", f"{V_CLIPS}/Moon/Happy/0001"),
    line(V_TRAIN, 1, "Moon/Happy/0001 Happy"),
    line("twin_truth.csv", 3, lambda text: text.replace("Action", "Moon")),
)
FERV39K = [
    error("ferv39k", "unknown word", line(V_TRAIN, 2, "Action/Happy/0003 Joy"), "unknown label code", V_TRAIN, 2),
    error("ferv39k", "number for a word", line(V_TRAIN, 2, "Action/Happy/0003 0"), "unknown label code", V_TRAIN, 2),
    error("ferv39k", "a comma", line(V_TRAIN, 2, "Action/Happy/0003,Happy"), "wrong number of fields", V_TRAIN, 2),
    error("ferv39k", "path upwards", line(V_TRAIN, 2, "../Happy/0003 Happy"), "path leaves the folder", V_TRAIN, 2),
    error("ferv39k", "whole path", line(V_TRAIN, 2, "/data/Happy/3 Happy"), "path leaves the folder", V_TRAIN, 2),
    error("ferv39k", "Windows path", line(V_TRAIN, 2, "A\\B\\3 Happy"), "path leaves the folder", V_TRAIN, 2),
    error("ferv39k", "a header", line(V_TRAIN, 1, "path label"), "malformed name", V_TRAIN, 1),
    error("ferv39k", "in both parts", more(V_TEST, "Action/Happy/0001 Happy"), "clip in two parts", V_TEST, 9),
    error("ferv39k", "same row twice", more(V_TRAIN, "Action/Happy/0001 Happy"), "duplicate row", V_TRAIN, 9),
    error("ferv39k", "list lost", gone(V_TEST), "missing file", V_TEST),
    error("ferv39k", "list empty", content(V_TEST, " \n"), "empty file", V_TEST),
    error("ferv39k", "not utf-8", content(V_TEST, b"\xe9/Happy/0001 Happy"), "not UTF-8", V_TEST, 1),
    error("ferv39k", "frame folder lost", gone(V_CLIP), "missing file", V_CLIP),
    error("ferv39k", "frame emptied", content(f"{V_CLIP}/02.jpg", ""), "damaged clip", V_CLIP),
    error("ferv39k", "no clips", gone(V_CLIPS), "missing folder", "."),
    error("ferv39k", "unknown setup", content("fbu.yml", "setup: Peace"), "wrong option", "."),
    warning("ferv39k", "another word", line(V_TRAIN, 1, f"{ACTION} Fear"), "label differs from folder", V_TRAIN, 1),
    warning("ferv39k", "row lost", line(V_TRAIN, 1, ""), "clip without label", V_CLIPS),
    warning("ferv39k", "unknown scene", ON_THE_MOON, "unknown scene", V_TRAIN, 1),
    warning("ferv39k", "a subset", real, "subset", "."),
]  # fmt: skip
M_TEST, M_TRAIN = (f"Train & Test Set/single/no_caption/set_1/{part}.txt" for part in ("test", "train"))
M_TOLD = M_TEST.replace("no_caption", "with_caption")
M_OTHER = M_TEST.replace("set_1", "set_3")
VIDEO = "data/clips/00002.mp4"


def told(text: bytes) -> Damage:
    """Lists with descriptions are asked for, and this is one of them."""
    return all_of(content("fbu.yml", "caption: with_caption"), content(M_TOLD, text))


MAFW = [
    error("mafw", "unknown word", line(M_TEST, 1, "00002.mp4 angst"), "unknown label code", M_TEST, 1),
    error("mafw", "number for a word", line(M_TEST, 1, "00002.mp4 9"), "unknown label code", M_TEST, 1),
    error("mafw", "no word", line(M_TEST, 1, "00002.mp4"), "wrong number of fields", M_TEST, 1),
    error("mafw", "no ending", line(M_TEST, 1, "00002 anxiety"), "malformed name", M_TEST, 1),
    error("mafw", "path upwards", line(M_TEST, 1, "../00002.mp4 anxiety"), "path leaves the folder", M_TEST, 1),
    error("mafw", "in two test folds", also(M_TEST, 1, M_OTHER), "clip in two test folds", M_OTHER, 4),
    error("mafw", "in train and test", also(M_TEST, 1, M_TRAIN), "clip in train and test", M_TRAIN, 13),
    error("mafw", "training clip lost", line(M_TRAIN, 1, ""), "train list is not the other folds", M_TRAIN),
    error("mafw", "not utf-8", content(M_TEST, b"00002.mp4 anxi\xe9t\xe9"), "not UTF-8", M_TEST, 1),
    error("mafw", "list lost", gone(M_TEST), "missing file", M_TEST),
    error("mafw", "video emptied", content(VIDEO, b""), "empty file", VIDEO),
    error("mafw", "video lost", gone(VIDEO), "missing file", VIDEO),
    error("mafw", "text for a video", content(VIDEO, "no video"), "damaged picture", VIDEO),
    error("mafw", "no videos", gone("data"), "missing folder", "."),
    error("mafw", "frames asked for", content("fbu.yml", "media: frames"), "missing folder", "."),
    error("mafw", "description lost", told(b"00002.mp4\tanxiety"), "wrong number of fields", M_TOLD, 1),
    error("mafw", "description not gb18030", told(b"00002.mp4\tanxiety\t\xff\tx"), "not gb18030", M_TOLD, 1),
    warning("mafw", "a subset", real, "subset", "."),
]  # fmt: skip
DISFA = [
    error("disfa", "video cut in its header", cut(FILM, 0.1), "not a video", FILM),
    error("disfa", "text named avi", content(FILM, "no video"), "not a video", FILM),
    error("disfa", "video empty", content(FILM, b""), "not a video", FILM),
    error("disfa", "video lost", gone(FILM), "missing video", VIDEOS),
    error("disfa", "two videos", copied(FILM, FILM.replace("comp", "Comp")), "video twice", FILM),
    error("disfa", "no videos", gone(VIDEOS), "missing folder", "."),
    error("disfa", "no labels", gone("ActionUnit_Labels"), "missing folder", "."),
    error(
        "disfa",
        "labels of nobody",
        all_of(*(gone(f"ActionUnit_Labels/{subject}") for subject, _ in WATCHERS)),
        "missing file",
        "ActionUnit_Labels",
    ),
    error("disfa", "unit lost", gone(GRADES), "missing file", "ActionUnit_Labels/SN001"),
    error("disfa", "intensity 6", line(GRADES, 2, "2,6"), "unknown intensity", GRADES, 2),
    error("disfa", "intensity -1", line(GRADES, 2, "2,-1"), "not a whole number", GRADES, 2),
    error("disfa", "intensity B", line(GRADES, 2, "2,B"), "not a whole number", GRADES, 2),
    error("disfa", "one field", line(GRADES, 2, "2"), "wrong number of fields", GRADES, 2),
    error("disfa", "a header", line(GRADES, 1, "frame,intensity"), "not a whole number", GRADES, 1),
    error("disfa", "frames from 0", line(GRADES, 1, "0,0"), "frame 0", GRADES, 1),
    error("disfa", "frame twice", line(GRADES, 2, "1,0"), "frame twice", GRADES, 2),
    error("disfa", "a frame more than others", more(GRADES, "9,0"), "frames differ", GRADES, 5),
    error("disfa", "file empty", content(GRADES, ""), "empty file", GRADES),
    error("disfa", "file not utf-8", content(GRADES, b"1,0\n\xff,0\n"), "not UTF-8", GRADES, 2),
    error("disfa", "unit twice", copied(GRADES, GRADES.replace("au4", "AU4")), "file twice", GRADES),
    error(
        "disfa",
        "person twice",
        copied(GRADES, GRADES.replace("SN001/", "sn001/")),
        "subject twice",
        "ActionUnit_Labels/sn001",
    ),
    error(
        "disfa",
        "nobody's fold",
        unlisted_watcher,
        "unknown subject",
        "ActionUnit_Labels/SN014/SN014_au1.txt",
        1,
    ),
    error("disfa", "wrong option", content("fbu.yml", "view: top"), "wrong option", "."),
    warning("disfa", "a frame less", film(FILM, 3), "one frame apart", FILM),
    warning("disfa", "a frame more", film(FILM, 5), "one frame apart", FILM),
    warning("disfa", "half a video", film(FILM, 2), "video and labels differ", FILM),
    warning("disfa", "labels lost", gone("ActionUnit_Labels/SN001"), "video without labels", VIDEOS),
    warning("disfa", "file name", copied(FILM, f"{VIDEOS}/SN001.avi"), "strange file name", VIDEOS),
    warning(
        "disfa",
        "label name",
        copied(GRADES, "ActionUnit_Labels/SN001/SN001_au3.txt"),
        "strange file name",
        "ActionUnit_Labels/SN001",
    ),
    warning("disfa", "extra folder", content("videos/x.txt", ""), "extra folder", "."),
    warning("disfa", "a subset", real, "subset", "."),
]
UNREADABLE = ("damaged picture", PIXELS, 3)
FERPLUS = [
    error("ferplus", "pictures lost", gone(PIXELS), "missing file", PIXELS),
    error(
        "ferplus", "columns exchanged", line(PIXELS, 1, "emotion,Usage,pixels"), "unknown header", PIXELS, 1
    ),
    error("ferplus", "header only", content(PIXELS, "emotion,pixels,Usage\n"), "empty file", PIXELS, 1),
    error("ferplus", "pixels lost", line(PIXELS, 3, "0,Training"), "wrong number of fields", PIXELS, 3),
    error(
        "ferplus",
        "a pixel less",
        line(PIXELS, 3, lambda text: text.replace(" ", "", 1)),
        "damaged picture",
        PIXELS,
        3,
    ),
    error(
        "ferplus",
        "pixel 999",
        line(PIXELS, 3, field(1, " ".join(["999"] * 2304))),
        "damaged picture",
        PIXELS,
        3,
    ),
    error("ferplus", "file cut", cut(PIXELS, 0.5), "wrong number of fields", PIXELS, 6),
    error("ferplus", "code 7", line(PIXELS, 2, field(0, "7")), "unknown label code", PIXELS, 2),
    error("ferplus", "word for code", line(PIXELS, 2, field(0, "fear")), "unknown label code", PIXELS, 2),
    error("ferplus", "part unknown", line(PIXELS, 2, field(2, "Test")), "unknown part", PIXELS, 2),
    error("ferplus", "names lost", gone(ROWS), "missing file", ROWS),
    error("ferplus", "a row less", line(ROWS, 4, ""), "row too many or too few", ROWS),
    error(
        "ferplus", "a row more", more(ROWS, "Training,x.png,10" + ",0" * 9), "row too many or too few", ROWS
    ),
    error("ferplus", "column dropped", without_column(ROWS, 5), "missing column", ROWS, 1),
    error("ferplus", "rows of another part", line(ROWS, 8, field(0, "Training")), "parts differ", ROWS, 8),
    error("ferplus", "part of no name", line(ROWS, 8, field(0, "Valid")), "unknown part", ROWS, 8),
    error("ferplus", "half a vote", line(ROWS, 3, field(4, "0.5")), "not a whole number", ROWS, 3),
    error("ferplus", "votes lost", gone(NAMED), "missing file", NAMED),
    error("ferplus", "votes empty", content(NAMED, ""), "empty file", NAMED),
    error(
        "ferplus", "nine fields", line(NAMED, 2, "a.png,1,2,3,4,5,6,7,8"), "wrong number of fields", NAMED, 2
    ),
    error("ferplus", "open quote", line(NAMED, 2, 'a.png,"(0, 0'), "malformed line", NAMED, 2),
    error(
        "ferplus",
        "name twice",
        more(NAMED, 'fer0000001.png,"(0, 0, 48, 48)"' + ",1" * 10),
        "duplicate row",
        NAMED,
        6,
    ),
    error("ferplus", "negative votes", line(NAMED, 2, field(6, "-3")), "not a whole number", NAMED, 2),
    error("ferplus", "votes not utf-8", content(NAMED, b"fer\xe9.png\n"), "not UTF-8", NAMED, 1),
    error("ferplus", "wrong option", content("fbu.yml", "rule: median"), "wrong option", "."),
    warning(
        "ferplus",
        "name of no picture",
        more(NAMED, 'x.png,"()"' + ",1" * 10),
        "votes of no picture",
        NAMED,
        6,
    ),
    warning("ferplus", "votes of one lost", line(NAMED, 2, ""), "picture without votes", NAMED),
    warning(
        "ferplus",
        "votes lost in two rows",
        all_of(line(NAMED, 1, field(6, "3")), line(NAMED, 2, field(6, "3"))),
        "not ten votes",
        NAMED,
        1,
    ),
    warning("ferplus", "extra folder", content("images/x.txt", ""), "extra folder", "."),
    warning("ferplus", "a subset", real, "subset", "."),
]
CASES = RAFDB + OPEN + BP4D + DFEW_CASES + FERV39K + MAFW + DISFA + FERPLUS


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.dataset}: {case.what}")
def test_damage_is_reported(case: Case, own: Callable[[str], Path]) -> None:
    assert_reported(case, own(case.dataset))


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.severity == "warning"], ids=lambda c: f"{c.dataset}: {c.what}"
)
def test_what_is_only_warned_about_can_be_read(case: Case, own: Callable[[str], Path]) -> None:
    root = own(case.dataset)
    case.damage(root)
    assert len(layouts.read(root, load_manifest(case.dataset)))


@pytest.mark.parametrize("name", sorted({case.dataset for case in CASES}))
def test_twin_is_clean(name: str, written: Path) -> None:
    report = doctor.check(name, written / name)
    assert report.twin and report.ok and report.decoded == report.pictures > 0
    # What the twin imitates on purpose.
    traps = {"facial_expressions": {"mixed-case label", "duplicate row"}, "bp4d": {"frame without picture"}}
    assert {problem.kind for problem in report.problems} == traps.get(name, set())


def test_all_problems_of_a_file_are_collected(own: Callable[[str], Path]) -> None:
    root = own("rafdb")
    for damage in (
        line(LIST, 2, "train_00002.jpg 9"),
        line(LIST, 5, "x"),
        more(LIST, "train_00001.jpg 2"),
        gone(P1),
    ):
        damage(root)
    report = doctor.check("rafdb", root)
    assert {(p.kind, p.line) for p in report.errors} == {
        ("unknown label code", 2),
        ("wrong number of fields", 5),
        ("contradicting labels", 22),
        ("missing picture", 1),
    }
    assert report.problems[: len(report.errors)] == report.errors


def test_every_line_that_is_not_utf8_is_named(own: Callable[[str], Path]) -> None:
    root = own("rafdb")
    (root / LIST).write_bytes(b"train_\xff.jpg 1\ntrain_00001.jpg 1\ntrain_\xff.jpg 1\n")
    report = doctor.check("rafdb", root)
    assert [p.line for p in report.errors if p.kind == "not UTF-8"] == [1, 3]


def test_byte_order_mark_and_windows_lines_are_fine(own: Callable[[str], Path]) -> None:
    root = own("facial_expressions")
    raw = (root / LEGEND).read_bytes()
    (root / LEGEND).write_bytes(b"\xef\xbb\xbf" + raw.replace(b"\n", b"\r\n"))
    assert doctor.check("facial_expressions", root).ok


def counts_of(name: str, monkeypatch: pytest.MonkeyPatch, **expected: object) -> None:
    """Publish other counts."""
    manifest = load_manifest(name)
    published = manifest.expected.model_copy(update=expected)
    other = manifest.model_copy(update={"expected": published})
    monkeypatch.setattr(doctor, "load_manifest", lambda _: other)


SEVENTHS = dict.fromkeys(["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"], 3)


@pytest.mark.parametrize(
    ("expected", "kinds"),
    [
        ({"rows": 21, "parts": {"train": 14, "test": 7}, "classes": SEVENTHS}, set()),
        ({"rows": 21, "parts": {}, "classes": {**SEVENTHS, "fear": 2, "anger": 4}}, {"wrong counts"}),
        (
            {"rows": 30, "parts": {}, "classes": {**SEVENTHS, "fear": 2, "anger": 13}},
            {"subset", "wrong counts"},
        ),
        ({"rows": 21, "parts": {"train": 15, "test": 6}, "classes": {}}, {"wrong counts"}),
        ({"rows": 20, "parts": {"train": 14, "test": 6}, "classes": {}}, {"more than published"}),
        ({"rows": None, "parts": {}, "classes": {}}, set()),
    ],
)
def test_counts(
    own: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, expected: dict, kinds: set[str]
) -> None:
    root = own("rafdb")
    real(root)
    counts_of("rafdb", monkeypatch, **expected)
    report = doctor.check("rafdb", root)
    assert {problem.kind for problem in report.problems} == kinds
    assert report.ok == ("wrong counts" not in kinds)


def test_subject_in_two_folds(
    own: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folds = tmp_path / "folds.csv"
    folds.write_text("subject,fold\nF001,1\nF003,2\nM003,3\nF001,2\n")
    monkeypatch.setattr(doctor, "resource", lambda _: folds)
    report = doctor.check("bp4d", own("bp4d"))
    assert [(p.kind, p.line) for p in report.errors] == [("subject in two folds", 5)]


def test_subject_in_two_parts(own: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    module = checks.examiner("rafdb")

    def one_person(copy: checks.Copy) -> None:
        module.examine(copy)  # type: ignore[union-attr]
        copy.rows[:] = [
            row._replace(subject="Ann" if row.line in (1, 15) else row.subject) for row in copy.rows
        ]

    class Other:
        examine = staticmethod(one_person)

    monkeypatch.setattr(doctor, "examiner", lambda _: Other)
    report = doctor.check("rafdb", own("rafdb"))
    assert [(p.kind, p.where) for p in report.errors] == [("subject in two parts", f"{LIST}:1")]


@pytest.mark.parametrize("name", ["rafdb", "bp4d", "facial_expressions"])
def test_without_a_module_the_reader_is_asked(
    name: str, own: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "examiner", lambda _: None)
    root = own(name)
    report = doctor.check(name, root)
    assert report.ok and report.rows > 0 and report.decoded > 0
    file = {"rafdb": LIST, "bp4d": OCCURRENCE, "facial_expressions": LEGEND}[name]
    line(file, 2, "1,2,3,4")(root)
    report = doctor.check(name, root)
    assert [(p.kind, p.where) for p in report.errors][:1] == [("cannot be read", f"{file}:2")]


def test_nothing_is_sound_that_cannot_be_read(
    own: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr(doctor.layouts, "read", fails)
    report = doctor.check("rafdb", own("rafdb"))
    assert [(p.kind, p.message) for p in report.errors] == [("cannot be read", "KeyError: 'surprise'")]


def test_folder_that_may_not_be_read(own: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    class Forbidden:
        @staticmethod
        def examine(copy: checks.Copy) -> None:
            raise PermissionError(13, "Permission denied", str(copy.root / "basic"))

    monkeypatch.setattr(doctor, "examiner", lambda _: Forbidden)
    report = doctor.check("rafdb", own("rafdb"))
    assert [(p.kind, p.file) for p in report.errors] == [("unreadable file", "basic")]


def test_expanding_and_blank_pictures(own: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root = own("rafdb")
    Image.new("RGB", (24, 24), (9, 9, 9)).save(root / P1)
    report = doctor.check("rafdb", root)
    assert [(p.kind, p.file) for p in report.problems] == [("blank picture", P1)]
    monkeypatch.setattr(pictures.Image, "MAX_IMAGE_PIXELS", 400)
    report = doctor.check("rafdb", root)
    assert {p.kind for p in report.errors} == {"odd shape"} and len(report.errors) == 21


def test_fast_decodes_a_sample(own: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(doctor, "FAST", 5)
    root = own("rafdb")
    report = doctor.check("rafdb", root, fast=True, progress=lambda done, total: told.append((done, total)))
    assert (report.pictures, report.decoded) == (21, 5) and told[-1] == (5, 5)
    assert "5 of them decoded" in report.summary()
    monkeypatch.setattr(doctor, "SMALL", 20)
    monkeypatch.setattr(doctor, "SAMPLED", 7)
    assert doctor.check("rafdb", root).decoded == 7
    assert doctor.check("rafdb", root, fast=False).decoded == 21


def test_unknown_dataset() -> None:
    with pytest.raises(DataError, match="unknown dataset 'raf'"):
        doctor.check("raf", Path("."))
    assert checks.examiner("text") is None and checks.examiner("../x") is None


def test_command(own: Callable[[str], Path]) -> None:
    root = own("rafdb")
    base = ["data", "check", "rafdb", "--root", str(root.parent)]
    result = runner.invoke(cli.app, base)
    assert result.exit_code == 0 and "0 errors, 0 warnings" in result.stdout
    for number in range(1, 16):
        line(LIST, number, f"train_{number:05d}.jpg 9")(root)
    result = runner.invoke(cli.app, base)
    assert result.exit_code == 1
    assert (
        "error: unknown label code (15)" in result.stdout
        and f"{LIST}:3: unknown label code '9'" in result.stdout
    )
    assert "... and 5 more" in result.stdout and result.stdout.count("mend:") == 2
    result = runner.invoke(cli.app, [*base, "--json"])
    said = json.loads(result.stdout)
    assert result.exit_code == 1 and said["errors"] == 15 and not said["ok"]
    assert said["problems"][0] | {"mend": "", "message": ""} == {
        "severity": "error",
        "kind": "unknown label code",
        "file": LIST,
        "line": 1,
        "message": "",
        "mend": "",
    }


def test_command_without_a_copy(tmp_path: Path) -> None:
    result = runner.invoke(cli.app, ["data", "check", "rafdb", "--root", str(tmp_path)])
    assert result.exit_code != 0 and "not run: RAF-DB is not under" in str(result.exception)
    result = runner.invoke(cli.app, ["data", "check", "rafdb", "--source", "mine"])
    assert "unknown source 'mine'" in str(result.exception)


def test_open_photographs(photographs: Path) -> None:
    result = runner.invoke(
        cli.app, ["data", "check", "facial_expressions", "--root", str(photographs), "--fast"]
    )
    assert result.exit_code == 0, result.output
    assert re.search(r"Avinash_30\.jpg is surprise in line \d+ and sadness in line \d+", result.stdout)
    assert "warning: duplicate row (3)" in result.stdout and "'DISGUST' in 195 rows" in result.stdout
