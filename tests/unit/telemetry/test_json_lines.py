from __future__ import annotations

import fcntl
import multiprocessing
import os
import resource
import signal
import stat
import threading
from pathlib import Path

import pytest

from sumun.telemetry.json_lines import JsonLines


def test_lines_are_appended_to_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"before\n")
    path.unlink()
    sink = JsonLines(path)
    sink.write([b"one\n", b"two\n"])
    sink.close()
    sink.write([b"three\n"])
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("how", ["renamed", "removed", "truncated"])
def test_rotation_loses_nothing(tmp_path: Path, how: str) -> None:
    path, rotated = tmp_path / "events.jsonl", tmp_path / "events.jsonl.1"
    sink = JsonLines(path)
    sink.write([b"one\n"])
    if how == "renamed":
        path.rename(rotated)
    elif how == "removed":
        path.unlink()
    else:
        os.truncate(path, 0)
    sink.write([b"two\n"])
    assert path.read_bytes() == b"two\n"
    assert how != "renamed" or rotated.read_bytes() == b"one\n"


def test_half_a_line_of_a_killed_process_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"half":')
    JsonLines(path).write([b"whole\n"])
    assert path.read_bytes() == b'{"half":\nwhole\n'


def test_a_write_that_the_disk_cuts_short_is_taken_back(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: the kernel writes a part, then refuses."""
    path = tmp_path / "events.jsonl"
    process = multiprocessing.get_context("spawn").Process(target=_fill, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert path.read_bytes() == b"a" * 99 + b"\n"


def _fill(path: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, 150))
    sink = JsonLines(path)
    sink.write([b"a" * 99 + b"\n"])
    with pytest.raises(OSError, match="too large"):
        sink.write([b"b" * 99 + b"\n"])


def test_processes_share_the_file_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(path, letter)) for letter in (b"a", b"b", b"c")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = path.read_bytes().splitlines()
    assert len(lines) == 3 * 200 * 2
    assert all(len(line) == 5000 and len(set(line)) == 1 for line in lines)


def _write_many(path: Path, letter: bytes) -> None:
    sink = JsonLines(path)
    for _ in range(200):
        sink.write([letter * 5000 + b"\n"] * 2)


def test_a_write_waits_for_that_of_another_process(tmp_path: Path) -> None:
    """Guards the taking back of a short write: it would take the lines of another with it."""
    path = tmp_path / "events.jsonl"
    with path.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        writing = threading.Thread(target=JsonLines(path).write, args=([b"one\n"],))
        writing.start()
        writing.join(0.1)
        assert writing.is_alive()
        assert path.read_bytes() == b""
    writing.join(10)
    assert path.read_bytes() == b"one\n"


def test_a_folder_that_is_missing_is_a_fault_of_the_moment(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "later" / "events.jsonl")
    with pytest.raises(FileNotFoundError):
        sink.write([b"one\n"])
    (tmp_path / "later").mkdir()
    sink.write([b"one\n"])
    assert (tmp_path / "later" / "events.jsonl").read_bytes() == b"one\n"
