"""How long a million listed names take: to compile, to hold, to look up; beside other ways to do it.

    python benchmarks/lists.py [names]

Each way is built and asked in a process of its own, so that its memory is its own. Times are the best of several
rounds, since other programs run beside.
"""

from __future__ import annotations

import json
import mmap
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from report import put, setting

from sumun.catalogue.lists import parse_list
from sumun.loading.compiler import Job, LargeList, compiled
from sumun.model.listed import Entry
from sumun.model.name import DomainName
from sumun.policy.domain_index import DomainIndex
from sumun.policy.packed_index import PackedIndex

ROUNDS, ASKED = 20, 5000
type Find = Callable[[DomainName], object]


def listed(n: int) -> str:
    return f"host{n}.sub{n % 977}.domain{n % 50021}.example"


def names(path: Path) -> Iterator[str]:
    return (item.pattern.text for item in parse_list(path.read_text(), "domains") if isinstance(item, Entry))


def packed(path: Path, folder: Path) -> Find:
    octets = path.read_bytes()
    job = Job((LargeList("l", "domains", str(path), sha256(octets).hexdigest(), guard=True),), ("bing.com",))
    del octets
    with (folder / "index").open("w+b") as file:
        for piece in compiled(job):
            file.write(piece)
        file.flush()
        return PackedIndex(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)).lookup


def domain_index(path: Path, folder: Path) -> Find:
    items = parse_list(path.read_text(), "domains")
    return DomainIndex((item.pattern, "l") for item in items if isinstance(item, Entry)).lookup


def bare_dict(path: Path, folder: Path) -> Find:
    held = dict.fromkeys(names(path), "l")
    return lambda name: [held[suffix] for suffix in name.suffixes() if suffix in held]


def sqlite(path: Path, folder: Path) -> Find:
    database = sqlite3.connect(folder / "names.db")
    database.execute("create table names (name text primary key) without rowid")
    database.executemany("insert or ignore into names values (?)", ((name,) for name in names(path)))
    database.commit()

    def find(name: DomainName) -> object:
        suffixes = list(name.suffixes())
        marks = ",".join("?" * len(suffixes))
        return database.execute(f"select name from names where name in ({marks})", suffixes).fetchall()

    return find


def marisa(path: Path, folder: Path) -> Find:
    import marisa_trie  # type: ignore[import-untyped]  # noqa: PLC0415  # only this process needs it

    trie = marisa_trie.Trie(names(path))
    return lambda name: [suffix for suffix in name.suffixes() if suffix in trie]


WAYS = {
    "packed index": packed, "DomainIndex": domain_index, "dict": bare_dict, "SQLite": sqlite, "marisa-trie": marisa,
}  # fmt: skip


def best(find: Find, asked: list[DomainName]) -> float:
    """Microseconds a look-up."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for name in asked:
            find(name)
        rounds.append(time.process_time() - began)
    return min(rounds) / len(asked) * 1e6


def measure(way: str, path: Path, count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        find = WAYS[way](path, Path(folder))
        built = time.process_time() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        step = max(1, count // ASKED)
        hits = [DomainName(f"a.b.{listed(n)}") for n in range(0, count, step)]
        misses = [DomainName(f"a{n}.b.c.host{n}.other{n}.test") for n in range(0, count, step)]
        siblings = [DomainName(f"a.b.c{n}.sub{n % 977}.domain{n % 50021}.example") for n in range(0, count, step)]
        assert all(map(find, hits))
        assert not any(map(find, [*misses, *siblings]))
        return {
            "build s": built, "peak MB": peak,
            "hit us": best(find, hits), "miss us": best(find, misses), "sibling us": best(find, siblings),
        }  # fmt: skip


COLUMNS = {
    "build s": "built, s", "peak MB": "MB while it is built", "hit us": "hit, µs", "miss us": "miss, µs",
    "sibling us": "sibling, µs",
}  # fmt: skip


def main() -> None:
    if len(sys.argv) == 4:
        print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    lines = [f"| | {' | '.join(COLUMNS.values())} |", "|---" * (1 + len(COLUMNS)) + "|"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{listed(n)}\n" for n in range(count))
        file.flush()
        for way in WAYS:
            command = [sys.executable, __file__, way, file.name, str(count)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{way} is not measured: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
                continue
            found = json.loads(done.stdout)
            lines.append(f"| {way} | {' | '.join(f'{found[key]:.2f}' for key in COLUMNS)} |")
    text = f"""\
{setting()} {count:,} names, {ASKED:,} of them asked for, six labels each; "hit" is two labels below a listed name, \
"sibling" a neighbour of one that is not listed, "miss" a name of another domain. Processor time, the best of {ROUNDS} \
rounds; Sumun uses the packed index for large lists, and shares it between its processes.
"""
    text += "\n" + "\n".join(lines)
    print(text)
    put("lists.py", "Large lists: `make bench`", text)


if __name__ == "__main__":
    main()
