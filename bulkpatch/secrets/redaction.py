"""Live secrets, found in any text and kept out of what is written."""

from __future__ import annotations

import json
import re
import sys
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any, NamedTuple

from bulkpatch.model import Secret
from bulkpatch.secrets.decodings import decodings
from bulkpatch.secrets.encodings import NEEDLE_BYTES_MIN, encodings

LIVE_MAX = 4096
"""Secrets watched at once: 4 times the highest concurrency, at about 4 KiB of memory each."""

NEEDLE_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of all watched forms together: about 800 secrets of 4 KiB, or one each of the greatest size 50 times."""

FEW_LIVE = 4
"""Up to here (the key, and the few secrets of most jobs) some 50 plain searches are faster than the table."""

REDACTED = "<redacted>"

_API_KEY = re.compile(rb"sk_(?:prod|staging)_[A-Za-z0-9_-]+")
_API_KEY_START = b"sk_"
_UNPRINTED = re.compile("[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_SUSPECT = re.compile(rb"[\\&%]")
"""Without one of these, JSON shows a text as it is, and as good as no text has a further encoding."""
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

_GRAM_BYTES = 4
_OFFSETS = (0, 2)
_SHIFTS = (0, 1)
_BLOCK_GRAMS = 4096
_PLACES_TRIED = 4


class Hit(NamedTuple):
    """A live secret at ``document[start:end]``, in the encoding that is named."""

    start: int
    end: int
    reference: str
    encoding: str


class _Needle(NamedTuple):
    form: bytes
    gram_at: int
    encoding: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Live:
    needles: tuple[_Needle, ...]
    size: int
    pinned: bool


class LiveRedactor:
    """The port ``Redactor``, and the list of secrets that it and the leak check know.

    How it finds thousands of needles in one pass: each has four bytes of itself, and the four one
    further on, in a hash table. One of the two lies at an even place of whatever text holds the
    needle, so it is enough to look up the four bytes at every even place of a text, and to compare
    in full only where the table knows them. Of a few places in the needle the one is taken whose
    bytes the fewest others have, so that passwords made to one pattern stay apart. The time hardly
    depends on the number of secrets. A few are looked for form by form, which is faster.

    The least recently added secrets are dropped beyond ``LIVE_MAX`` or ``NEEDLE_BYTES_MAX``
    (``dropped`` counts how often); those too short to be told from chance are not watched
    (``unwatched`` counts them). Adding is safe from any thread, and so is asking meanwhile.
    """

    def __init__(self, *, live_max: int = LIVE_MAX, needle_bytes_max: int = NEEDLE_BYTES_MAX) -> None:
        self._live_max = live_max
        self._needle_bytes_max = needle_bytes_max
        self._live: OrderedDict[str, _Live] = OrderedDict()
        self._few_forms: tuple[bytes, ...] | None = ()
        self._index: dict[int, dict[int, _Needle]] = {}
        self._size = 0
        self._adding = Lock()
        self.dropped = 0
        self.unwatched = 0
        self.longest = 0

    @property
    def live(self) -> int:
        """How many secrets are watched for."""
        return len(self._live)

    def add(self, secret: Secret, *, pinned: bool = False) -> None:
        """Watch for ``secret`` from now on. A ``pinned`` one (the API key) is never dropped."""
        value = secret.reveal()
        with self._adding:
            if value in self._live:
                self._live.move_to_end(value)
            elif len(value.encode()) < NEEDLE_BYTES_MIN:
                self.unwatched += 1
            else:
                self._learn(value, secret.reference, pinned=pinned)
                while len(self._live) > self._live_max or self._size > self._needle_bytes_max:
                    if not self._forget_oldest():
                        break

    def find(self, document: bytes) -> Iterator[Hit]:
        """Every live secret in ``document``, in any encoding and no order; they may overlap."""
        yield from self._by_form(document) if len(self._live) <= FEW_LIVE else self._by_gram(document)
        if _API_KEY_START in document:
            for key in _API_KEY.finditer(document):
                yield Hit(*key.span(), "an API key", "pattern")

    def _is_clean(self, document: bytes) -> bool:
        """Whether ``document`` holds nothing, where that is told by looking for a few forms; False: look closer."""
        forms = self._few_forms
        if forms is None or _API_KEY_START in document:
            return False
        for form in forms:  # noqa: SIM110  (no generator: it is asked for every row)
            if form in document:
                return False
        return True

    def _by_form(self, document: bytes) -> Iterator[Hit]:
        """Look for each form by itself."""
        for live in list(self._live.values()):
            for needle in live.needles[:: len(_SHIFTS)]:
                start = document.find(needle.form)
                while start >= 0:
                    yield Hit(start, start + len(needle.form), needle.reference, needle.encoding)
                    start = document.find(needle.form, start + 1)

    def _by_gram(self, document: bytes) -> Iterator[Hit]:
        """Look up the four bytes at every even place; block by block, since most blocks have none that is known."""
        for offset in _OFFSETS:
            whole_grams = (len(document) - offset) // _GRAM_BYTES * _GRAM_BYTES
            grams = memoryview(document)[offset : offset + whole_grams].cast("I")
            for first in range(0, len(grams), _BLOCK_GRAMS):
                block = grams[first : first + _BLOCK_GRAMS]
                if self._index.keys().isdisjoint(block):
                    continue
                for place in [place for place, gram in enumerate(block, first) if gram in self._index]:
                    yield from self._at(document, offset + place * _GRAM_BYTES, grams[place])

    def _at(self, document: bytes, place: int, gram: int) -> Iterator[Hit]:
        """The needles that have ``gram``, which stands at ``place``."""
        for needle in list(self._index.get(gram, {}).values()):
            start = place - needle.gram_at
            # Before the beginning, Python counts from the end, where too little is left to match.
            if document.startswith(needle.form, start):
                yield Hit(start, start + len(needle.form), needle.reference, needle.encoding)

    def scrub(self, text: str, *, limit: int = 300) -> str:
        """``text`` on one line, live secrets in any encoding replaced, control characters escaped, cut to ``limit``.

        Give it the text whole: of a secret that was cut in two before, no form is left to be found. Of a text that
        shows one under more than one encoding, nothing is left.
        """
        clean = self._cleared(text)
        escaped = _UNPRINTED.sub(_escaped, clean)
        if escaped != clean:
            clean = self._replaced(escaped)
        return clean if len(clean) <= limit else clean[: limit - 1] + "…"

    def scrub_json(self, document: bytes) -> bytes | None:
        """``document`` as it is if it holds no live secret, else with it replaced; None if that is no JSON any more."""
        clean = self._without(document)
        suspect = _SUSPECT.search(clean) is not None
        if clean is document and not suspect:
            return document
        try:
            said = json.loads(clean)
        except ValueError:
            return None if clean is not document else document
        cleared = self._cleared_values(said) if suspect else said
        return clean if cleared == said else json.dumps(cleared, ensure_ascii=False, separators=(",", ":")).encode()

    def _cleared_values(self, value: Any) -> Any:
        """A JSON value whose texts are cleared one by one: quoted in JSON, their own encodings are hard to see."""
        match value:
            case str():
                return self._cleared(value)
            case list():
                return [self._cleared_values(inner) for inner in value]
            case dict():
                return {name: self._cleared_values(inner) for name, inner in value.items()}
            case _:
                return value

    def _cleared(self, text: str) -> str:
        clean = self._replaced(text)
        hidden = any(self._shows(inner) for inner in decodings(clean))
        return REDACTED if hidden else clean

    def _shows(self, text: str) -> bool:
        return next(self.find(text.encode("utf-8", "backslashreplace")), None) is not None

    def _replaced(self, text: str) -> str:
        document = text.encode("utf-8", "backslashreplace")
        clean = self._without(document)
        return text if clean is document else clean.decode("utf-8", "replace")

    def _without(self, document: bytes) -> bytes:
        if self._is_clean(document) or not (hits := sorted(self.find(document))):
            return document
        kept, end = bytearray(), 0
        for hit in hits:
            if hit.start >= end:
                kept += document[end : hit.start] + REDACTED.encode()
            end = max(end, hit.end)
        return bytes(kept + document[end:])

    def _learn(self, value: str, reference: str, *, pinned: bool) -> None:
        forms = encodings(value)
        needles = tuple(
            _Needle(form, at, name, reference) for form, name in forms.items() for at in self._gram_places(form)
        )
        for needle in needles:
            self._index.setdefault(_gram(needle.form, needle.gram_at), {})[id(needle)] = needle
        live = _Live(needles=needles, size=sum(map(len, forms)), pinned=pinned)
        self._live[value] = live
        self._list_few()
        self._size += live.size
        self.longest = max(self.longest, *map(len, forms))

    def _list_few(self) -> None:
        few = [needle.form for live in self._live.values() for needle in live.needles[:: len(_SHIFTS)]]
        self._few_forms = tuple(few) if len(self._live) <= FEW_LIVE else None

    def _gram_places(self, form: bytes) -> list[int]:
        """Two neighbouring places in ``form`` whose four bytes the fewest needles share."""
        last = len(form) - _GRAM_BYTES - 1
        place = min(range(0, last + 1, last // _PLACES_TRIED + 1), key=lambda place: self._load(form, place))
        return [place + shift for shift in _SHIFTS]

    def _load(self, form: bytes, place: int) -> int:
        return sum(len(self._index.get(_gram(form, at), ())) for at in (place + shift for shift in _SHIFTS))

    def _forget_oldest(self) -> bool:
        value = next((value for value, live in self._live.items() if not live.pinned), None)
        if value is None:
            return False
        live = self._live.pop(value)
        self._list_few()
        self._size -= live.size
        self.dropped += 1
        for needle in live.needles:
            gram = _gram(needle.form, needle.gram_at)
            del self._index[gram][id(needle)]
            if not self._index[gram]:
                del self._index[gram]
        return True


def _gram(form: bytes, place: int) -> int:
    return int.from_bytes(form[place : place + _GRAM_BYTES], sys.byteorder)


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    short = _SHORT_ESCAPES.get(character)
    if short is not None:
        return short
    return f"\\x{ord(character):02x}" if character <= "\xff" else f"\\u{ord(character):04x}"
