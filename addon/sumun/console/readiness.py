"""Is a policy loaded, and does every role really answer?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sumun.console.probes import Probe, ProbeFailed
from sumun.console.view import ListView, LoadedView

log = logging.getLogger(__name__)

_PATIENCE = 2.0
"""Seconds until a probe counts as failed."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold."""

    ok: bool
    detail: str = ""
    """Why not; of what holds, what is worth knowing."""


class Readiness:
    """Runs all checks at once; requests that come meanwhile share the result, so they cannot pile up probes."""

    def __init__(
        self,
        loaded: Callable[[], LoadedView],
        probes: Mapping[str, Probe],
        *,
        clock: Callable[[], datetime],
        patience: float = _PATIENCE,
    ) -> None:
        self._loaded, self._probes, self._clock, self._patience = loaded, dict(probes), clock, patience
        self._running: asyncio.Task[dict[str, Check]] | None = None

    async def checks(self) -> dict[str, Check]:
        """Every check by name: ``policy``, one a role, and ``lists`` where there are subscriptions."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._all())
        return await asyncio.shield(self._running)

    async def _all(self) -> dict[str, Check]:
        names = ["policy", *self._probes]
        results = await asyncio.gather(self._check(self._policy), *map(self._check, self._probes.values()))
        return dict(zip(names, results, strict=True)) | self._lists()

    def _lists(self) -> dict[str, Check]:
        """How old subscriptions are. An old list filters all the same, so this is never a reason not to be ready."""
        lists = {name: view for name, view in self._loaded().lists.items() if view.subscribed}
        if not lists:
            return {}
        return {"lists": Check(ok=True, detail="; ".join(f"`{name}` {self._age(of)}" for name, of in lists.items()))}

    def _age(self, view: ListView) -> str:
        if view.last_success is None:
            return f"was never fetched{': ' * bool(view.trouble)}{view.trouble}"
        hours = (self._clock() - view.last_success).total_seconds() / 3600
        age = f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours"
        return f"is as published {age} ago{', then: ' * bool(view.trouble)}{view.trouble}"

    async def _check(self, probe: Callable[[], Awaitable[None]]) -> Check:
        try:
            async with asyncio.timeout(self._patience):
                await probe()
        except TimeoutError:
            return Check(ok=False, detail=f"no answer within {self._patience:g} s")
        except ProbeFailed as fault:
            return Check(ok=False, detail=str(fault))
        except Exception:
            log.exception("a readiness check failed in itself")
            return Check(ok=False, detail="the check failed: see the log of the console")
        return Check(ok=True)

    async def _policy(self) -> None:
        if not self._loaded().revision:
            raise ProbeFailed("no policy is loaded")
