"""Downloads from a server on this machine: verified, or discarded; never half used."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from oneshot_cli.data.catalogue import DATASETS, DataSet
from oneshot_cli.data.fetch import RemoteFile, download, find, obtain
from oneshot_cli.errors import OneshotError

CONTENT = bytes(range(256)) * 1000
HASH = f"md5:{md5(CONTENT).hexdigest()}"


class Handler(BaseHTTPRequestHandler):
    """/whole serves the file, /half breaks off in the middle, /other serves something else."""

    def do_GET(self) -> None:
        if self.path not in ("/whole", "/half", "/other"):
            self.send_error(404)
            return
        body = CONTENT if self.path != "/other" else CONTENT[::-1]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path == "/half" else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def remote(*urls: str) -> RemoteFile:
    return RemoteFile("file.bin", urls, HASH)


def test_a_download_is_verified_and_told_of(server: str, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    (path,) = download([remote(f"{server}/whole")], tmp_path / "new", lambda *a: told.append(a))
    assert path.read_bytes() == CONTENT
    assert told[-1] == ("downloading file.bin", len(CONTENT), len(CONTENT))


@pytest.mark.parametrize("page", ["half", "other", "missing"])
def test_a_broken_download_leaves_nothing_behind(server: str, tmp_path: Path, page: str) -> None:
    with pytest.raises(OneshotError, match=rf"file\.bin.*/{page}") as caught:
        download([remote(f"{server}/{page}")], tmp_path)
    assert "--data-dir" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_next_address_serves_where_the_first_does_not(server: str, tmp_path: Path) -> None:
    (path,) = download([remote(f"{server}/half", f"{server}/whole")], tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_partial_file_is_fetched_again(server: str, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(CONTENT[:1000])
    (path,) = download([remote(f"{server}/whole")], tmp_path)
    assert path.read_bytes() == CONTENT


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(CONTENT)
    assert download([remote("http://127.0.0.1:9/nobody")], tmp_path) == [tmp_path / "file.bin"]


def test_without_a_hash_nothing_is_downloaded(server: str, tmp_path: Path) -> None:
    with pytest.raises(OneshotError, match="no address that can be verified"):
        download([RemoteFile("file.bin", (f"{server}/whole",))], tmp_path)


def test_a_folder_that_was_named_is_not_replaced_by_a_download(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONESHOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ONESHOT_DATA", raising=False)
    file = remote(f"{server}/whole")
    with pytest.raises(OneshotError, match=r"file\.bin not found in .*empty"):
        obtain([file], ["things"], tmp_path / "empty")
    assert find([file], ["things"]) is None
    (path,) = obtain([file], ["things"])
    assert path == tmp_path / "cache" / "things" / "file.bin"
    assert find([file], ["things"]) == [path]
    monkeypatch.setenv("ONESHOT_DATA", str(tmp_path / "empty"))
    with pytest.raises(OneshotError, match="empty"):
        obtain([file], ["things"])


def test_only_files_that_a_folder_lacks_are_fetched_to_it(server: str, tmp_path: Path) -> None:
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    (folder / "labels").write_bytes(b"of another name")
    files = (
        RemoteFile("labels.gz", ("http://127.0.0.1:9/nobody",), HASH, other_names=("labels",)),
        remote(f"{server}/whole"),
    )
    things = DataSet("things", "", "none", (), files, ("things", "MNIST/raw"))
    assert things.fetch(tmp_path) == [folder / "labels", folder / "file.bin"]
    assert not (tmp_path / "things").exists()


def test_files_are_found_by_their_other_names(tmp_path: Path) -> None:
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "FILE").write_bytes(CONTENT)
    file = RemoteFile("file.bin", other_names=("FILE",))
    assert find([file], ["things"], tmp_path) == [tmp_path / "things" / "FILE"]


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_every_address_has_a_hash(dataset: DataSet) -> None:
    for file in dataset.files:
        assert bool(file.urls) == bool(file.known_hash)
        assert all(url.startswith("http") and url.endswith(file.name) for url in file.urls)
