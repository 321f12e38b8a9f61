"""What the tests of this room share: clocks, canaries, and encoders that owe nothing to the code under test."""

from __future__ import annotations

import base64
import binascii
import html
import json
import random
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from bulkpatch.model import Secret
from bulkpatch.secrets.pace import ReadLimit
from bulkpatch.secrets.redaction import LiveRedactor
from bulkpatch.secrets.resolver import Resolver


class RealClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wall_us(self) -> int:
        """Microseconds since 1970."""
        return time.time_ns() // 1000


class SteppingClock(RealClock):
    """Each look at it is ``step_s`` later than the one before."""

    def __init__(self, step_s: float) -> None:
        self.now_s = 0.0
        self.step_s = step_s

    def monotonic(self) -> float:
        """Seconds that never go back."""
        self.now_s += self.step_s
        return self.now_s


ASCII = "Zq7Wm2xK9vTb4NcR8yHd3GfJ6sLp1AeU"
NASTY = "p\"a\\ss'é/+ &<wörd"


def pem(seed: int = 7) -> str:
    """About 4 KiB of key material, the same for the same ``seed``."""
    draw = random.Random(seed)  # noqa: S311 - a fixed canary, not a key
    lines = [base64.b64encode(draw.randbytes(48)).decode() for _ in range(62)]
    return "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"])


PEM = pem()
CANARIES = {"ascii": ASCII, "nasty": NASTY, "pem": PEM}


def lower_escapes(text: str) -> str:
    """Percent escapes in lower case."""
    parts = text.split("%")
    return parts[0] + "".join("%" + part[:2].lower() + part[2:] for part in parts[1:])


def base64_behind(offset: int) -> Callable[[str], bytes]:
    """Base64 of a value that stands behind ``offset`` other bytes, and before others."""
    return lambda value: base64.b64encode(b"xyz"[:offset] + value.encode() + b"END")


ENCODERS: dict[str, Callable[[str], bytes]] = {
    "raw": str.encode,
    "json ascii": lambda value: json.dumps(value)[1:-1].encode(),
    "json utf-8": lambda value: json.dumps(value, ensure_ascii=False)[1:-1].encode(),
    "json slash": lambda value: json.dumps(value)[1:-1].replace("/", r"\/").encode(),
    "url": lambda value: urllib.parse.quote(value, safe="").encode(),
    "url lower": lambda value: lower_escapes(urllib.parse.quote(value, safe="")).encode(),
    "form": lambda value: urllib.parse.urlencode({"": value})[1:].encode(),
    "html": lambda value: html.escape(value).encode(),
    "repr": lambda value: repr(value)[1:-1].encode(),
    "csv": lambda value: value.replace('"', '""').encode(),
    "utf-16le": lambda value: value.encode("utf-16-le"),
    "hex": lambda value: binascii.hexlify(value.encode()),
    "hex upper": lambda value: binascii.hexlify(value.encode()).upper(),
    "base64 at 0": base64_behind(0),
    "base64 at 1": base64_behind(1),
    "base64 at 2": base64_behind(2),
    "base64 url-safe": lambda value: base64.urlsafe_b64encode(value.encode()),
}


def redactor_of(*values: str) -> LiveRedactor:
    """A redactor that knows ``values`` as ``env:S0``, ``env:S1`` and so on."""
    redactor = LiveRedactor()
    for number, value in enumerate(values):
        redactor.add(Secret(value, reference=f"env:S{number}"))
    return redactor


def resolver_of(  # noqa: PLR0913 - each is one knob of the resolver
    folder: Path,
    environ: dict[str, str],
    *,
    redactor: LiveRedactor | None = None,
    allow_short: bool = False,
    pin_versions: bool = False,
    exec_env: tuple[str, ...] = (),
    clock: RealClock | None = None,
    read_limits: dict[str, ReadLimit] | None = None,
) -> Resolver:
    """A resolver over ``environ`` and ``folder``."""
    return Resolver(
        environ=environ,
        folder=folder,
        exec_env=exec_env,
        allow_short=allow_short,
        pin_versions=pin_versions,
        concurrency=4,
        redactor=redactor or LiveRedactor(),
        clock=clock or RealClock(),
        read_limits=read_limits,
    )


def private(path: Path, content: bytes, mode: int = 0o600) -> Path:
    """``path``, written with ``mode``."""
    path.write_bytes(content)
    path.chmod(mode)
    return path
