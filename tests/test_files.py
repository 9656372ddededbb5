"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from crossin_metrics import files
from crossin_metrics.errors import CrossinError
from crossin_metrics.files import (
    atomic_folder,
    atomic_path,
    canonical,
    check_replaceable,
    file_sha256,
    read_json,
    swap_in,
    write_json,
    write_jsonl,
    write_text,
)


def test_it_appears_at_the_end_of_the_block(tmp_path: Path) -> None:
    tmp_path = tmp_path / "not" / "there"
    path = tmp_path / "a.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == tmp_path  # the same file system, so that a rename can do
    assert path.read_text() == "new"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


def test_the_old_file_is_replaced_by_renaming_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with path.open() as reader:
        with atomic_path(path) as temporary:
            temporary.write_text("new")
            number = temporary.stat().st_ino
        assert reader.read() == "old"  # who had it open keeps the whole old one
    assert path.stat().st_ino == number


@pytest.mark.parametrize("error", [CrossinError("full"), ValueError("data"), KeyboardInterrupt()])
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


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.txt", "text\n")
    assert (tmp_path / "new" / "a.txt").read_text() == "text\n"
    with pytest.raises(CrossinError, match=r"cannot write .*a.txt/below: "):
        write_text(tmp_path / "new" / "a.txt" / "below", "")


def folder_with(folder: Path, text: str) -> None:
    with atomic_folder(folder) as new:
        (new.parent / "scratch").write_text("")
        (new / "file").write_text(text)


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "a" / "set"
    for text in ("one", "two"):
        folder_with(target, text)
        assert [(path.name, path.read_text()) for path in target.iterdir()] == [("file", text)]
    with atomic_folder(target):
        pass  # an empty one replaces nothing
    assert (target / "file").read_text() == "two"
    assert [path.name for path in target.parent.iterdir()] == ["set"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("good", [0, 1])  # moves that succeed: the old folder aside, the new one into its place
def test_a_failed_move_leaves_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, good: int
) -> None:
    target, moved, replace = tmp_path / "set", [], os.replace
    folder_with(target, "old")

    def fail(source: Path, to: Path) -> None:
        moved.append(source)
        if len(moved) == good + 1:
            raise error
        replace(source, to)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(CrossinError if isinstance(error, OSError) else KeyboardInterrupt):
        folder_with(target, "new")
    assert (target / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("times", [2, 3])
def test_another_process_that_puts_its_folder_there_in_between_loses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    target, put, replace = tmp_path / "set", [], os.replace
    folder_with(target, "old")

    def interfere(source: Path, to: Path) -> None:
        if Path(to) == target and len(put) < times:
            put.append(source)
            target.mkdir()
            (target / "file").write_text("of another process")
        replace(source, to)

    monkeypatch.setattr(os, "replace", interfere)
    if times == 3:  # it does not give up
        with pytest.raises(CrossinError, match="cannot write"):
            folder_with(target, "new")
    else:
        folder_with(target, "new")
    assert (target / "file").read_text() == ("of another process" if times == 3 else "new")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_swap_leaves_nothing_beside_and_puts_the_old_folder_back_where_it_fails(tmp_path: Path) -> None:
    target, new = tmp_path / "set", tmp_path / "work" / "set"
    for folder in (target, new):
        folder.mkdir(parents=True)
        (folder / folder.parent.name).write_text("")
    swap_in(new, target)
    assert [path.name for path in target.iterdir()] == ["work"]
    assert list(new.parent.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        swap_in(new, target)
    assert [path.name for path in target.iterdir()] == ["work"]


def test_processes_that_clean_up_at_once_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    with atomic_path(path) as own:
        own.write_text("text")
        leftover = own.with_name(own.name.replace(f".{os.getpid()}.", ".9999999999."))
    leftover.write_text("half")
    monkeypatch.setattr(files, "_alive", lambda _: leftover.unlink())  # found, then removed by another process
    write_text(path, "text")
    assert list(tmp_path.iterdir()) == [path]

    def taken(made: Path, _: Path) -> Path:
        raise FileNotFoundError(made)

    monkeypatch.setattr(Path, "rename", taken)  # again and again
    with pytest.raises(CrossinError, match=r"cannot write .*set: other processes keep removing its new folder"):
        folder_with(tmp_path / "set", "text")


def test_scratch_space_that_cannot_be_removed_does_not_fail_the_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "rmdir", refuse)
    folder_with(tmp_path / "set", "text")
    assert (tmp_path / "set" / "file").read_text() == "text"


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, path = [], tmp_path / "a.txt"
    for name in ("fsync", "replace"):
        call = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, call=call: (calls.append(name), call(*given))[1])
    write_text(path, "text")
    assert calls == ["fsync", "replace"]


def test_asking_whether_a_process_lives_sends_it_no_signal() -> None:
    got: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: got.append(number))  # signal 1
    try:
        assert files._alive(str(os.getpid()))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert got == []


