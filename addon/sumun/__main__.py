"""``python -m sumun``: how the supervisor starts what its workers are forked from, whatever PATH holds."""

from sumun.cli import main

main()
