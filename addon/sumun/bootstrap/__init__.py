"""The composition root: the one place where parts meet and the clock is read.

Everything is passed in; nothing is global, so two applications can live in one test process.
"""

from sumun.bootstrap.clock import now
from sumun.bootstrap.commands import (
    authority,
    catalogue,
    desk,
    export_root_key,
    granted,
    load,
    need_ports,
    prepare,
    rotate_authority,
    settings_in_force,
    vet_keys,
    with_updater,
)
from sumun.bootstrap.console import probe
from sumun.bootstrap.role import CannotStart, Orders, Role, workers
from sumun.bootstrap.serve import serve
from sumun.bootstrap.warm import warm, warm_role

__all__ = [
    "CannotStart",
    "Orders",
    "Role",
    "authority",
    "catalogue",
    "desk",
    "export_root_key",
    "granted",
    "load",
    "need_ports",
    "now",
    "prepare",
    "probe",
    "rotate_authority",
    "serve",
    "settings_in_force",
    "vet_keys",
    "warm",
    "warm_role",
    "with_updater",
    "workers",
]
