"""A whole durable run over the fast transport beside senders that remember nothing: CPU, speed and memory of each.

All are pinned to one core, the server to another; they take turns, and medians are compared. wrk, which parses nothing
and goes by seconds, is the floor. ``--plot FILE`` draws the ratios.
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
from chart import bars
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
WRK_S = 4
WRK = """counter = 0
request = function()
  counter = counter + 1
  local body = '{"destination":{"name":"Fleet ' .. counter .. '"}}'
  return wrk.format("PATCH", string.format("/destinations/dest-%%07d", counter), nil, body)
end
done = function(summary)
  local told = io.open("wrk.count", "w")
  told:write(summary.requests)
  told:close()
end
wrk.headers["X-API-KEY"] = "%s"
wrk.headers["Content-Type"] = "application/json"
"""
HEADERS = [f"X-API-KEY: {KEY}", "Content-Type: application/json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """One that is measured: its command line, over how many rows, or the file in which it tells how many."""

    command: Sequence[str]
    rows: int
    told: str = ""


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


def senders(folder: Path, url: str, peers: str, rows: int, *, tls: bool) -> Mapping[str, Sender]:
    """Who is measured. The slow ones are given fewer rows; over TLS, those that can be told of an authority."""
    few, least = min(rows, 2000), min(rows, 200)
    for name, count in (("few", few), ("least", least)):
        (folder / name).write_text("\n".join(f"dest-{one:07d}" for one in range(count)), encoding="utf-8")
    (folder / "wrk.lua").write_text(WRK % KEY, encoding="utf-8")
    at_once, authority = str(CONCURRENCY), str(folder / "ca.pem")
    ours = [PYTHON, str(HERE / "trusting.py"), authority, "run", "--yes", "-q"]

    def loop(name: str, ids: str, *more: str) -> list[str]:
        return [peers, str(HERE / "peers" / f"{name}_loop.py"), url, KEY, ids, at_once, *more]

    curl = ["curl", "-s", "--parallel", "--parallel-max", at_once, "-K", "curl.cfg"]
    wrk = ["wrk", "-t1", f"-c{at_once}", f"-d{WRK_S}s", "-s", "wrk.lua", url]
    found = {
        FIXED: Sender(command=[*ours, "curl-1.toml"], rows=1),
        OURS: Sender(command=[*ours, f"curl-{rows}.toml"], rows=rows),
        PEER: Sender(command=curl, rows=rows),
        "wrk, parses nothing": Sender(command=wrk, rows=0, told="wrk.count"),
        "pycurl multi, bare loop": Sender(command=loop("pycurl", "ids", authority), rows=rows),
        "aiohttp, bare loop": Sender(command=loop("aiohttp", "ids", authority), rows=rows),
        "httpx, bare loop, one client a slot": Sender(command=loop("httpx", "few", "each", authority), rows=few),
    }
    if tls:
        return found
    each = f'curl -s -o /dev/null -X PATCH -d {{}} -H "{HEADERS[0]}" -H "{HEADERS[1]}" {url}/destinations/{{}}'
    return found | {
        "sockets and httptools, bare loop": Sender(command=loop("socket", "ids"), rows=rows),
        "aiohttp, a task a request and a file": Sender(command=loop("task", "ids"), rows=rows),
        "httpx, bare loop, one client": Sender(command=loop("httpx", "few", "shared"), rows=few),
        "xargs -P curl": Sender(command=["sh", "-c", f"xargs -P {at_once} -I{{}} {each} < least"], rows=least),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one sender cost in one round, and how many rows it sent."""

    cost: Cost
    rows: int


def measured(rows: int, rounds: int, peers: str, *, tls: bool, only: Sequence[str] = ()) -> Mapping[str, list[Turn]]:
    """What each cost, round by round, each sender taking its turn."""
    turns: dict[str, list[Turn]] = {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        with serving(folder, 1, tls=tls) as (url, _):
            write_inputs(folder, url, rows)
            found = senders(folder, url, peers, rows, tls=tls)
            for _ in range(rounds):
                for name, sender in found.items():
                    if not only or name in only:
                        cost = run(["taskset", "-c", "0", *sender.command], folder, {"PREQUEL_API_KEY": KEY})
                        sent = int((folder / sender.told).read_text()) if sender.told else sender.rows
                        turns.setdefault(name, []).append(Turn(cost=cost, rows=sent))
                        print(name, cost, file=sys.stderr, flush=True)  # noqa: T201  (how far it is)
            return {name: turns[name] for name in found if name in turns}


def ratios(turns: Mapping[str, list[Turn]]) -> Mapping[str, tuple[list[float], float]]:
    """Of each sender its CPU s per 1,000 rows, round by round, and the median of its ratios to ``curl --parallel``."""
    fixed = statistics.median(turn.cost.cpu_s for turn in turns[FIXED])
    peer = [1000 * turn.cost.cpu_s / turn.rows for turn in turns[PEER]]
    found = {}
    for name, each in turns.items():
        if name != FIXED:
            less = fixed if name == OURS else 0.0
            cpu = [1000 * (turn.cost.cpu_s - less) / turn.rows for turn in each]
            found[name] = cpu, statistics.median(mine / other for mine, other in zip(cpu, peer, strict=True))
    return found


def table(turns: Mapping[str, list[Turn]], rows: int, *, tls: bool) -> list[str]:
    """Medians with their spread, and the ratio to ``curl --parallel`` in the same rounds."""
    fixed = statistics.median(turn.cost.cpu_s for turn in turns[FIXED])
    lines = [
        f"\n{rows:,} rows, {'TLS' if tls else 'plain'}; not counted: {fixed:.2f} CPU s that a run of one row costs.\n",
        "| sender | CPU s per 1,000 (least to most) | ratio to curl --parallel | rows/s | peak MiB |",
        "|---|---|---|---|---|",
    ]
    for name, (cpu, ratio) in ratios(turns).items():
        speed = statistics.median(turn.rows / turn.cost.wall_s for turn in turns[name])
        peak = max(turn.cost.peak_mib for turn in turns[name])
        spread = f"{statistics.median(cpu):.4f} ({min(cpu):.4f} to {max(cpu):.4f})"
        lines.append(f"| {name} | {spread} | {ratio:.2f} | {speed:,.0f} | {peak:.0f} |")
    return lines


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=20_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--peers", default=PYTHON, help="the Python that has the peers' packages")
    options.add_argument("--only-curl", action="store_true", help="leave all but curl out")
    options.add_argument("--plot", type=Path, help="an SVG of the ratios, plain and over TLS")
    given = options.parse_args()
    only = (FIXED, OURS, PEER) if given.only_curl else ()
    drawn: dict[str, dict[str, float]] = {}
    for tls in (False, True):
        turns = measured(given.rows, given.rounds, given.peers, tls=tls, only=only)
        print("\n".join(table(turns, given.rows, tls=tls)), flush=True)  # noqa: T201  (its result)
        for name, (cpu, _) in ratios(turns).items():
            drawn.setdefault(name, {})["TLS" if tls else "plain"] = statistics.median(cpu)
    if given.plot:
        title = f"CPU seconds per 1,000 PATCHes, {given.rows:,} rows, logarithmic"
        given.plot.write_text(bars(title, drawn), encoding="utf-8")


if __name__ == "__main__":
    main()
