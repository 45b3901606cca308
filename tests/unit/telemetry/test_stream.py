from __future__ import annotations

import os

import pytest

from sumun.telemetry.stream import Stream


def test_lines_go_out_whole_and_the_descriptor_stays_open() -> None:
    reader, writer = os.pipe()
    sink = Stream(writer)
    sink.write([b"one\n", b"two\n"])
    sink.close()
    sink.write([b"three\n"])
    assert os.read(reader, 100) == b"one\ntwo\nthree\n"
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        sink.write([b"four\n"])
    os.close(writer)
