"""Power cuts: what a disk may hold at any moment of a run that was written down call by call.

What was synced is there. Of what was not, any part may be: whole writes, none of them, single sectors of them, in any
order. A name that was made, moved or removed is only certain once its folder was synced.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

CALLS: Final = "openat,pwrite64,write,ftruncate,fdatasync,fsync,rename,unlink,sendto"
SECTOR_BYTES: Final = 512
_LINE = re.compile(r"(?P<thread>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<call>\w+)\()(?P<rest>.*)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FILE = re.compile(r"(\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>")


def _plain(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes that were written, or where ``data`` is None: a size that was set."""

    path: str
    at: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Synced:
    """A file, or a folder, and all that was written to it is on the disk."""

    path: str


@dataclass(frozen=True, slots=True)
class Named:
    """A file was made (``old`` empty), moved, or removed (``new`` empty)."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A PATCH to a destination left: its intent is promised to be on the disk."""

    destination_id: str


@dataclass(frozen=True, slots=True)
class Told:
    """The log says that a destination is settled: its outcome is promised to be on the disk."""

    destination_id: str


Event = Write | Synced | Named | Sent | Told


def events_in(trace: Path) -> Iterator[Event]:
    """What strace wrote down with ``-f -y -xx`` of ``CALLS``, in order. A sync counts once it returned."""
    begun: dict[str, str] = {}
    for line in trace.read_text().splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        thread, call, rest = found["thread"], found["call"], found["rest"]
        if found["resumed"]:
            call, rest = found["resumed"], begun.pop(thread, "") + rest
            if call in {"fdatasync", "fsync", "openat"}:
                yield from _event(call, rest)
        elif rest.endswith("<unfinished ...>"):
            begun[thread] = rest
            if call not in {"fdatasync", "fsync", "openat"}:  # the others are taken as done at once
                yield from _event(call, rest)
        else:
            yield from _event(call, rest)


def _event(call: str, rest: str) -> Iterator[Event]:
    texts = [_plain(text) for text in _TEXT.findall(rest)]
    file = _FILE.match(rest)
    path = _plain(file[2]).decode() if file else ""
    if "= -1 " in rest:
        return
    match call:
        case "pwrite64":
            yield Write(
                path, int(rest.partition(" <unfin")[0].partition(") ")[0].rpartition(", ")[2].strip(") ")), texts[0]
            )
        case "ftruncate":
            yield Write(path, int(re.findall(r">, (\d+)", rest)[0]), None)
        case "fdatasync" | "fsync":
            yield Synced(path)
        case "openat" if "O_CREAT" in rest:
            yield Named("", texts[0].decode())
        case "rename":
            yield Named(texts[0].decode(), texts[1].decode())
        case "unlink":
            yield Named(texts[0].decode(), "")
        case "sendto" if texts and texts[0].startswith(b"PATCH /destinations/"):
            yield Sent(texts[0].split(b" ")[1].rpartition(b"/")[2].decode())
        case "write" if path.endswith("log.jsonl") and b'"row_settled"' in texts[0]:
            yield Told(re.findall(rb'"destination_id": ?"([^"]+)"', texts[0])[0].decode())
        case _:
            pass


@dataclass
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Write] = field(default_factory=list)


@dataclass
class Disk:
    """The files of one folder that begin with ``stem``, as the disk and as the programs know them."""

    folder: str
    stem: str
    names: dict[str, _File] = field(default_factory=dict)
    durable_names: dict[str, _File] = field(default_factory=dict)
    renamings: list[Named] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """One more thing that happened."""
        match event:
            case Write(path=path) if self._ours(path):
                self.names[path].pending.append(event)
            case Synced(path=path) if path == self.folder:
                self.durable_names = dict(self.names)
                self.renamings.clear()
            case Synced(path=path) if self._ours(path):
                file = self.names[path]
                for write in file.pending:
                    _apply(file.durable, write)
                file.pending.clear()
            case Named(old=old, new=new) if self._ours(old or new) and (old or new not in self.names):
                _rename(self.names, event, _File())
                self.renamings.append(event)
            case _:
                pass

    def _ours(self, path: str) -> bool:
        return path.startswith(f"{self.folder}/{self.stem}")

    def image(self, chance: random.Random, *, share: float | None = None) -> Mapping[str, bytes]:
        """By name, what a cut at this moment may leave; ``share`` of what was not synced."""
        names = dict(self.durable_names)
        renamed = chance.randint(0, len(self.renamings)) if share is None else 0
        for renaming in self.renamings[:renamed]:
            if renaming.old or renaming.new in self.names:
                made = self.names.get(renaming.new, _File())
                _rename(names, renaming, made)
        # How much survives is drawn for the whole image: with a share for each write few images would be extreme.
        part = chance.choice([0.0, 0.0, 0.2, 0.5, 0.8, 1.0]) if share is None else share
        return {name.rpartition("/")[2]: _survivors(file, part, chance) for name, file in names.items()}


def _rename(names: dict[str, _File], renaming: Named, made: _File) -> None:
    file = names.pop(renaming.old, made) if renaming.old else made
    if renaming.new:
        names[renaming.new] = file


def _apply(content: bytearray, write: Write) -> None:
    if write.data is None:
        del content[write.at :]
        content.extend(bytes(write.at - len(content)))
        return
    content.extend(bytes(max(0, write.at - len(content))))
    content[write.at : write.at + len(write.data)] = write.data


def _survivors(file: _File, share: float, chance: random.Random) -> bytes:
    content = bytearray(file.durable)
    for write in file.pending:
        if write.data is None or chance.random() < 0.5:
            if chance.random() < share:
                _apply(content, write)
        else:
            for at in range(0, len(write.data), SECTOR_BYTES):
                if chance.random() < share:
                    _apply(content, Write(write.path, write.at + at, write.data[at : at + SECTOR_BYTES]))
    return bytes(content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A moment: what the disk may hold, and what was promised by then."""

    image: Mapping[str, bytes]
    sent: Mapping[str, int]
    told: frozenset[str]


def cuts(events: Sequence[Event], folder: Path, *, number: int, seed: int) -> Iterable[Cut]:
    """One at every promise, with nothing left but what was synced, and ``number`` more, spread over the whole time."""
    disk, sent, told = Disk(str(folder), "ledger.sqlite"), dict[str, int](), set[str]()
    chance = random.Random(seed)  # noqa: S311  (a fixed seed)
    for at, event in enumerate(events):
        disk.take(event)
        if isinstance(event, Sent):
            sent[event.destination_id] = sent.get(event.destination_id, 0) + 1
        elif isinstance(event, Told):
            told.add(event.destination_id)
        if isinstance(event, Sent | Told):
            yield Cut(image=disk.image(chance, share=0.0), sent=dict(sent), told=frozenset(told))
        for _ in range(number * (at + 1) // len(events) - number * at // len(events)):
            yield Cut(image=disk.image(chance), sent=dict(sent), told=frozenset(told))
