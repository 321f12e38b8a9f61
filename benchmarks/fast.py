"""A whole durable run over the fast transport beside senders that remember nothing: CPU, speed and memory of each.

All are pinned to one core, the server to another; they take turns, and medians are compared.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import KEY, PYTHON, Cost, run
from target import serving

HERE = Path(__file__).parent
CONCURRENCY = 64
JOB = """[job]
name = "bench"
[input]
path = "{rows}.csv"
[api]
base_url = "{url}"
[send]
rate = "1000000/s"
concurrency = {concurrency}
transport = "{transport}"
"""
OURS, FIXED, PEER = "bulkpatch, curl", "bulkpatch, curl, one row", "curl --parallel"
HEADERS = [f"X-API-KEY: {KEY}", "Content-Type: application/json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """One that is measured: its command line, over how many rows, and which fixed cost is not its rows'."""

    command: Sequence[str]
    rows: int
    fixed: str = ""


def write_inputs(folder: Path, url: str, rows: int) -> None:
    """The same destinations and bodies, in the form that each sender reads."""
    ids = [f"dest-{number:07d}" for number in range(rows)]
    (folder / "ids").write_text("\n".join(ids), encoding="utf-8")
    blocks = []
    for number, one in enumerate(ids):
        body = f'{{\\"destination\\":{{\\"name\\":\\"Fleet {number}\\"}}}}'
        headers = "\n".join(f'header = "{header}"' for header in HEADERS)
        target = f'url = "{url}/destinations/{one}"\nrequest = PATCH\ndata = "{body}"'
        blocks.append(f'{target}\noutput = "/dev/null"\ncacert = "ca.pem"\n{headers}')
    (folder / "curl.cfg").write_text("\nnext\n".join(blocks), encoding="utf-8")
    for count in (1, rows):
        lines = "".join(f"{one},Fleet {number}\n" for number, one in enumerate(ids[:count]))
        (folder / f"{count}.csv").write_text("destination_id,name\n" + lines, encoding="utf-8")
        for transport in ("curl", "httpx"):
            job = JOB.format(rows=count, url=url, concurrency=CONCURRENCY, transport=transport)
            (folder / f"{transport}-{count}.toml").write_text(job, encoding="utf-8")


def senders(url: str, authority: Path, peers: str, rows: int, *, tls: bool) -> Mapping[str, Sender]:
    """Who is measured. The slow ones are given fewer rows; over TLS, those that take an authority by option."""
    ours = [PYTHON, str(HERE / "trusting.py"), str(authority), "run", "--yes", "-q"]
    curl = [
        "curl",
        "-s",
        "--parallel",
        "--parallel-max",
        str(CONCURRENCY),
        "-K",
        "curl.cfg",
    ]
    pycurl = [peers, str(HERE / "peers" / "pycurl_loop.py"), url, KEY, "ids", str(CONCURRENCY), str(authority)]
    found = {
        FIXED: Sender(command=[*ours, "curl-1.toml"], rows=1),
        OURS: Sender(command=[*ours, f"curl-{rows}.toml"], rows=rows, fixed=FIXED),
        PEER: Sender(command=curl, rows=rows),
        "pycurl multi, bare loop": Sender(command=pycurl, rows=rows),
    }
    if tls:
        return found
    few = min(rows, 2000)
    (Path(authority).parent / "few").write_text("\n".join(f"dest-{one:07d}" for one in range(few)), encoding="utf-8")
    each = f'curl -s -o /dev/null -X PATCH -d {{}} -H "{HEADERS[0]}" -H "{HEADERS[1]}" {url}/destinations/{{}}'
    loops = [peers, str(HERE / "peers" / "httpx_loop.py"), url, KEY, "few", str(CONCURRENCY)]
    return found | {
        "aiohttp, bare loop": Sender(
            command=[peers, str(HERE / "peers" / "aiohttp_loop.py"), url, KEY, "ids", str(CONCURRENCY)], rows=rows
        ),
        "httpx, bare loop, one client a slot": Sender(command=[*loops, "each"], rows=few),
        "httpx, bare loop, one client": Sender(command=[*loops, "shared"], rows=few),
        "xargs -P curl": Sender(
            command=["sh", "-c", f"head -n 200 few | xargs -P {CONCURRENCY} -I{{}} {each}"], rows=min(few, 200)
        ),
    }


def measured(rows: int, rounds: int, peers: str, *, tls: bool, only: Sequence[str] = ()) -> Mapping[str, list[Cost]]:
    """What each cost, round by round, each sender taking its turn."""
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with serving(folder, 1, tls=tls) as (url, authority):
            write_inputs(folder, url, rows)
            found = senders(url, authority, peers, rows, tls=tls)
            for _ in range(rounds):
                for name, sender in found.items():
                    if not only or name in only:
                        cost = run(["taskset", "-c", "0", *sender.command], folder, {"PREQUEL_API_KEY": KEY})
                        costs.setdefault(name, []).append(cost)
                        print(name, cost, file=sys.stderr, flush=True)  # noqa: T201  (how far it is)
            return {name: costs[name] for name in found if name in costs}


def table(costs: Mapping[str, list[Cost]], rows: int, *, tls: bool) -> list[str]:
    """Medians with their spread, and the ratio to ``curl --parallel`` in the same rounds."""
    fixed = statistics.median(cost.cpu_s for cost in costs[FIXED])
    slow = {"httpx, bare loop, one client a slot": 2000, "httpx, bare loop, one client": 2000, "xargs -P curl": 200}
    peer = [1000 * cost.cpu_s / rows for cost in costs[PEER]]
    lines = [
        f"\n{rows:,} rows, {'TLS' if tls else 'plain'}; not counted: {fixed:.2f} CPU s that a run of one row costs.\n",
        "| sender | CPU s per 1,000 (least to most) | ratio to curl --parallel | rows/s | peak MiB |",
        "|---|---|---|---|---|",
    ]
    for name, each in costs.items():
        if name == FIXED:
            continue
        count = min(rows, slow.get(name, rows))
        less = fixed if name == OURS else 0.0
        cpu = [1000 * (cost.cpu_s - less) / count for cost in each]
        ratio = statistics.median(mine / other for mine, other in zip(cpu, peer, strict=True))
        speed = count / statistics.median(cost.wall_s for cost in each)
        peak = max(cost.peak_mib for cost in each)
        spread = f"{statistics.median(cpu):.4f} ({min(cpu):.4f} to {max(cpu):.4f})"
        lines.append(f"| {name} | {spread} | {ratio:.2f} | {speed:,.0f} | {peak:.0f} |")
    return lines


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=20_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--peers", default=PYTHON, help="the Python that has the peers' packages")
    options.add_argument("--only-curl", action="store_true", help="leave the slow peers out")
    given = options.parse_args()
    only = (FIXED, OURS, PEER) if given.only_curl else ()
    for tls in (False, True):
        costs = measured(given.rows, given.rounds, given.peers, tls=tls, only=only)
        print("\n".join(table(costs, given.rows, tls=tls)), flush=True)  # noqa: T201  (its result)


if __name__ == "__main__":
    main()
