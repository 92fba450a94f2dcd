import hashlib
import http.server
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fbu import cli, data
from fbu.data import fetching
from fbu.errors import DataError

runner = CliRunner()
COMMIT = "5fb9c13a" + "0" * 32
FILES = {
    "data/legend.csv": b"user.id,image,emotion\n1,Ann_1.jpg,fear\n",
    "images/Ann_1.jpg": b"\xff\xd8 a picture",
    "LICENSE": b"Apache",
    "test/big.jpg": b"not wanted",
}


def packed(files: dict[str, bytes], comment: str = COMMIT, top: str = "facial_expressions-5fb9c13a") -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = comment.encode()
        archive.writestr(f"{top}/images/", b"")
        for name, content in files.items():
            archive.writestr(f"{top}/{name}", content)
    return raw.getvalue()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A server on this machine that answers with some bytes, at the dataset's address."""
    answer: dict[str, bytes | int] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            raw = bytes(answer["raw"])  # type: ignore[arg-type]
            self.send_response(int(answer.get("status", 200)))
            self.send_header("Content-Length", str(answer.get("length", len(raw))))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def serve(raw: bytes, sha256: str | None = None, **other: int) -> None:
        answer.update({"raw": raw, **other})
        address = fetching.Address(
            page="http://127.0.0.1",
            url=f"http://127.0.0.1:{server.server_port}/archive.zip",
            commit="5fb9c13a",
            keep=("data/legend.csv", "images", "LICENSE"),
            sha256=sha256,
        )
        monkeypatch.setitem(fetching.ADDRESSES, "facial_expressions", address)

    yield serve
    server.shutdown()
    thread.join()
    server.server_close()


def test_fetch(served: Callable[..., None], tmp_path: Path) -> None:
    raw = packed(FILES)
    served(raw, sha256=hashlib.sha256(raw).hexdigest())
    told: list[tuple[int, int]] = []
    folder = data_folder = fetching.fetch(
        "facial_expressions", tmp_path / "new", progress=lambda done, total: told.append((done, total))
    )
    assert folder == tmp_path / "new" / "facial_expressions" and told[-1] == (len(raw), len(raw))
    found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    note = json.loads(found.pop(fetching.NOTE))
    assert found == {name: content for name, content in FILES.items() if name != "test/big.jpg"}
    assert note["commit"] == "5fb9c13a" and note["archive_sha256"] == hashlib.sha256(raw).hexdigest()
    assert data.locate(data.load_manifest("facial_expressions"), "open", root=tmp_path / "new") == data_folder
    with pytest.raises(DataError, match="is there already"):
        fetching.fetch("facial_expressions", tmp_path / "new")


def broken(raw: bytes) -> bytes:
    """The same archive with a changed byte in its first stored file."""
    at = raw.index(b"legend.csv") + len(b"legend.csv") + 3
    return raw[:at] + bytes([raw[at] ^ 0xFF]) + raw[at + 1 :]


@pytest.mark.parametrize(
    ("raw", "more", "message"),
    [
        (packed(FILES, comment="1234"), {}, "is of commit '1234', not 5fb9c13a"),
        (packed(FILES, comment=""), {}, "is of commit 'unknown', not 5fb9c13a"),
        (b"<html>sign in</html>", {}, "gave a damaged archive .*try again"),
        (packed(FILES)[:-9], {"length": len(packed(FILES))}, "of .* bytes: try again"),
        (packed(FILES), {"status": 404}, "cannot be fetched .*Clone the public GitHub repository"),
        (packed({**FILES, "images/../../../x.jpg": b""}), {}, r"path 'images/\.\./.*leads out of"),
        (packed({"images/Ann_1.jpg": b"x"}), {}, "legend.csv is missing"),
        (packed({"data/legend.csv": b"a,b\n"}), {}, "column 'user.id' is missing"),
        (packed(FILES), {"sha256": "0" * 64}, "and should have 0000"),
    ],
)
def test_wrong_archive_leaves_nothing(
    served: Callable[..., None], tmp_path: Path, raw: bytes, more: dict, message: str
) -> None:
    served(raw, **more)
    with pytest.raises(DataError, match=message):
        fetching.fetch("facial_expressions", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_damaged_member_leaves_nothing(served: Callable[..., None], tmp_path: Path) -> None:
    served(broken(packed(FILES)))
    with pytest.raises(DataError, match="damaged archive"):
        fetching.fetch("facial_expressions", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_checksums_of_the_manifest(
    served: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(packed(FILES))
    right = hashlib.sha256(FILES["data/legend.csv"]).hexdigest()
    for wanted, good in ((right, True), ("0" * 64, False)):
        known = data.load_manifest("facial_expressions").model_copy(
            update={"checksums": {"data/legend.csv": wanted}}
        )
        monkeypatch.setattr(fetching, "load_manifest", lambda _, known=known: known)
        if good:
            assert fetching.fetch("facial_expressions", tmp_path / "good").is_dir()
        else:
            with pytest.raises(DataError, match="facial_expressions/data/legend.csv has sha256"):
                fetching.fetch("facial_expressions", tmp_path / "bad")


def test_no_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    address = fetching.Address("", "http://127.0.0.1:1/archive.zip", "5fb9c13a", ("images",))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setitem(fetching.ADDRESSES, "facial_expressions", address)
    result = runner.invoke(cli.app, ["data", "fetch", "facial_expressions", "--root", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stdout.startswith("error: http://127.0.0.1:1/archive.zip cannot be fetched")
    assert len(result.stdout.strip().splitlines()) == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bp4d", "BP4D may not be downloaded by everyone: Agreement with Binghamton"),
        ("facial_expressions", "pass --root, or set FBU_DATA"),
    ],
)
def test_command_refuses(name: str, message: str, tmp_path: Path) -> None:
    root = ["--root", str(tmp_path)] if name == "bp4d" else []
    result = runner.invoke(cli.app, ["data", "fetch", name, *root])
    assert result.exit_code == 1 and message in result.stdout


def test_command(served: Callable[..., None], tmp_path: Path) -> None:
    served(packed(FILES))
    result = runner.invoke(cli.app, ["data", "fetch", "facial_expressions", "--root", str(tmp_path)])
    assert result.exit_code == 0 and "next: fbu data check facial_expressions --root" in result.stdout
