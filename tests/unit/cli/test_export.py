"""``sumun export``, as an administrator types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sumun.cli.app import cli

CONFIG = """\
version: 1
state: {state}
segments:
  closed:
    networks: [10.0.0.0/8]
    rules:
      - {{id: boss, action: allow, clients: [10.0.0.0/30]}}
      - {{id: ok, action: allow, domains: [ok.one.example]}}
      - {{id: near, action: block, lists: [near], domains: [one.example]}}
      - {{id: only, action: block, domains: [{{name: only.example, match: exact}}]}}
{more}
lists: [{{id: near, path: {near}, format: adblock}}]
"""
OPEN = "  open: {networks: [10.0.0.0/16], default: block}\n  nobody: {}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write(tmp_path)


def write(folder: Path, more: str = "") -> Path:
    near = folder / "near.txt"
    near.write_text("||one.example^\n@@||fine.one.example^\n||*-x.two.example^\n")
    path = folder / "sumun.yaml"
    path.write_text(CONFIG.format(state=folder / "state", near=near, more=more))
    return path


def run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["export", *words], env={"SUMUN_CONFIG": str(config), "NO_COLOR": "1"})


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith(("#", "!", ";"))]


def test_writes_what_the_one_segment_blocks(config: Path) -> None:
    done = run(config, "adblock")
    assert done.exit_code == 0
    assert lines(done.stdout) == ["||one.example^", "|only.example^", "@@||fine.one.example^", "@@||ok.one.example^"]
    assert done.stdout.startswith("! Sumun: what segment closed blocks\n! policy revision ")
    assert "4 entries in the format adblock" in done.stderr
    assert "what rules say of some clients or users only (boss)" in done.stderr


def test_tells_what_a_format_cannot_say_and_writes_nothing_if_that_is_asked(config: Path, tmp_path: Path) -> None:
    done = run(config, "squid")
    assert (done.exit_code, lines(done.stdout)) == (0, ["only.example"])
    assert "1 left out: the format has no way to say an exception to it: one.example" in done.stderr
    strict = run(config, "squid", "--strict", "-o", str(tmp_path / "out"))
    assert (strict.exit_code, (tmp_path / "out").exists()) == (1, False)
    assert "cannot say everything" in strict.stderr


def test_a_list_is_written_with_its_exceptions(config: Path) -> None:
    done = run(config, "rpz", "--list", "near")
    assert done.exit_code == 0
    assert lines(done.stdout)[3:] == [
        "one.example CNAME .",
        "*.one.example CNAME .",
        "fine.one.example CNAME rpz-passthru.",
        "*.fine.one.example CNAME rpz-passthru.",
    ]
    assert "1 left out: the format has no way to say patterns: *-x.two.example" in done.stderr


def test_a_file_is_put_in_place_whole(config: Path, tmp_path: Path) -> None:
    path = tmp_path / "zone"
    path.write_text("old")
    assert run(config, "bind", "-o", str(path)).stdout == ""
    assert path.read_text().startswith("; Sumun")
    assert {found.name for found in tmp_path.iterdir()} == {"zone", "near.txt", "sumun.yaml"}
    missing = run(config, "bind", "-o", str(tmp_path / "no" / "zone"))
    assert (missing.exit_code, "no such file" in missing.stderr.lower()) == (2, True)


def test_several_segments_have_to_be_told_apart(tmp_path: Path) -> None:
    config = write(tmp_path, OPEN)
    asked = run(config, "hosts")
    assert (asked.exit_code, "name one with `--segment`: closed, open, nobody" in asked.stderr) == (2, True)
    assert "did you mean `closed`?" in run(config, "hosts", "--segment", "close").stderr
    assert "no client is ever in segment `nobody`" in run(config, "hosts", "--segment", "nobody").stderr
    everything = run(config, "domains", "--segment", "open")
    assert "names that nothing is known of, which this segment blocks too" in everything.stderr
    assert "give one of them" in run(config, "hosts", "--segment", "open", "--list", "near").stderr
    assert "did you mean `near`?" in run(config, "hosts", "--list", "neer").stderr
