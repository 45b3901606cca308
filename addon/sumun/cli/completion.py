"""``sumun completion``: shell completion."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from sumun.cli.output import fail


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    \b
      bash:  eval "$(sumun completion bash)"      in ~/.bashrc
      zsh:   eval "$(sumun completion zsh)"       in ~/.zshrc
      fish:  sumun completion fish > ~/.config/fish/completions/sumun.fish
    """
    context = click.get_current_context().find_root()
    found = get_completion_class(shell)
    if found is None:
        fail(f"no completion for `{shell}`")
    click.echo(found(context.command, {}, "sumun", "_SUMUN_COMPLETE").source())
