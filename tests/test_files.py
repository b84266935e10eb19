"""Atomic writes under disturbance: whose leftovers are dead, and who is only not done yet."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gtr_beir import files
from gtr_beir.errors import StoreError
from gtr_beir.files import atomic_folder, atomic_write, lock, read_json, remove_leftovers

WAYS = ("file", "folder")
NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")
WEEK = 7 * 24 * 3600

WRITER = """
    import sys
    from pathlib import Path
    from gtr_beir.files import atomic_folder, atomic_write

    way, final = sys.argv[1], Path(sys.argv[2])
    with (atomic_write if way == "file" else atomic_folder)(final) as opened:
        if way == "file":
            opened.write(b"whole")
        else:
            (opened / "part").write_bytes(b"whole")
        print("at work", flush=True)
        sys.stdin.readline()
"""
CLEANER = """
    import sys
    from pathlib import Path
    from gtr_beir.files import remove_leftovers

    remove_leftovers(Path(sys.argv[1]))
"""


def command(code: str, *arguments: str | Path, before: tuple[str, ...] = ()) -> list[str]:
    return [*before, sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]


@contextlib.contextmanager
def writer(way: str, final: Path, before: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """A process that has written half, and ends the rest when it is told."""
    process = subprocess.Popen(
        command(WRITER, way, final, before=before),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "at work\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen[str], final: Path) -> None:
    process.communicate("go on\n")
    assert process.returncode == 0
    assert written(final) == b"whole"
    assert names(final.parent) == [final.name]


def write(way: str, final: Path, value: bytes = b"whole") -> None:
    if way == "file":
        with atomic_write(final) as handle:
            handle.write(value)
    else:
        with atomic_folder(final) as folder:
            (folder / "part").write_bytes(value)


def written(final: Path) -> bytes:
    return (final / "part" if final.is_dir() else final).read_bytes()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def temporary_of(folder: Path) -> Path:
    (found,) = [path for path in folder.iterdir() if path.name.startswith(".tmp-")]
    return found


def namespace() -> tuple[str, ...]:
    """What starts a process that has process numbers of its own, as a container does."""
    try:
        tried = subprocess.run([*NAMESPACE, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare command")
    if tried.returncode:
        pytest.skip(f"no new pid namespace can be made: {tried.stderr.strip()}")
    return NAMESPACE


# who lives and who is dead ------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_writer_in_another_process_is_left_alone(way: str, tmp_path: Path) -> None:
    with writer(way, tmp_path / "final") as process:
        before = names(tmp_path)
        assert str(process.pid) not in before[0], "no name says a process number"
        remove_leftovers(tmp_path)
        assert names(tmp_path) == before
        finish(process, tmp_path / "final")


@pytest.mark.parametrize("way", WAYS)
def test_a_writer_that_a_container_cannot_see_is_left_alone(way: str, tmp_path: Path) -> None:
    """The cleaner has process numbers of its own: the writer's is nobody's there."""
    before = namespace()
    with writer(way, tmp_path / "final") as process:
        subprocess.run(command(CLEANER, tmp_path, before=before), check=True)
        finish(process, tmp_path / "final")


@pytest.mark.parametrize("way", WAYS)
def test_a_writer_in_a_container_is_left_alone(way: str, tmp_path: Path) -> None:
    with writer(way, tmp_path / "final", namespace()) as process:
        remove_leftovers(tmp_path)
        finish(process, tmp_path / "final")


@pytest.mark.parametrize("way", WAYS)
def test_a_writer_in_this_process_is_left_alone(way: str, tmp_path: Path) -> None:
    final = tmp_path / "final"
    with (atomic_write if way == "file" else atomic_folder)(final):
        remove_leftovers(tmp_path)
    assert names(tmp_path) == ["final"]


@pytest.mark.parametrize("way", WAYS)
def test_what_a_killed_writer_left_is_removed(way: str, tmp_path: Path) -> None:
    with writer(way, tmp_path / "final") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert temporary_of(tmp_path).exists()
        remove_leftovers(tmp_path)
        assert names(tmp_path) == []


def test_a_number_in_a_name_means_nothing(tmp_path: Path) -> None:
    """A leftover is as dead if its name holds the number of a process that runs."""
    (tmp_path / f".tmp-{os.getpid()}-abcdef12-a").mkdir()
    (tmp_path / f".tmp-{os.getppid()}-abcdef12-b").touch()
    (tmp_path / "other").touch()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["other"]


def test_children_that_were_forked_do_not_keep_a_folder_locked(tmp_path: Path) -> None:
    """A child has the descriptors of its parent; the lock still ends with the writing."""
    read, wake = os.pipe()
    with atomic_folder(tmp_path / "final") as folder:
        (folder / "part").touch()
        child = os.fork()
        if child == 0:
            os.close(wake)
            os.read(read, 1)
            os._exit(0)
    try:
        replaced = threading.Thread(target=write, args=("folder", tmp_path / "final"), daemon=True)
        replaced.start()
        replaced.join(10)
        assert not replaced.is_alive(), "it waits for the child"
    finally:
        os.close(wake)
        os.close(read)
        os.waitpid(child, 0)
    assert written(tmp_path / "final") == b"whole"


# a cleaner between two steps of a writer ----------------------------------------------------------


def interrupt_first(
    monkeypatch: pytest.MonkeyPatch, holder: Any, name: str, act: Callable[..., None]
) -> list[int]:
    """Call `act` with the arguments of the first call of a function, just before that call."""
    real, calls = getattr(holder, name), [0]

    def interrupted(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == 1:
            act(*arguments)
        return real(*arguments)

    monkeypatch.setattr(holder, name, interrupted)
    return calls


@pytest.mark.parametrize("way", WAYS)
def test_a_cleaner_between_making_and_locking(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was made is deleted before it could be locked; the writer takes another name."""
    seen = []

    def clean(*_: object) -> None:
        seen.extend(names(tmp_path))
        remove_leftovers(tmp_path)
        assert names(tmp_path) == []

    calls = interrupt_first(monkeypatch, files, "_hold", clean)
    write(way, tmp_path / "final")
    assert calls[0] == 2
    assert len(seen) == 1
    assert written(tmp_path / "final") == b"whole"
    assert names(tmp_path) == ["final"]


