"""A PostgreSQL of one test run, in a folder of its own, on a socket of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

_FOLDERS = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
INITDB = shutil.which("initdb", path=os.pathsep.join([*map(str, _FOLDERS), os.environ.get("PATH", "")]))


def _account() -> str | None:
    """PostgreSQL refuses to run as root; its package brings an account."""
    if os.geteuid() != 0:
        return ""
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        return None


def why_not() -> str:
    """Why there is none here; empty where there is."""
    if INITDB is None:
        return "no PostgreSQL here; install the package `postgresql`"
    if _account() is None:
        return "root cannot run PostgreSQL, and there is no account `postgres`"
    try:
        import psycopg  # noqa: F401  # to see whether it is there
    except ImportError:
        return "no driver here; install `sumun[postgresql]`"
    return ""


@contextmanager
def postgresql() -> Iterator[str]:
    """A server until the end of the block; gives the URL of an empty database."""
    assert INITDB
    account = _account()
    prefix = ["setpriv", "--reuid", account, "--regid", account, "--init-groups"] if account else []
    # not below the test's own folder, which other accounts may not enter; and a socket's path must be short
    folder = Path(mkdtemp(prefix="pg-", dir="/tmp"))
    if account:
        shutil.chown(folder, account, account)
    data, server = folder / "data", Path(INITDB).with_name("postgres")
    subprocess.run(
        [*prefix, INITDB, "-D", data, "-U", "sumun", "-A", "trust", "-N"], check=True, capture_output=True, cwd="/"
    )
    process = subprocess.Popen(
        [*prefix, server, "-D", data, "-c", "listen_addresses=", "-k", folder, "-F"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/",
    )  # fmt: skip
    try:
        assert process.stderr
        for line in process.stderr:
            if "ready to accept connections" in line:
                break
        yield f"postgresql://sumun@/postgres?host={folder}"
    finally:
        process.terminate()
        process.communicate(timeout=30)
        shutil.rmtree(folder)
