"""The rate, held against limiters that others wrote: bulkpatch at 95 % of what they let through never meets a 429."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pytest
from judges_rig import judging, program
from program_rig import Bench, check_renamed, fleet_of, serving, writes

HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s

frontend limited
  bind 127.0.0.1:{port}
  stick-table type string len 64 size 1k expire 10s store http_req_rate(1s)
  http-request track-sc0 hdr(X-API-KEY)
  http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt {limit} }}
  default_backend api

backend api
  server api {origin}
"""
"""A window of one second that slides."""

NGINX = """
daemon off;
pid nginx.pid;
error_log stderr error;
events {{}}
http {{
  access_log off;
  limit_req_zone $http_x_api_key zone=key:1m rate={limit}r/s;
  limit_req_status 429;
  {folders}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      limit_req zone=key burst={burst} nodelay;
      proxy_pass http://{origin};
      proxy_http_version 1.1;
    }}
  }}
}}
"""
"""A leaky bucket: every request is at least its share of a second after the one before, less the burst."""

FOLDERS = "\n  ".join(f"{name}_temp_path {name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


@contextmanager
def haproxy(folder: Path, origin: str, limit: int) -> Iterator[str]:
    """HAProxy before ``origin``."""
    file = folder / "haproxy.cfg"

    def command(port: int) -> list[str]:
        file.write_text(HAPROXY.format(port=port, limit=limit, origin=origin))
        return [program("haproxy"), "-f", str(file), "-db"]

    with judging(folder, command) as url:
        yield url


@contextmanager
def nginx(folder: Path, origin: str, limit: int) -> Iterator[str]:
    """The limiter of nginx before ``origin``; its burst, a twentieth of a second's worth, is what timers are late."""
    file = folder / "nginx.conf"

    def command(port: int) -> list[str]:
        burst = max(1, limit // 20)
        file.write_text(NGINX.format(port=port, limit=limit, burst=burst, origin=origin, folders=FOLDERS))
        return [program("nginx"), "-p", str(folder), "-c", str(file)]

    with judging(folder, command) as url:
        yield url


FAST_API = """
daemon off;
pid api.pid;
error_log stderr error;
events {{}}
http {{
  default_type application/json;
  log_format arrivals $msec;
  access_log arrivals.log arrivals;
  keepalive_requests 1000000;
  {folders}
  server {{
    listen 127.0.0.1:{port};
    location ~ ^/destinations/(?<id>[A-Za-z0-9_-]+)$ {{
      if ($request_method = GET) {{ return 405; }}
      return 200 '{{"status":"success","message":"","data":{{"destination":{{"id":"$id"}}}}}}';
    }}
    location / {{ return 405; }}
  }}
}}
"""
"""An API that has no reads and takes every PATCH: the simulator does not answer a thousand times a second."""


@contextmanager
def fast_api(folder: Path) -> Iterator[str]:
    """It, on a port of its own; each arrival is a line of ``arrivals.log``, in seconds."""
    folder.mkdir()
    file = folder / "api.conf"

    def command(port: int) -> list[str]:
        file.write_text(FAST_API.format(port=port, folders=FOLDERS))
        return [program("nginx"), "-p", str(folder), "-c", str(file)]

    with judging(folder, command) as url:
        yield url


RUNS = 10
TRIES = 3
JUDGES: Any = {"haproxy": haproxy, "nginx": nginx}
SHARE = 0.95
"""Of the judge's limit that bulkpatch is asked for."""


class Paced(NamedTuple):
    """How a run went. ``refused`` answers were 429; ``share`` of the asked rate was reached."""

    refused: int
    share: float


def paced(folder: Path, judge: str, *, limit: int, rows: int, share: float = SHARE) -> Paced:
    """Run at ``share`` of ``limit``: every row is accepted, sooner or later.

    The share that was reached is ``(n - 1) / (last - first)`` of the ``n`` PATCHes as the API behind the judge read
    them: the rate at which they left, give or take what the first and the last were under way.
    """
    folder.mkdir()
    fleet = fleet_of(rows)
    with (
        Bench(folder) as bench,
        serving(fleet) as server,
        JUDGES[judge](folder, server.url.removeprefix("http://"), limit) as url,
    ):
        asked = round(limit * share * 60)
        ended = bench.run("run", bench.renaming(fleet, url, rate=f"{asked}/min", concurrency=16), "--yes")
        assert ended.code == 0, ended.err
        assert len(writes(fleet)) == rows, "one effect each"
        check_renamed(fleet)
        first, *_, last = (arrival.at_s for arrival in writes(fleet))
        attempts = bench.outcomes()["attempts"].to_list()
    return Paced(refused=sum(attempts) - rows, share=(rows - 1) / (last - first) / (asked / 60))


@pytest.mark.proves("G5")
@pytest.mark.parametrize("limit", [10, 100])
@pytest.mark.parametrize("judge", JUDGES)
def test_a_judge_of_rates_turns_nothing_away(tmp_path: Path, judge: str, limit: int) -> None:
    """Two seconds at 95 % of what the judge lets through: every request passes at once, in one of three tries.

    The judges count requests as they come in, and where other work holds the machine up, two that left apart come
    in together.
    """
    assert any(not paced(tmp_path / str(run), judge, limit=limit, rows=2 * limit).refused for run in range(TRIES))


@pytest.mark.parametrize("judge", JUDGES)
def test_a_judge_of_rates_turns_away_what_is_too_fast(tmp_path: Path, judge: str) -> None:
    """The judges judge: at half above their limit, some requests are turned away, and sent again later."""
    assert any(paced(tmp_path / str(run), judge, limit=10, rows=25, share=1.5).refused for run in range(TRIES))


@pytest.mark.long
@pytest.mark.proves("G5")
@pytest.mark.parametrize("limit", [10, 100])
@pytest.mark.parametrize("judge", JUDGES)
def test_ten_runs_under_a_judge_of_rates(
    tmp_path: Path, judge: str, limit: int, cases: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten seconds each at 95 %: nothing is turned away, and at least 98 % of the asked rate is reached (median)."""
    runs = [paced(tmp_path / str(run), judge, limit=limit, rows=10 * limit) for run in range(RUNS)]
    shares = [run.share for run in runs]
    told = f"{judge} {limit}/s: {sum(run.refused for run in runs)} of {RUNS * 10 * limit} turned away"
    with capsys.disabled():
        sys.stdout.write(f"\n{told}, {min(shares):.4f} to {max(shares):.4f} of the asked rate\n")
    assert [run.refused for run in runs] == [0] * RUNS
    assert median(shares) >= 0.98
    cases(RUNS)


def paced_fast(folder: Path, judge: str, *, rate: int, rows: int) -> Paced:
    """Run at ``rate`` a second on the fast transport, that being ``SHARE`` of the judge's limit."""
    folder.mkdir()
    fleet = fleet_of(rows)
    with (
        Bench(folder) as bench,
        fast_api(folder / "api") as api,
        JUDGES[judge](folder, api.removeprefix("http://"), round(rate / SHARE)) as url,
    ):
        job = bench.renaming(fleet, url, rate=f"{rate}/s", concurrency=64, transport="curl")
        ended = bench.run("run", job, "--yes")
        assert ended.code == 0, ended.err
        attempts = bench.outcomes()["attempts"].to_list()
        log = folder / "api" / "arrivals.log"
    patches = [float(line) for line in log.read_text().split()][-rows:]
    return Paced(refused=sum(attempts) - rows, share=(rows - 1) / (patches[-1] - patches[0]) / rate)


@pytest.mark.long
@pytest.mark.proves("G5")
@pytest.mark.parametrize("judge", JUDGES)
def test_ten_runs_at_a_thousand_a_second(
    tmp_path: Path, judge: str, cases: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Five seconds each on the fast transport: nothing is turned away, and 98 % of the rate is reached (median)."""
    runs = [paced_fast(tmp_path / str(run), judge, rate=1_000, rows=5_000) for run in range(RUNS)]
    shares = [run.share for run in runs]
    with capsys.disabled():
        refused = [run.refused for run in runs]
        sys.stdout.write(f"\n{judge} 1000/s: {refused} turned away, {min(shares):.4f} to {max(shares):.4f}\n")
    assert [run.refused for run in runs] == [0] * RUNS
    assert median(shares) >= 0.98
    cases(RUNS)