def test_a_cleaner_between_making_a_folder_and_opening_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_first(monkeypatch, os, "open", lambda path, _: os.rmdir(path))  # noqa: PTH106
    write("folder", tmp_path / "final")
    assert names(tmp_path) == ["final"]


@pytest.mark.parametrize("way", WAYS)
def test_a_cleaner_that_has_the_lock_and_has_not_deleted_yet(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []

    def claim(_: int, path: Path) -> None:
        taken.append(os.open(path, os.O_RDONLY))
        fcntl.flock(taken[0], fcntl.LOCK_EX | fcntl.LOCK_NB)

    calls = interrupt_first(monkeypatch, files, "_hold", claim)
    write(way, tmp_path / "final")
    os.close(taken[0])
    assert calls[0] == 2
    assert names(tmp_path) == ["final"]


@pytest.mark.parametrize(("way", "step"), [("file", "replace"), ("folder", "rename")])
def test_a_cleaner_just_before_the_final_name(
    way: str, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written, flushed, not yet renamed: still its writer's."""
    calls = interrupt_first(monkeypatch, Path, step, lambda *_: remove_leftovers(tmp_path))
    write(way, tmp_path / "final")
    assert calls[0] == 1
    assert written(tmp_path / "final") == b"whole"


# replacing a folder -------------------------------------------------------------------------------


def moved_away(monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], None]) -> list[Path]:
    """Call `act` each time after a folder that is replaced was moved away."""
    real, seen = Path.rename, []

    def rename(path: Path, target: Path) -> Path:
        result = real(path, target)
        if target.name.startswith(".old-"):
            seen.append(target)
            act(target)
        return result

    monkeypatch.setattr(Path, "rename", rename)
    return seen


def test_a_folder_is_replaced(tmp_path: Path) -> None:
    final = tmp_path / "final"
    write("folder", final, b"old")
    kept = (final / "part").open("rb")
    write("folder", final, b"new")
    assert written(final) == b"new"
    assert kept.read() == b"old", "whoever has its files open keeps them"
    kept.close()
    assert names(tmp_path) == ["final"]


