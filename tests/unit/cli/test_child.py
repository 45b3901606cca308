"""A process that becomes the parent of orphans; pytest itself had better not."""

from __future__ import annotations

import subprocess
import sys

_PRELUDE = """
import asyncio, os, signal, sys
from pathlib import Path
from sumun.cli.child import Children

def orphan(do):
    "The id of a process that its parent has left."
    read, write = os.pipe()
    if not (between := os.fork()):
        if not os.fork():
            os.write(write, str(os.getpid()).encode())
            do()
            os._exit(0)
        os._exit(0)
    os.waitpid(between, 0)
    os.close(write)
    with os.fdopen(read) as told:
        return int(told.readline() if do is at_once else os.read(read, 32))

def at_once():
    os._exit(3)

def for_ever():
    signal.pause()
"""


def run(program: str) -> str:
    """What a program says; it is forked before its loop runs, as the real ones are."""
    command = [sys.executable, "-c", _PRELUDE + program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_end_of_a_child_is_seen_however_early() -> None:
    assert run("""
import ctypes
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
early, late = orphan(at_once), orphan(for_ever)
os.waitid(os.P_PID, early, os.WEXITED | os.WNOWAIT)

async def main():
    children = Children()
    first, second = children.adopt(early), children.adopt(late)
    print(first.returncode, second.returncode)
    await first.wait()
    second.kill()
    await second.wait()
    second.terminate()  # it is no more, and nobody else is meant
    print(first.returncode, second.returncode)
asyncio.run(main())
""").split("\n") == ["3 None", "3 -9", ""]


def test_the_dead_that_nobody_waits_for_are_buried_and_others_left_alone() -> None:
    assert run("""
import ctypes
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
stray, ours = orphan(for_ever), orphan(for_ever)

async def main():
    children = Children()
    child = children.adopt(ours)
    with children.expecting() as others:
        elsewhere = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(5)")
        others.add(elsewhere.pid)
    os.kill(stray, signal.SIGKILL)
    while Path(f"/proc/{stray}").exists():
        await asyncio.sleep(0.01)
    print(await elsewhere.wait())
    others.discard(elsewhere.pid)
    child.terminate()
    await child.wait()
    print(child.returncode)
asyncio.run(main())
""").split() == ["5", "-15"]
