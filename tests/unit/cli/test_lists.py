"""``sumun lists``, as an administrator types it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from sumun.cli.app import cli
from tests.support.list_server import list_server, serving
from tests.support.signing import Signer

URL = "https://lists.example/far.txt"
CONFIG = """\
version: 1
state: {state}
segments: {{a: {{networks: [10.0.0.0/8]}}}}
lists:
  - {{id: far, url: '{url}'{more}}}
  - {{id: near, path: {near}}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write(tmp_path)


def write(folder: Path, more: str = "") -> Path:
    near = folder / "near.txt"
    near.write_text("one.example\nbing.com\nnot a name\n")
    path = folder / "sumun.yaml"
    path.write_text(CONFIG.format(state=folder / "state", near=near, url=URL, more=more))
    return path


def run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["lists", *words], env={"SUMUN_CONFIG": str(config), "NO_COLOR": "1"})


def carried(folder: Path, text: str, name: str = "far.txt") -> Path:
    (folder / "usb").mkdir(exist_ok=True)
    (folder / "usb" / name).write_text(text)
    return folder / "usb"


def test_the_bare_command_tells_the_state_of_every_list(config: Path) -> None:
    lines = run(config).stdout.splitlines()
    assert [line.split()[0] for line in lines[:6]] == [
        "list",
        "deepseek-lookalikes",
        "dns-bypass",
        "tunnels",
        "far",
        "near",
    ]
    assert "never fetched" in lines[4]
    assert lines[5].split()[-3:] == ["domains", "1", "2"]
    assert "prints the lines that were refused" in lines[6]


def test_show_prints_every_refusal_with_its_line(config: Path) -> None:
    shown = run(config, "show", "near").stdout.splitlines()
    assert shown[0] == "near: 1 entry, 2 lines refused"
    assert shown[1].split(maxsplit=2)[:2] == ["2", "bing.com"]
    assert "which others need" in shown[1]
    found = json.loads(run(config, "show", "near", "--json", "--entries").stdout)
    assert [refusal["line"] for refusal in found["refusals"]] == [2, 3]
    assert found["names"] == ["one.example"]
    assert run(config, "show", "near", "--entries").stdout == "one.example\n"


def test_a_list_that_is_not_there_is_told_with_what_to_do(config: Path) -> None:
    missing = run(config, "show", "far")
    assert (missing.exit_code, "`sumun lists update far` fetches it" in missing.stderr) == (1, True)
    assert "did you mean `near`?" in run(config, "show", "neer").stderr
    assert "is no subscription: it has no `url`" in run(config, "update", "near").stderr


def test_a_list_is_taken_from_a_folder_that_was_carried_here(config: Path, tmp_path: Path) -> None:
    usb = carried(tmp_path, "two.example\nthree.example\n")
    taken = run(config, "update", "--from", str(usb))
    assert (taken.exit_code, taken.stdout) == (0, "far: updated, 2 entries, 0 lines refused\n")
    state = json.loads(run(config, "status", "--json").stdout)["lists"][3]
    assert (state["id"], state["entries"], state["outcome"], state["message"]) == ("far", 2, "updated", "")
    assert state["age_seconds"] < 60

    carried(tmp_path, "<html>")
    refused = run(config, "update", "far", "--from", str(usb / "far.txt"))
    assert (refused.exit_code, "far: it is a web page" in refused.stdout) == (1, True)
    state = json.loads(run(config, "status", "--json").stdout)["lists"][3]
    assert (state["entries"], state["outcome"]) == (2, "html")


def test_what_was_carried_here_must_be_signed_as_well(tmp_path: Path) -> None:
    signer, text = Signer(), "two.example\n"
    config = write(tmp_path, f", public_key: '{signer.public_key}'")
    usb = carried(tmp_path, text)
    assert "far.txt.minisig`: no such file" in run(config, "update", "--from", str(usb)).stdout
    carried(tmp_path, signer.minisign("three.example\n", 1), "far.txt.minisig")
    assert "not one of this list by this key" in run(config, "update", "--from", str(usb)).stdout
    carried(tmp_path, signer.minisign(text, 1), "far.txt.minisig")
    assert run(config, "update", "--from", str(usb)).exit_code == 0