def test_a_cleaner_does_not_give_back_what_is_being_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final = tmp_path / "final"
    write("folder", final, b"old")

    def clean(old: Path) -> None:
        remove_leftovers(tmp_path)
        assert old.exists()
        assert not final.exists()

    seen = moved_away(monkeypatch, clean)
    write("folder", final, b"new")
    assert len(seen) == 1
    assert written(final) == b"new"
    assert names(tmp_path) == ["final"]


def test_two_that_replace_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One takes the name while the other has it moved away; both end, and the last stays."""
    final = tmp_path / "final"
    write("folder", final, b"old")
    others = []

    def other(_: Path) -> None:
        if not others:
            others.append("other")
            write("folder", final, b"other's")

    seen = moved_away(monkeypatch, other)
    write("folder", final, b"new")
    assert len(seen) == 2
    assert written(final) == b"new"
    assert names(tmp_path) == ["final"]


def test_many_that_replace_the_same_folder(tmp_path: Path) -> None:
    final = tmp_path / "final"
    code = """
        import sys
        from pathlib import Path
        from gtr_beir.files import atomic_folder, remove_leftovers

        for turn in range(60):
            with atomic_folder(Path(sys.argv[1])) as folder:
                for name in ("a", "b"):
                    (folder / name).write_text(f"{sys.argv[2]} {turn}")
            remove_leftovers(Path(sys.argv[1]).parent)
    """
    workers = [subprocess.Popen(command(code, final, str(number))) for number in range(3)]
    while any(worker.poll() is None for worker in workers):
        remove_leftovers(tmp_path)
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert names(tmp_path) == ["final"]
    assert (final / "a").read_text() == (final / "b").read_text()


def test_a_replacement_that_was_killed_in_between(tmp_path: Path) -> None:
    """Between two renames nothing has the name: the next who looks gives it back."""
    final = tmp_path / "final"
    write("folder", final, b"old")
    code = """
        import os, signal, sys
        from pathlib import Path
        from gtr_beir.files import atomic_folder

        real = Path.rename
        def rename(path, target):
            real(path, target)
            if target.name.startswith(".old-"):
                os.kill(os.getpid(), signal.SIGKILL)
        Path.rename = rename
        with atomic_folder(Path(sys.argv[1])) as folder:
            (folder / "part").write_bytes(b"new")
    """
    killed = subprocess.run(command(code, final), check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not final.exists()
    assert len(names(tmp_path)) == 2
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["final"]
    assert written(final) == b"old"


def old(folder: Path, token: str, value: bytes) -> Path:
    path = folder / f".old-{token}-final"
    path.mkdir()
    (path / "part").write_bytes(value)
    time.sleep(0.02)  # the clock of a file system ticks slowly
    return path


def test_an_old_folder_whose_replacement_is_there_is_removed(tmp_path: Path) -> None:
    old(tmp_path, "0123456789ab", b"old")
    write("folder", tmp_path / "final", b"new")
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["final"]
    assert written(tmp_path / "final") == b"new"


@pytest.mark.parametrize("order", [("a" * 12, "b" * 12), ("b" * 12, "a" * 12)])
def test_the_newest_old_folder_is_given_back(order: tuple[str, str], tmp_path: Path) -> None:
    """Two replacements were killed one after the other, and nobody looked in between."""
    old(tmp_path, order[0], b"first")
    old(tmp_path, order[1], b"second")
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["final"]
    assert written(tmp_path / "final") == b"second"


def test_an_older_one_is_not_given_back_while_a_replacement_is_under_way(tmp_path: Path) -> None:
    old(tmp_path, "a" * 12, b"first")
    living = old(tmp_path, "b" * 12, b"second")
    descriptor = os.open(living, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    remove_leftovers(tmp_path)
    os.close(descriptor)
    assert names(tmp_path) == [living.name]


def test_a_name_that_is_taken_while_it_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old(tmp_path, "0123456789ab", b"old")
    interrupt_first(
        monkeypatch, Path, "rename", lambda *_: write("folder", tmp_path / "final", b"new")
    )
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["final"]
    assert written(tmp_path / "final") == b"new"


def test_the_place_is_left_as_it_was_where_the_new_folder_cannot_have_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final = tmp_path / "final"
    write("folder", final, b"old")

    def fail(*_: object) -> None:
        monkeypatch.setattr(Path, "rename", broken)

    real = Path.rename

    def broken(path: Path, target: Path) -> Path:
        if path.name.startswith(".tmp-"):
            raise OSError(errno.ENOSPC, "full")
        return real(path, target)

    moved_away(monkeypatch, fail)
    with pytest.raises(StoreError, match="the disk is full"):
        write("folder", final, b"new")
    assert names(tmp_path) == ["final"]
    assert written(final) == b"old"


def test_a_file_or_a_link_under_the_name_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").touch()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").write_text("x")
    for name in ("link", "file"):
        write("folder", tmp_path / name)
        assert written(tmp_path / name) == b"whole"
    assert names(tmp_path) == ["elsewhere", "file", "link"]
    assert names(tmp_path / "elsewhere") == ["mine"]
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    with pytest.raises(StoreError, match="cannot be written"):
        write("folder", tmp_path / "nowhere")


# file systems without locks -----------------------------------------------------------------------


@pytest.fixture(params=["ENOSYS", "ENOLCK", "EOPNOTSUPP", "EBADF"])
def without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    number = getattr(errno, request.param)

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("without_locks")
@pytest.mark.parametrize("way", WAYS)
def test_without_locks_files_and_folders_are_written(way: str, tmp_path: Path) -> None:
    final = tmp_path / "final"
    write(way, final, b"old")
    write(way, final, b"new")
    assert written(final) == b"new"
    assert names(tmp_path) == ["final"]


@pytest.mark.usefixtures("without_locks")
def test_without_locks_only_what_is_old_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".tmp-0123456789ab-file").touch()
    (tmp_path / ".tmp-0123456789ab-folder").mkdir()
    replaced = old(tmp_path, "0123456789ab", b"old")
    os.utime(replaced, (0, 0))  # old content; it was moved away just now
    os.utime(replaced / "part", (0, 0))
    before, now = names(tmp_path), time.time()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == before
    monkeypatch.setattr(time, "time", lambda: now + WEEK - 60)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == before
    monkeypatch.setattr(time, "time", lambda: now + WEEK + 60)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["final"]
    assert written(tmp_path / "final") == b"old"


@pytest.mark.usefixtures("without_locks")
def test_without_locks_a_folder_is_as_young_as_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A week of writing to one file changes nothing of the folder itself."""
    at_work = tmp_path / ".tmp-0123456789ab-folder"
    (at_work / "deep").mkdir(parents=True)
    (at_work / "deep" / "part").write_bytes(b"half")
    later = time.time() + 2 * WEEK
    os.utime(at_work / "deep" / "part", (later, later))
    monkeypatch.setattr(time, "time", lambda: later + 60)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == [at_work.name]


