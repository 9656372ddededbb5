"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from crossin_metrics.files import atomic_path, file_sha256


def test_it_appears_at_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == tmp_path  # the same file system, so that a rename can do
    assert path.read_text() == "new"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [OSError("full"), ValueError("data"), KeyboardInterrupt()])
def test_an_older_file_outlives_an_error(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_threads_do_not_take_each_others_file(tmp_path: Path) -> None:
    path, errors = tmp_path / "a.txt", []
    start = threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        try:
            for _ in range(50):
                with atomic_path(path) as temporary:
                    temporary.write_text(str(number) * 1000)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert path.read_text() in {str(number) * 1000 for number in range(8)}


def test_the_hash_is_of_all_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000  # more than one piece
    (tmp_path / "a").write_bytes(content)
    assert file_sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()
