"""Commands, a module each; ``app`` lists them.

Rule: a command parses its arguments, asks, and prints; what it asks lives elsewhere.
"""

from sumun.cli.app import cli


def main() -> None:
    """Entry point of the console script."""
    cli.main(prog_name="sumun")
