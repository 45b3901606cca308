"""The container image builds from the lock, and what is in it works as the user it runs as."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support import image

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

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


def _the_configuration_in_the_image_is_valid(inside: Inside) -> None:
    """Guards the catalogue too: it must have travelled with the package."""
    assert "deepseek" in inside("sumun", "services", "list")
    inside("sumun", "check")


def _the_image_decides_as_the_checkout_does(inside: Inside) -> None:
    answer = json.loads(inside("sumun", "explain", "127.0.0.3", "chat.deepseek.com", "--json"))
    assert (answer["action"], answer["rule"], answer["segment"]) == ("block", "no-generative-ai", "military-use")


def _it_runs_without_root_and_owns_only_its_state(inside: Inside) -> None:
    assert inside("id", "-un") == "sumun"
    assert inside("stat", "-c", "%a %U", "/var/lib/sumun") == "700 sumun"
    writable = inside("find", "/opt/sumun", "/etc/sumun", "-writable", "-not", "-type", "l")
    assert writable == ""


def _nothing_to_build_with_is_left_in_it(inside: Inside) -> None:
    left = inside(
        "find", "/opt/sumun", "-maxdepth", "5", "-name", "pip", "-o", "-name", "hatchling", "-o", "-name", "uv"
    )
    assert left == ""


def _the_image_says_how_it_is_started(buildah: image.Buildah, built: str) -> None:
    config = json.loads(buildah("inspect", "--type", "image", built))["Docker"]["config"]
    assert config["Entrypoint"] == ["sumun"]
    assert config["Cmd"] == ["up"]
    assert config["User"] == "sumun"
    assert config["Healthcheck"]["Test"] == ["CMD", "sumun", "healthcheck"]
    assert list(config["Volumes"]) == ["/var/lib/sumun"]


def test_the_image(buildah: image.Buildah, built: str, inside: Inside, subtests: pytest.Subtests) -> None:
    """One test, so that one worker makes the Debian and installs everything, two minutes' work, once."""
    for check in (
        _the_configuration_in_the_image_is_valid,
        _the_image_decides_as_the_checkout_does,
        _it_runs_without_root_and_owns_only_its_state,
        _nothing_to_build_with_is_left_in_it,
    ):
        with subtests.test(check.__name__):
            check(inside)
    with subtests.test("the image says how it is started"):
        _the_image_says_how_it_is_started(buildah, built)
