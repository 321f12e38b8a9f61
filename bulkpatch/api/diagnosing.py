"""What of this machine, its settings and the way to the API would stand in a run's way, before a run finds out."""

from __future__ import annotations

import platform
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final, Literal

from bulkpatch import __version__
from bulkpatch.api.opened import FILES_BESIDES, FILES_OF_A_SLOT
from bulkpatch.errors import BulkpatchError
from bulkpatch.ledger.folder import make_run_folder, write_private
from bulkpatch.ledger.opening import SQLITE_VERSION
from bulkpatch.plugins import Group, contested, others
from bulkpatch.ports import Clock
from bulkpatch.transport.factory import TRANSPORTS
from bulkpatch.transport.probe import Probe, probe

DISK_BYTES_MIN: Final = 256 * 1024 * 1024
"""Free space below which a warning is due: ledger and report of a million rows."""
SKEW_S_MAX: Final = 60.0
"""Seconds between this clock and the API's from which on times in reports mislead."""

Level = Literal["ok", "warn", "bad"]

TRAPS: Final[Mapping[str, tuple[Level, str]]] = {
    "SSLKEYLOGFILE": ("bad", "the keys of every TLS connection would be written to a file: every command refuses it"),
    "PYTHONINSPECT": ("warn", "Python would stay open after a run, with its secrets in memory"),
    "PYTHONDEVMODE": ("warn", "Python prints more than it should of what goes wrong"),
    "PYTHONTRACEMALLOC": ("warn", "makes every run slower"),
    "PYTHONPATH": ("warn", "other packages may stand before those that were installed with bulkpatch"),
    "HTTP_PROXY": ("ok", "not used: the key goes straight to the API"),
    "HTTPS_PROXY": ("ok", "not used: the key goes straight to the API"),
    "ALL_PROXY": ("ok", "not used: the key goes straight to the API"),
    "SSL_CERT_FILE": ("ok", "not used: no variable adds an authority"),
    "SSL_CERT_DIR": ("ok", "not used: no variable adds an authority"),
    "NETRC": ("ok", "not used"),
}
"""Variables of the environment that change what programs like this one do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; a ``bad`` one would keep a run from starting or from being safe."""

    name: str
    level: Level
    words: str
    fix: str = ""


def diagnose(  # noqa: PLR0913  (what is looked at, each by name)
    report_dir: Path,
    base_url: str,
    environ: Mapping[str, str],
    *,
    clock: Clock,
    concurrency: int,
    open_files_max: int | None,
    online: bool,
    key: str = "",
    ca_file: Path | None = None,
) -> Sequence[Finding]:
    """Look at all of it; a run folder is made and taken away again. ``online`` asks the API for its time, keyless.

    Of ``key``, the reference of the API key, only a variable is looked for; no value is read.
    """
    found = [_versions(), *_folder(report_dir, clock), _open_files(concurrency, open_files_max), *_environment(environ)]
    found += [*_plugins(), *_key(key, environ)]
    if online:
        found += _reached(base_url, probe(base_url, clock=clock, ca_file=ca_file), clock)
    return found


def _versions() -> Finding:
    words = f"bulkpatch {__version__}, Python {platform.python_version()}, SQLite {SQLITE_VERSION}"
    return Finding(name="versions", level="ok", words=words)


def _folder(report_dir: Path, clock: Clock) -> Iterator[Finding]:
    there = report_dir.exists()
    try:
        trial = make_run_folder(report_dir, "doctor", clock.wall_us(), secrets.token_hex(2))
        try:
            write_private(trial / "trial", b"x")
        finally:
            shutil.rmtree(trial, ignore_errors=True)
            if not there:
                report_dir.rmdir()
    except BulkpatchError as error:
        yield Finding(name="report folder", level="bad", words=error.message, fix=error.hint)
        return
    yield Finding(name="report folder", level="ok", words=f"{report_dir} is private, and what is written there stays")
    free = shutil.disk_usage(report_dir if there else report_dir.absolute().parent).free
    words = f"{free / 1024**3:,.1f} GiB free"
    if free < DISK_BYTES_MIN:
        yield Finding(name="disk", level="warn", words=words, fix="A million rows need about 256 MiB.")
    else:
        yield Finding(name="disk", level="ok", words=words)


def _open_files(concurrency: int, most: int | None) -> Finding:
    need = FILES_OF_A_SLOT * concurrency + FILES_BESIDES
    allowed = "any number" if most is None else f"{most:,}"
    words = f"{allowed} allowed, {need:,} needed for {concurrency} requests in flight"
    if most is None or most >= need:
        return Finding(name="open files", level="ok", words=words)
    return Finding(name="open files", level="bad", words=words, fix=f"ulimit -n {need}, or a lower concurrency.")


def _environment(environ: Mapping[str, str]) -> Iterator[Finding]:
    names = {name: name for name in TRAPS} | {name.lower(): name for name in TRAPS if name.endswith("_PROXY")}
    set_here = {given: trap for given, trap in names.items() if environ.get(given)}
    for given, trap in set_here.items():
        level, words = TRAPS[trap]
        yield Finding(name=given, level=level, words=words, fix="" if level == "ok" else f"unset {given}")
    if not set_here:
        yield Finding(name="environment", level="ok", words="nothing in it changes how this program works")


def _plugins() -> Iterator[Finding]:
    """What other packages bring; none of it is loaded by looking."""
    for plugin in others():
        if plugin.group is Group.TRANSPORTS and plugin.name in TRANSPORTS:
            words, fix = f"{plugin}; not used: bulkpatch has one of this name", ""
            yield Finding(name="plugin", level="warn", words=words, fix=fix)
        elif plugin.rivals:
            fix = "Uninstall all but one, or leave it out of your jobs: none of them is asked."
            yield Finding(name="plugin", level="warn", words=contested(plugin), fix=fix)
        else:
            yield Finding(name="plugin", level="ok", words=str(plugin))


def _key(reference: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    scheme, _, name = reference.partition(":")
    if scheme != "env":
        return
    if name in environ:
        yield Finding(name="key", level="ok", words=f"{reference} is set")
    else:
        yield Finding(name="key", level="bad", words=f"{reference} is not set", fix=f"export {name}=…")


def _reached(base_url: str, seen: Probe, clock: Clock) -> Iterator[Finding]:
    if seen.problem:
        fix = "Check the address, the network, and this machine's time."
        yield Finding(name="API", level="bad", words=f"{base_url}: {seen.problem}", fix=fix)
        return
    yield Finding(name="API", level="ok", words=f"{base_url} answers in {seen.latency_ms:.0f} ms")
    try:
        skew_s = clock.wall_us() / 1e6 - parsedate_to_datetime(seen.date).timestamp()
    except ValueError:
        return
    words = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the API's"
    if abs(skew_s) > SKEW_S_MAX:
        yield Finding(name="clock", level="warn", words=words, fix="Set this machine's clock; reports carry its times.")
    else:
        yield Finding(name="clock", level="ok", words=words)