def test_verify_takes_nothing(config: Path, tmp_path: Path) -> None:
    path = carried(tmp_path, "two.example\nbing.com\n" + "".join(f"n{n}.example\n" for n in range(9))) / "far.txt"
    verified = run(config, "verify", str(path))
    assert verified.exit_code == 0
    assert f"{path}: 10 entries, 1 line refused" in verified.stdout.replace("\n", " ")
    assert "`bing.com` would take down `bing.com`" in verified.stdout
    path.write_text("0.0.0.0 a.example\n" * 3)
    words = ["verify", str(path)]
    formats = ("domains", "hosts", "auto")
    assert [run(config, *words, "--format", form).exit_code for form in formats] == [1, 0, 0]
    assert "is not an `https://` address" in run(config, "verify", "none.txt").stderr
    assert not (tmp_path / "state" / "lists").exists()


def test_exceptions_are_counted_and_are_not_among_the_names(tmp_path: Path) -> None:
    config = write(tmp_path)
    config.write_text(config.read_text().replace("near.txt}", "near.txt, format: adblock}"))
    (tmp_path / "near.txt").write_text("||a.example^\n@@||ok.a.example^\n||b.example^$dnstype=A\n")
    shown = run(config, "show", "near").stdout
    assert shown.startswith("near: 1 entry, 1 exception, 1 line refused\n")
    assert "asks for some record types only" in shown
    assert run(config, "show", "near", "--entries").stdout == "a.example\n"
    assert json.loads(run(config, "status", "--json").stdout)["lists"][4]["exceptions"] == 1


@contextmanager
def published(content: str) -> Iterator[str]:
    """A list server in a thread of its own; gives the address of the list."""
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    urls: list[str] = []

    async def serve() -> None:
        async with list_server(serving(content)) as server:
            urls.append(server.url)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(30)
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()


@pytest.mark.integration
def test_diff_says_what_would_come_and_go_and_takes_nothing(tmp_path: Path) -> None:
    with published("||two.example^\n|three.example^\n@@||ok.two.example^\n") as url:
        config = tmp_path / "sumun.yaml"
        write(tmp_path, ", format: adblock")
        config.write_text(config.read_text().replace(URL, url))
        run(config, "update", "--from", str(carried(tmp_path, "||two.example^\n||three.example^\n||four.example^\n")))
        compared = run(config, "diff", "far")
        assert compared.exit_code == 1
        assert compared.stdout.splitlines() == [
            "- four.example",
            "- three.example",
            "+ ok.two.example  (exception)",
            "+ three.example  (this name alone)",
        ]
        assert "2 entries more, 2 fewer" in compared.stderr
        told = json.loads(run(config, "diff", "far", "--json").stdout)
        assert told["removed"] == ["four.example", "three.example"]
        assert run(config, "show", "far", "--entries").stdout == "four.example\nthree.example\ntwo.example\n"
        assert run(config, "update", "far").exit_code == 0
        same = run(config, "diff", "far")
        assert (same.exit_code, same.stdout) == (0, "")
    assert "is no subscription" in run(config, "diff", "near").stderr
    gone = run(config, "diff", "far")
    assert (gone.exit_code, gone.stdout) == (1, "")
    assert gone.stderr.startswith("sumun: ")


@pytest.mark.integration
def test_verify_reads_what_is_published(config: Path) -> None:
    with published("two.example\nthree.example\nbing.com\n" + "".join(f"n{n}.example\n" for n in range(9))) as url:
        verified = run(config, "verify", url, "--json")
        assert verified.exit_code == 0
        told = json.loads(verified.stdout)
        assert (told["entries"], [refusal["line"] for refusal in told["refusals"]]) == (11, [3])


def test_a_broken_configuration_is_told_with_its_faults(tmp_path: Path) -> None:
    path = write(tmp_path, ", colour: red")
    told = run(path, "status")
    assert told.exit_code == 2
    assert "unknown key `colour`" in told.stderr


def test_names_are_completed(config: Path) -> None:
    complete = ShellComplete(cli, {}, "sumun", "_SUMUN_COMPLETE")
    words = ["lists", "show", "--config", str(config)]
    assert [item.value for item in complete.get_completions(words, "")] == [
        "deepseek-lookalikes", "dns-bypass", "tunnels", "far", "near",
    ]  # fmt: skip
    assert [item.value for item in complete.get_completions(words, "n")] == ["near"]


def test_the_catalogue_is_found_in_order() -> None:
    linted = CliRunner().invoke(cli, ["services", "lint", "--json"])
    assert (linted.exit_code, json.loads(linted.stdout)) == (0, {"ok": True, "faults": [], "conflicts": []})
