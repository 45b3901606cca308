"""Queries a second for blocked names, asked by dnsperf of `sumun dns` with its metrics and its decision log.

Usage: python benchmarks/dns_blocked.py [SECONDS]
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PORT = 18053
CONFIG = """
version: 1
listen:
  dns: {{address: 127.0.0.1, port: {port}}}
  pages: {{address: 127.0.0.1, address6: null, http: 18081, https: 18443}}
upstreams: ["udp://127.0.0.1:9"]
state: {state}
segments:
  bench: {{networks: [127.0.0.0/8], rules: [{{id: no-generative-ai, action: block, categories: ["*"]}}]}}
"""
HOSTS = ("chat", "api", "www", "platform", "cdn", "static", "app", "img", "status", "docs")


def main(seconds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        config, queries = Path(folder) / "sumun.yaml", Path(folder) / "queries"
        config.write_text(CONFIG.format(port=PORT, state=state))
        queries.write_text("".join(f"{host}.deepseek.com A\n" for host in HOSTS))
        server = subprocess.Popen([sys.executable, "-m", "sumun", "dns", "-c", str(config)])
        try:
            wait_until_served()
            report = dnsperf(queries, seconds)
        finally:
            server.terminate()
            server.wait()
        for line in re.findall(r".*(?:lost|codes|per second|Average Latency).*", report):
            print(line)
        counts = re.findall(r'"count": ?(\d+)', (state / "events.jsonl").read_text())
        print(f"  Attempts logged:      {sum(map(int, counts))} in {len(counts)} events")


def wait_until_served() -> None:
    probe = ["dig", "-p", str(PORT), "@127.0.0.1", "health.sumun.invalid", "+short", "+tries=1", "+time=1"]
    for _ in range(100):
        if subprocess.run(probe, capture_output=True, text=True, check=False).stdout.strip() == "127.0.0.1":
            return
        time.sleep(0.1)  # a refused port answers at once
    raise SystemExit("`sumun dns` does not answer")


def dnsperf(queries: Path, seconds: int) -> str:
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(PORT), "-d", str(queries), "-l", str(seconds), "-c", "10"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5)
