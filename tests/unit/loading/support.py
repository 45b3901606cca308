"""A small deployment on disk."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sumun.loading.sources import Sources

GOOD = """\
version: 1
state: {state}
segments:
  a:
    networks: [10.0.0.0/8]
    rules:
      - {{id: no-deepseek, action: {action}, services: [deepseek]}}
"""


def clock() -> datetime:
    return datetime(2026, 1, 5, 12, tzinfo=UTC)


def config(folder: Path, action: str = "block", more: str = "") -> Path:
    """Write a sound configuration whose state is beside it."""
    path = folder / "sumun.yaml"
    path.write_text(GOOD.format(state=folder / "state", action=action) + more, "utf-8")
    return path


def service(id_: str, domain: str) -> str:
    return f"""\
id: {id_}
title: {id_.title()}
vendor: {{name: Vendor, country: CN}}
category: chat-assistant
domains:
  - {{name: {domain}, role: web, sources: [inferred]}}
"""


def sources(text: str, **lists: str) -> Sources:
    services = {"services/deepseek.yaml": service("deepseek", "deepseek.com")}
    return Sources(Path("c.yaml"), text, services, lists)