@pytest.mark.usefixtures("without_locks")
def test_without_locks_the_work_goes_on_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    with lock(tmp_path / "a.lock", say=said.append) as waited:
        assert not waited
    assert len(said) == 1
    assert f"the file system of {tmp_path} has no locks" in said[0]


# locks by name ------------------------------------------------------------------------------------


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    said: list[str] = []
    order: list[str] = []

    def second() -> None:
        with lock(tmp_path / "a.lock", say=said.append) as waited:
            order.append(f"second, waited {waited}")

    with lock(tmp_path / "a.lock", say=said.append) as waited:
        assert not waited
        other = threading.Thread(target=second)
        other.start()
        while not said:
            time.sleep(0.01)
        order.append("first")
    other.join()
    assert order == ["first", "second, waited True"]
    assert said == ["another process is working on a; waiting for it"]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000])
def test_deep_json_is_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(StoreError, match=r"a.json is damaged .*; delete it and run again"):
        read_json(tmp_path / "a.json")


def test_json_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("[1, 2]")
    assert read_json(path, most=6) == [1, 2]
    with pytest.raises(StoreError, match=r"a.json is larger than 5 bytes"):
        read_json(path, most=5)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(StoreError, match=r"a.json is not a file"):
        read_json(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StoreError, match=r"a.json is not a file"):
        read_json(path)
