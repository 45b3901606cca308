"""Builds the container image without a registry and without a container engine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.project import ROOT

SUITE = "trixie"
"""The first Debian with a new enough Python."""
CERTIFICATES = "/etc/ssl/certs"
PROGRAMS = ("buildah", "debootstrap", "apt-get", "tar")


def run(*command: str | Path, timeout: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def why_not() -> str | None:
    """Why the image cannot be built here; None: it can."""
    if os.geteuid() != 0:
        return "building an image needs root"
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    return f"not installed: {', '.join(absent)}" if absent else None


def debian_mirror() -> str | None:
    """Where this machine takes its own packages from."""
    answer = run("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", timeout=30)
    sites = [site for site in answer.stdout.split() if site.rstrip("/").endswith("/debian")]
    return sites[0] if sites else None


@dataclass(frozen=True)
class Buildah:
    """Buildah with a store of its own, in a folder that goes away with the test."""

    store: Path

    def __call__(self, *command: str | Path, timeout: float = 120) -> str:
        """Run one command and give what it printed; raises AssertionError with its complaint."""
        where = ("--root", self.store / "root", "--runroot", self.store / "run", "--storage-driver", "vfs")
        answer = run("buildah", *where, *command, timeout=timeout)
        assert answer.returncode == 0, f"buildah {command[0]}: {answer.stdout[-2000:]}{answer.stderr[-4000:]}"
        return answer.stdout.strip()

    def base(self, mirror: str) -> str:
        """Make a Debian with Python, as an image; returns the image's name."""
        folder, archive = self.store / "debian", self.store / "debian.tar"
        packages = "--include=python3,python3-venv,ca-certificates"
        made = run("debootstrap", "--variant=minbase", packages, SUITE, folder, mirror, timeout=400)
        assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
        packed = run("tar", "-C", folder, "--one-file-system", "-cf", archive, ".", timeout=120)
        assert packed.returncode == 0, packed.stderr
        container = self("from", "scratch")
        self("add", "--quiet", container, archive, "/")
        self("commit", "--quiet", container, "base")
        return "localhost/base"

    def build(self, base: str) -> str:
        """Build deploy/Dockerfile on the base; returns the image's name."""
        self(
            "build", "--isolation", "chroot", "--network", "host", "--format", "docker",
            "--build-arg", f"BASE={base}", *self._trust(),
            "--file", ROOT / "deploy/Dockerfile", "--tag", "sumun", ROOT,
            timeout=400,
        )  # fmt: skip
        return "localhost/sumun"

    @staticmethod
    def _trust() -> Sequence[str]:
        """Trust whom this machine trusts: behind an intercepting proxy the base's own roots do not do."""
        bundle = f"{CERTIFICATES}/ca-certificates.crt"
        volume = ("--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro")
        return ("--build-arg", f"PIP_CERT={bundle}", *volume) if Path(bundle).exists() else ()
