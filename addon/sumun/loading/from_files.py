"""Lists that somebody carried here: for segments without a way to their servers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sumun.loading.fetch import NO_VALIDATORS, USUAL, Fetched, Limits, Progress, Validators, unseen
from sumun.loading.gzipped import unpacked
from sumun.loading.outcome import NotTaken, Outcome


@dataclass(frozen=True, slots=True)
class FromFiles:
    """Gives what is in a file in place of what is at a URL; vetted no less."""

    files: Mapping[str, Path]
    limits: Limits = USUAL

    async def fetch(
        self, url: str, known: Validators = NO_VALIDATORS, *, limit: int | None = None, progress: Progress = unseen
    ) -> Fetched | None:
        """The content of the file that stands for a URL; raises NotTaken."""
        octets = await asyncio.to_thread(
            self._read, self.files[url], min(limit or self.limits.octets, self.limits.octets)
        )
        progress(len(octets), len(octets))
        return Fetched(octets)

    def _read(self, path: Path, limit: int) -> bytes:
        try:
            with path.open("rb") as file:
                octets = file.read(limit + 1)
        except OSError as why:
            raise NotTaken(Outcome.STORAGE, f"reading `{path}`: {(why.strerror or str(why)).lower()}") from why
        if len(octets) > limit:
            raise NotTaken(Outcome.TOO_LARGE, f"more than {limit:,} octets")
        return unpacked(octets, "", limit)
