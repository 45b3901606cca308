"""The container image builds from the lock, and what is in it works as the user it runs as."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support import image

# It makes a Debian and installs everything, two minutes' work: once, so in one worker.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900), pytest.mark.xdist_group("image")]

type Inside = Callable[..., str]


@pytest.fixture(scope="module")
def buildah() -> Iterator[image.Buildah]:
    if reason := image.why_not():
        pytest.skip(reason)
    with TemporaryDirectory(prefix="sumun-image-") as folder:  # pytest would keep these gigabytes for three runs
        yield image.Buildah(Path(folder))


@pytest.fixture(scope="module")
def built(buildah: image.Buildah) -> str:
    mirror = image.debian_mirror()
    if mirror is None:
        pytest.skip("this machine names no Debian mirror")
    return buildah.build(buildah.base(mirror))


@pytest.fixture(scope="module")
def inside(buildah: image.Buildah, built: str) -> Iterator[Inside]:
    container = buildah("from", built)
    yield lambda *command: buildah("run", "--isolation", "chroot", container, "--", *command)
    buildah("rm", container)


def test_the_configuration_in_the_image_is_valid(inside: Inside) -> None:
    """Guards the catalogue too: it must have travelled with the package."""
    assert "deepseek" in inside("sumun", "services", "list")
    inside("sumun", "check")


def test_the_image_decides_as_the_checkout_does(inside: Inside) -> None:
    answer = json.loads(inside("sumun", "explain", "127.0.0.3", "chat.deepseek.com", "--json"))
    assert (answer["action"], answer["rule"], answer["segment"]) == ("block", "no-generative-ai", "military-use")


def test_it_runs_without_root_and_owns_only_its_state(inside: Inside) -> None:
    assert inside("id", "-un") == "sumun"
    assert inside("stat", "-c", "%a %U", "/var/lib/sumun") == "700 sumun"
    writable = inside("find", "/opt/sumun", "/etc/sumun", "-writable", "-not", "-type", "l")
    assert writable == ""


def test_nothing_to_build_with_is_left_in_it(inside: Inside) -> None:
    left = inside(
        "find", "/opt/sumun", "-maxdepth", "5", "-name", "pip", "-o", "-name", "hatchling", "-o", "-name", "uv"
    )
    assert left == ""


def test_the_image_says_how_it_is_started(buildah: image.Buildah, built: str) -> None:
    config = json.loads(buildah("inspect", "--type", "image", built))["Docker"]["config"]
    assert config["Entrypoint"] == ["sumun"]
    assert config["Cmd"] == ["up"]
    assert config["User"] == "sumun"
    assert config["Healthcheck"]["Test"] == ["CMD", "sumun", "healthcheck"]
    assert list(config["Volumes"]) == ["/var/lib/sumun"]