def test_a_folder_being_written_is_locked_against_cleaning_up(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    with atomic_folder(tmp_path / "set") as new:
        (new / "file").write_text("slow")
        with (new.parent / "lock").open("rb") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder_with(tmp_path / "set", "quick")
        assert (new / "file").exists()
    assert (tmp_path / "set" / "file").read_text() == "slow"


def test_an_empty_folder_that_a_killed_process_left_before_locking_it_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "not" / "there" / "set"
    folder_with(target, "old")
    (target.parent / ".set.abc.new").mkdir()
    folder_with(target, "new")
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("at", ["writing", "swapping"])
def test_what_a_killed_process_leaves_is_repaired(tmp_path: Path, at: str) -> None:
    """`kill -9` while the folder is written, and between the two renames: the old folder is back at the next call."""
    target = tmp_path / "set"
    folder_with(target, "old")
    script = f"""
import os, signal
from pathlib import Path
from crossin_metrics.files import atomic_folder
replace = os.replace
def kill_after(source, target):
    replace(source, target)
    os.kill(os.getpid(), signal.SIGKILL)
os.replace = kill_after
with atomic_folder(Path({str(target)!r})) as new:
    (new / "file").write_text("new")
    if {at == "writing"}:
        os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    assert target.exists() == (at == "writing")
    with atomic_folder(target):
        assert (target / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_writers_of_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    target = tmp_path / "set"
    with atomic_folder(target) as slow:
        (slow / "file").write_text("slow")
        folder_with(target, "quick")  # does not remove what the other has begun
        assert (target / "file").read_text() == "quick"
    assert (target / "file").read_text() == "slow"


def test_only_a_folder_of_the_same_kind_is_replaceable(tmp_path: Path) -> None:
    def check(name: str) -> bool:
        own = {"a.txt", "sub/b.txt"}
        return check_replaceable(tmp_path / name, "marker.json", "mix", lambda: own if name != "damaged" else {}["own"])

    write_text(tmp_path / "file", "")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("ours", "damaged", "mixed"):
        write_json(tmp_path / name / "marker.json", {})
    write_text(tmp_path / "ours" / "sub" / "b.txt", "")
    write_text(tmp_path / "mixed" / "sub" / "c.txt", "")
    write_text(tmp_path / "other" / "a.txt", "")
    (tmp_path / "empty").mkdir()
    assert [check(name) for name in ("absent", "empty", "ours")] == [False, False, True]
    for name, message in (
        ("file", "not a folder"),
        ("link", "not a folder"),
        ("other", "holds files but no mix"),
        ("damaged", "marker.json is damaged"),
        ("mixed", "holds sub/c.txt, which does not belong to the mix"),
    ):
        with pytest.raises(CrossinError, match=f"{name}: .*{message}"):
            check(name)
    with pytest.raises(CrossinError, match="cannot write"):
        folder_with(tmp_path / "file", "new")
    assert (tmp_path / "file").is_file()


def test_json_is_written_as_it_is_read(tmp_path: Path) -> None:
    rows: list[object] = [{"b": "é", "a": [1, None]}, {}, 3]
    assert write_jsonl(tmp_path / "a.jsonl", iter(rows)) == 3
    assert (tmp_path / "a.jsonl").read_bytes() == '{"b": "é", "a": [1, null]}\n{}\n3\n'.encode()
    assert write_jsonl(tmp_path / "none.jsonl", []) == 0
    write_json(tmp_path / "a.json", {"b": "é", "a": Path("x")})
    assert (tmp_path / "a.json").read_bytes() == '{\n "b": "é",\n "a": "x"\n}\n'.encode()
    assert read_json(tmp_path / "a.json") == {"b": "é", "a": "x"}
    for name in ("absent.json", "none.jsonl", "a.jsonl"):
        assert read_json(tmp_path / name) is None
    write_text(tmp_path / "list.json", "[1]\r\n")
    assert (tmp_path / "list.json").read_bytes() == b"[1]\r\n"
    assert read_json(tmp_path / "list.json") is None
    assert canonical({"b": 1, "a": ["é"]}) == canonical({"a": ["é"], "b": 1}) == '{"a":["é"],"b":1}'


KILLED = """
import os, signal, sys
from pathlib import Path
from crossin_metrics import files
target = Path(sys.argv[1])
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
{patch}
with files.{function}(target) as new:
    {write}
"""


@pytest.mark.parametrize(
    ("function", "patch", "write"),
    [
        ("atomic_path", "os.replace = die", "new.write_text('half')"),
        ("atomic_folder", "files._locked = die", "pass"),  # made, and neither locked nor named yet
        ("atomic_folder", "Path.rename = die", "pass"),
        ("atomic_folder", "os.replace = die", "(new / 'a').write_text('half')"),
    ],
)
def test_what_a_killed_process_left_is_removed_by_the_next(
    tmp_path: Path, function: str, patch: str, write: str
) -> None:
    target = tmp_path / "out[1]"
    script = KILLED.format(function=function, patch=patch, write=write)
    done = subprocess.run([sys.executable, "-c", script, str(target)], check=False, cwd=Path(__file__).parents[1])
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    if function == "atomic_path":
        write_text(target, "new")
    else:
        with atomic_folder(target) as new:
            (new / "a").write_text("new")
    assert list(tmp_path.iterdir()) == [target]


def test_only_the_leftovers_of_dead_processes_are_removed_and_living_ones_are_not_disturbed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with atomic_path(path) as own:
            own.write_text("text")
            pid = f".{os.getpid()}."
            leftover = own.with_name(own.name.replace(pid, f".{other.pid}."))
        leftover.write_text("half")
        write_text(path, "while it lives")
        assert leftover.exists()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    write_text(path, "now it is dead")
    assert path.read_text() == "now it is dead"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]
