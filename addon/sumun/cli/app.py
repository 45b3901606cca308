"""The ``sumun`` command."""

from __future__ import annotations

import importlib

import click

import sumun

_COMMANDS = {
    "up": ("sumun.cli.up", "up"),
    "dns": ("sumun.cli.up", "dns"),
    "proxy": ("sumun.cli.up", "proxy"),
    "console": ("sumun.cli.up", "console"),
    "check": ("sumun.cli.check", "check"),
    "explain": ("sumun.cli.explain", "explain"),
    "pages": ("sumun.cli.pages", "pages"),
    "exempt": ("sumun.cli.exempt", "exempt"),
    "services": ("sumun.cli.services", "services"),
    "lists": ("sumun.cli.lists", "lists"),
    "export": ("sumun.cli.export", "export"),
    "ca": ("sumun.cli.ca", "ca"),
    "healthcheck": ("sumun.cli.healthcheck", "healthcheck"),
    "completion": ("sumun.cli.completion", "completion"),
    "zygote": ("sumun.cli.worker", "zygote"),
}
"""Where each command lives; loaded when asked for, so that ``sumun explain`` does not wait for mitmproxy."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(sumun.__version__, prog_name="sumun")
def cli() -> None:
    """Decide, per network segment, who may reach which generative-AI service, and how.

    One policy is enforced by a DNS sinkhole and by a proxy. Start with:

    \b
      sumun up                                      start everything on this host
      sumun check                                   is the configuration right?
      sumun explain 127.0.0.3 chat.deepseek.com     what would happen, and why?

    Exit status: 0 as asked; 1 the thing checked does not hold; 2 it could not be done.
    """
