"""References → values: those that are held from the start, and those that are fetched when they are needed."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from bulkpatch.errors import CODES, InvalidInput, Problem, StoreFailed
from bulkpatch.model import Secret
from bulkpatch.ports import Clock
from bulkpatch.secrets.references import Unusable, parse, shown
from bulkpatch.secrets.stores import (
    EXEC_ENVIRONMENT,
    Command,
    Descriptor,
    Environment,
    Installed,
    PrivateFile,
    Store,
)
from bulkpatch.secrets.values import check_header_value, check_value

HELD = frozenset({"env", "fd"})
"""Schemes that are read once, at the start."""

FRESH = frozenset({"file"})
"""Schemes that are read for every use; all others but the held ones are asked once and remembered."""

REMEMBERED_MAX = 4096
"""Values of commands and stores that are remembered, the least recently used dropped first."""

CHECKED_MAX = 100_000
"""References that ``hold`` knows it has checked (about 10 MB); beyond that it forgets, and checks again."""

PROBLEMS_MAX = 1000
"""Problems that ``hold`` lists; beyond them it counts."""

THREADS_MAX = 32
"""Commands and stores asked at once, however high the concurrency is: each is a thread, and maybe a process."""


class Watch(Protocol):
    """Who must know every value that this process holds."""

    def add(self, secret: Secret, *, pinned: bool = False) -> None:
        """Watch for ``secret`` from now on."""
        ...


class Resolver:
    """The port ``SecretResolver``.

    ``environ`` loses each variable that is read. Relative ``file:`` paths and commands start at
    ``folder``. A value is read at most ``concurrency`` (and ``THREADS_MAX``) at once, each
    reference by one thread at a time. A value that looks like a reference is not followed.
    """

    def __init__(  # noqa: PLR0913 - what a job and its process decide about secrets
        self,
        *,
        environ: MutableMapping[str, str],
        folder: Path,
        exec_env: Sequence[str],
        allow_short: bool,
        concurrency: int,
        redactor: Watch,
        clock: Clock,
    ) -> None:
        passed_on = {name: environ[name] for name in (*EXEC_ENVIRONMENT, *exec_env) if name in environ}
        self._stores: dict[str, Store] = {
            "env": Environment(environ=environ),
            "fd": Descriptor(clock=clock),
            "file": PrivateFile(folder=folder),
            "exec": Command(folder=folder, environ=passed_on, clock=clock),
        }
        self._allow_short = allow_short
        self._redactor = redactor
        self._held: dict[str, Secret] = {}
        self._remembered: OrderedDict[str, Secret] = OrderedDict()
        self._flights: dict[str, asyncio.Future[Secret]] = {}
        self._threads = ThreadPoolExecutor(min(concurrency, THREADS_MAX), thread_name_prefix="secret")

    def hold(self, references: Iterable[str]) -> dict[str, Problem]:
        """Read what must be read before the first send, check the rest, and say what is wrong, by reference.

        Lists ``PROBLEMS_MAX`` problems at most; one more, under no reference, says how many there are besides.
        """
        problems: dict[str, Problem] = {}
        checked: set[str] = set()
        omitted = 0
        for reference in references:
            if reference in checked:
                continue
            if len(checked) >= CHECKED_MAX:
                checked.clear()
            checked.add(reference)
            try:
                self._prepare(reference)
            except Unusable as flaw:
                if len(problems) < PROBLEMS_MAX:
                    problems[reference] = flaw.problem(reference)
                else:
                    omitted += 1
        if omitted:
            problems[""] = Problem(code="BP302", message=f"and {omitted} more references that do not hold")
        return problems

    def resolve_now(self, reference: str) -> Secret:
        """The API key, before anything is sent. Raises ``InvalidInput`` if it may not be an HTTP header's value.

        It is watched for until the process ends, whatever else is dropped.
        """
        try:
            self._prepare(reference)
            secret = self._held.get(reference) or self._read(reference)
            check_header_value(secret.reveal())
        except Unusable as flaw:
            raise InvalidInput([flaw.problem(reference)]) from None
        self._redactor.add(secret, pinned=True)
        return secret

    async def resolve(self, source: str | Secret) -> Secret:
        """The value behind a reference: held, remembered or read now. An inline secret is watched and given back.

        Raises ``StoreFailed`` (BP306) naming the reference and the reason, never a value.
        """
        if isinstance(source, Secret):
            secret = source
        else:
            secret = self._held.get(source) or self._recall(source) or await self._fetch(source)
        self._redactor.add(secret)
        return secret

    def close(self) -> None:
        """Let the threads go. What they still wait for ends by its own time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _prepare(self, reference: str) -> None:
        """Hold the value of a held scheme; look at the place of any other."""
        if reference in self._held:
            return
        scheme, target = parse(reference)
        if scheme in HELD:
            self._held[reference] = self._read(reference)
            self._redactor.add(self._held[reference])
        else:
            self._store(scheme).check(target)

    def _store(self, scheme: str) -> Store:
        return self._stores.get(scheme) or Installed(scheme=scheme)

    def _read(self, reference: str) -> Secret:
        scheme, target = parse(reference)
        value, version = self._store(scheme).read(target)
        check_value(value, allow_short=self._allow_short)
        return Secret(value, reference=reference, version=version)

    def _recall(self, reference: str) -> Secret | None:
        secret = self._remembered.get(reference)
        if secret is not None:
            self._remembered.move_to_end(reference)
        return secret

    async def _fetch(self, reference: str) -> Secret:
        """Read in a thread; whoever asks for the same reference meanwhile waits for the same answer."""
        flight = self._flights.get(reference)
        if flight is None:
            flight = asyncio.get_running_loop().run_in_executor(self._threads, self._read_later, reference)
            self._flights[reference] = flight
            flight.add_done_callback(lambda landed: self._land(reference, landed))
        return await asyncio.shield(flight)

    def _read_later(self, reference: str) -> Secret:
        try:
            return self._read_on_demand(reference)
        except Unusable as flaw:
            what = flaw.problem(reference).message
        except Exception as error:  # noqa: BLE001 - a library's message may hold the value
            what = f"{shown(reference)}: reading it failed ({type(error).__name__})"
        raise StoreFailed("BP306", what, hint=CODES["BP306"].fix)

    def _read_on_demand(self, reference: str) -> Secret:
        if parse(reference)[0] in HELD:
            raise Unusable("BP302", "it was not read at the start")
        return self._read(reference)

    def _land(self, reference: str, flight: asyncio.Future[Secret]) -> None:
        del self._flights[reference]
        if flight.cancelled() or flight.exception() is not None or parse(reference)[0] in FRESH:
            return
        self._remembered[reference] = flight.result()
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)
