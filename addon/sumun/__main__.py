"""``python -m sumun``: how the supervisor starts its workers, whatever PATH holds."""

from sumun.cli import main

main()
