"""What stores have in common: documents that are read once, keys in them, and errors without their text."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import Any, ClassVar

from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.forms import Spot, Target, read_target
from bulkpatch.secrets.kinds import Answer, Found, Surroundings

DOCUMENTS_MAX = 64
"""Documents kept of a store for other keys in them, the least recently used dropped first: 4 MiB or so."""

LOCKS = 64
"""So that rows which need the same document wait for one read, and others hardly ever wait for each other."""

THROTTLED_WAITS_S = (1.0, 2.0, 4.0)
"""Pauses after "too many requests". Then the run stops, its rows pending: others need the store too."""


class Word(StrEnum):
    """What a store's error comes to."""

    DENIED = "denied"
    MISSING = "not found"
    UNREACHABLE = "unreachable"
    SEALED = "sealed or down"
    THROTTLED = "throttled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What lies at one spot: a text, or keys and what they hold."""

    content: str | Mapping[str, Any]
    version: str | None

    def keyed(self) -> Document:
        """The same with keys: a text must be a JSON object."""
        if not isinstance(self.content, str):
            return self
        try:
            content = json.loads(self.content, object_pairs_hook=_pairs)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise Unusable(
                "BP304", "its value is no JSON object that has each key once, so no key can be taken from it"
            )
        return Document(content=content, version=self.version)

    def pick(self, key: str | None) -> Found:
        """The text, or the text of ``key``."""
        value = self.content if key is None or isinstance(self.content, str) else self.content.get(key)
        if value is None:
            raise Unusable("BP302", "the secret is there, but has no such key")
        if not isinstance(value, str):
            raise Unusable("BP304", "its value is no text")
        return value, self.version


class DocumentReader(ABC):
    """A store whose documents are fetched one by one, and kept while other keys of them may be asked for."""

    scheme: ClassVar[str]
    words: ClassVar[Mapping[str, Word]]
    """By the name of an error's type or of one it derives from, or by what ``clues`` adds."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self._kept: OrderedDict[Spot, Document] = OrderedDict()
        self._keeping = Lock()
        self._fetching = [Lock() for _ in range(LOCKS)]

    def check(self, target: str) -> None:  # noqa: B027 - most know nothing
        """Nothing is known before the store is asked."""

    def close(self) -> None:  # noqa: B027 - some have nothing open
        """Nothing is open."""

    def read(self, targets: Sequence[str]) -> Mapping[str, Answer]:
        """See kinds.Reader."""
        wanted = {text: self._wanted(text) for text in targets}
        ready = self.fetch_together({target.spot: None for target in wanted.values() if isinstance(target, Target)})
        return {text: self._answer(target, ready) for text, target in wanted.items()}

    @abstractmethod
    def fetch(self, spot: Spot) -> Document:
        """Ask the store. Raises what its SDK raises, or ``Unusable``."""

    def fetch_together(self, spots: Iterable[Spot]) -> Mapping[Spot, Document]:  # noqa: ARG002 - for those that can
        """As many of ``spots`` as one request gives; the others are fetched one by one. Raises nothing."""
        return {}

    def is_version(self, asked: str, document: Document) -> bool:
        """Whether ``document`` is of the version that was asked for."""
        return document.version == asked

    def clues(self, error: Exception) -> Iterator[str]:
        """Names by which ``words`` knows ``error``, the most telling first."""
        yield from (kind.__name__ for kind in type(error).__mro__)

    def detail(self, error: Exception) -> str:
        """What of ``error`` may be shown: never its message."""
        return type(error).__name__

    def _wanted(self, text: str) -> Target | Unusable:
        try:
            return read_target(self.scheme, text)
        except Unusable as flaw:
            return flaw

    def _answer(self, target: Target | Unusable, ready: Mapping[Spot, Document]) -> Answer:
        if isinstance(target, Unusable):
            return target
        try:
            return self._document(target, ready).pick(target.key)
        except Unusable as flaw:
            return flaw

    def _document(self, target: Target, ready: Mapping[Spot, Document]) -> Document:
        spot = target.spot
        if target.key is None:
            return ready.get(spot) or self._fetched(spot)
        with self._fetching[hash(spot) % LOCKS]:
            kept = self._recall(spot)
            if kept is None:
                kept = (ready.get(spot) or self._fetched(spot)).keyed()
                self._keep(spot, kept)
            return kept

    def _recall(self, spot: Spot) -> Document | None:
        with self._keeping:
            kept = self._kept.get(spot)
            if kept is not None:
                self._kept.move_to_end(spot)
            return kept

    def _keep(self, spot: Spot, document: Document) -> None:
        with self._keeping:
            self._kept[spot] = document
            if len(self._kept) > DOCUMENTS_MAX:
                self._kept.popitem(last=False)

    def _fetched(self, spot: Spot) -> Document:
        """Ask, and ask again after a pause if the store is pressed."""
        for wait_s in (*THROTTLED_WAITS_S, None):
            self.around.pace.take()
            try:
                document = self.fetch(spot)
            except Unusable:
                raise
            except Exception as error:  # noqa: BLE001 - whatever an SDK raises, its message may hold a value
                word = next((self.words[clue] for clue in self.clues(error) if clue in self.words), Word.FAILED)
                flaw = self._told(word, self.detail(error))
            else:
                if spot.version is not None and not self.is_version(spot.version, document):
                    raise Unusable("BP306", f"the store of {self.scheme}: gave another version than was asked for")
                return document
            if word is not Word.THROTTLED or wait_s is None:
                break
            self.around.pace.rest(wait_s)
        raise flaw

    def _told(self, word: Word, detail: str) -> Unusable:
        code = "BP302" if word is Word.MISSING else "BP306"
        return Unusable(code, f"the store of {self.scheme}: {word} ({detail})")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError
    return content
