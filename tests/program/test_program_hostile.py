"""An API that means harm: answers without end cost one attempt each, within its time and a bounded memory."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Self

import pytest
from program_rig import Bench, Child, renaming_job, renaming_rows

MIB: Final = 1024 * 1024
TIMEOUT_S: Final = 6
RSS_MIB_MAX: Final = 400
"""MiB that the program may ever hold; a plain run of a few rows holds 130, and the bomb alone is 1,024."""
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def fine(destination_id: str) -> bytes:
    """A whole good answer."""
    body = json.dumps({"status": "success", "message": "ok", "data": {"destination": {"id": destination_id}}}).encode()
    return OK + b"Content-Length: %d\r\n\r\n" % len(body) + body


def bomb() -> bytes:
    """1 GiB of JSON text, in 1 MiB of gzip."""
    packed = gzip.compress(b'{"status":"success","message":"' + b"A" * MIB * 8, compresslevel=9)
    return b"".join([OK, b"Content-Encoding: gzip\r\n\r\n", packed, *[gzip.compress(b"A" * MIB * 8)] * 127])


def for_ever(head: bytes, piece: bytes, *, pause_s: float = 0.0) -> Iterator[bytes]:
    """``head``, then ``piece`` without end."""
    yield head
    while True:
        yield piece
        time.sleep(pause_s)


Answers = Callable[[str], Iterator[bytes]]
HOSTILE: Mapping[str, tuple[Answers, str]] = {
    "gzip-bomb": (lambda _: iter([bomb()]), "BP412"),
    "body-without-end": (lambda _: for_ever(OK + b"\r\n", b"x" * 65_536), "BP412"),
    "chunks-without-end": (
        lambda _: for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
        "BP412",
    ),
    "terabyte": (lambda _: for_ever(OK + b"Content-Length: 1099511627776\r\n\r\n", b"x" * 65_536), "BP412"),
    "headers-without-end": (lambda _: for_ever(OK, b"X-Filler: aaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 100), "BP412"),
    "hundred-thousand-headers": (lambda _: iter([OK + b"X-Filler: a\r\n" * 100_000 + b"\r\n"]), "BP412"),
    "line-without-end": (lambda _: for_ever(b"HTTP/1.1 200 ", b"O" * 65_536), "BP412"),
    "flood-of-1xx": (lambda _: for_ever(b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 100), "BP409"),
    "slowloris": (lambda _: for_ever(OK, b"X", pause_s=0.3), "BP409"),
    "slow-body": (lambda _: for_ever(OK + b"Content-Length: 99\r\n\r\n", b" ", pause_s=0.3), "BP409"),
    "silence": (lambda _: for_ever(b"", b"", pause_s=0.3), "BP409"),
}
"""What answers a destination of that name, and the code that its row must get."""


class Hostile(socketserver.ThreadingTCPServer):
    """Answers as ``HOSTILE`` says, any other destination well, and no reads."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.over = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()


class _Talk(socketserver.StreamRequestHandler):
    server: Hostile

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while line := self.rfile.readline():
                head = b"".join(iter(self.rfile.readline, b"\r\n"))
                length = re.search(rb"(?i)content-length: (\d+)", head)
                self.rfile.read(int(length[1]) if length else 0)
                if not line.startswith(b"PATCH"):
                    self.wfile.write(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n")
                    continue
                destination_id = line.split()[1].rpartition(b"/")[2].decode()
                if destination_id not in HOSTILE:
                    self.wfile.write(fine(destination_id))
                    continue
                for piece in HOSTILE[destination_id][0](destination_id):
                    if self.server.over.is_set():
                        return
                    self.wfile.write(piece)
                return


def peak_mib(child: Child) -> float:
    """The most memory that ``child`` held until it ended, by the kernel's own count."""
    peak_kib, status = 0, Path(f"/proc/{child.pid}/status")
    while not child.gone:
        with contextlib.suppress(OSError):
            found = re.search(r"VmHWM:\s+(\d+)", status.read_text())
            peak_kib = max(peak_kib, int(found[1])) if found else peak_kib
        time.sleep(0.01)
    return peak_kib / 1024


@pytest.mark.proves("G12")
def test_answers_without_end_are_cut(bench: Bench, cases: Callable[[int], None]) -> None:
    """Eleven kinds at once, one attempt each: in doubt with the code of the kind, in bounded time and memory."""
    good = [f"good-{number}" for number in range(2 * len(HOSTILE))]
    bench.write("fleet.csv", renaming_rows([*HOSTILE, *good]))
    with Hostile() as server:
        job = renaming_job(server.url, attempts=1, timeout=f"{TIMEOUT_S}s", concurrency=16)
        child = bench.start("run", bench.write("job.toml", job), "--yes")
        peak = peak_mib(child)
        ended = child.wait()
    assert ended.code == 7, ended.err
    told = bench.outcomes().select("destination_id", "state", "attempts", "error_code").rows()
    assert told == [
        *((name, "unknown", 1, code) for name, (_, code) in HOSTILE.items()),
        *((name, "accepted", 1, None) for name in good),
    ]
    assert max(bench.outcomes()["latency_ms"].to_list()) < 4 * TIMEOUT_S * 1000
    assert 30 < peak < RSS_MIB_MAX
    cases(len(HOSTILE))
