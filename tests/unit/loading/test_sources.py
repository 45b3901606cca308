"""Which files are read, and what is said where they cannot be."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sumun.catalogue.built_in import RESERVED
from sumun.config.logo import read_logo
from sumun.loading.active import ActivePolicy, signature
from sumun.loading.build import build
from sumun.loading.sources import LoadError, Sources, catalogue_folder, read_sources
from tests.support.logos import SVG
from tests.unit.loading.support import clock, config


def declared(sources: Sources) -> dict[str, str]:
    assert set(sources.lists) >= RESERVED
    return {id_: text for id_, text in sources.lists.items() if id_ not in RESERVED}


def test_configuration_catalogue_and_lists_are_read(tmp_path: Path) -> None:
    local, state = tmp_path / "local.txt", tmp_path / "state"
    (state / "lists").mkdir(parents=True)
    local.write_text("one.example\n")
    (state / "lists" / "far.txt").write_text("two.example\n")
    path = config(
        tmp_path,
        more=f"lists:\n  - {{id: near, path: {local}}}\n  - {{id: far, url: 'https://l.example/'}}\n"
        "  - {id: absent, url: 'https://l.example/'}\n",
    )
    sources = read_sources(path)
    assert sources.config == path.read_text()
    assert "services/deepseek.yaml" in sources.services
    assert declared(sources) == {"near": "one.example\n", "far": "two.example\n"}


def test_lists_are_found_in_a_faulty_configuration_too(tmp_path: Path) -> None:
    local = tmp_path / "local.txt"
    local.write_text("one.example\n")
    path = config(tmp_path, action="blok", more=f"lists: [{{id: near, path: {local}}}]\n")
    assert declared(read_sources(path)) == {"near": "one.example\n"}


def test_the_catalogue_of_a_checkout_is_that_of_the_checkout() -> None:
    assert catalogue_folder() == Path(__file__).parents[3] / "blocklists"


def test_the_revision_changes_with_any_text_and_with_nothing_else() -> None:
    first = Sources(Path("/one/c.yaml"), "text", {"b": "1", "a": "2"}, {"l": "3"})
    assert first.revision == Sources(Path("/two/c.yaml"), "text", {"a": "2", "b": "1"}, {"l": "3"}).revision
    others = [
        Sources(first.config_file, "texts", first.services, first.lists),
        Sources(first.config_file, "text", {"b": "1", "a": "3"}, first.lists),
        Sources(first.config_file, "text", first.services, {"l": "4"}),
        Sources(first.config_file, "text", first.services, {"m": "3"}),
    ]
    assert len({first.revision, *(other.revision for other in others)}) == 5
    assert len(first.revision) == 12


def test_a_missing_configuration_is_told_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(LoadError) as caught:
        read_sources(tmp_path / "none.yaml")
    assert str(caught.value) == (
        f"reading `{tmp_path / 'none.yaml'}`: no such file or directory: write one, or name it with `--config`"
    )


def test_a_file_that_is_not_utf_8_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "sumun.yaml"
    path.write_bytes("version: 1\n# 수문\n".encode("euc-kr"))
    with pytest.raises(LoadError, match="line 2 is not UTF-8: save the file as UTF-8"):
        read_sources(path)


def test_a_file_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sumun.yaml"
    path.write_bytes(b"#" * 4_000_001)
    with pytest.raises(LoadError, match="more than 4,000,000 octets"):
        read_sources(path)


def test_a_byte_order_mark_disturbs_nobody(tmp_path: Path) -> None:
    path = config(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert build(read_sources(path)).config.segments[0].name == "a"


def test_a_logo_is_read_with_the_rest_and_changes_the_revision(tmp_path: Path) -> None:
    path = config(tmp_path, more=f"organisation: {{logo: {tmp_path / 'logo.svg'}}}\n")
    absent = read_sources(path)
    assert absent.logos == {}
    (tmp_path / "logo.svg").write_bytes(SVG)
    sources = read_sources(path)
    assert sources.revision != absent.revision
    assert build(sources).config.organisation.logo == read_logo(SVG)
    (tmp_path / "logo.svg").write_bytes(b"x" * 1_000_000)
    assert len(read_sources(path).logos[str(tmp_path / "logo.svg")]) < 12_000, "no more is read than is needed"


def test_a_logo_is_watched_and_kept_with_the_last_good_policy(tmp_path: Path) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_bytes(SVG)
    path = config(tmp_path, more=f"organisation: {{logo: {logo}}}\n")
    active = ActivePolicy.start(path, clock=clock)
    before = signature(path)
    logo.write_bytes(b"no picture")
    assert signature(path) != before
    assert asyncio.run(active.reload()) is False
    assert active.current.config.organisation.logo == read_logo(SVG)
    again = ActivePolicy.start(path, clock=clock)
    assert again.current.config.organisation.logo == read_logo(SVG), "with the last good one"
