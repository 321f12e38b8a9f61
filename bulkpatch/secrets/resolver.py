"""References → values: those that are held from the start, and those that are fetched when they are needed."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from bulkpatch.errors import CODES, InvalidInput, Problem, StoreFailed
from bulkpatch.model import Secret
from bulkpatch.ports import Clock
from bulkpatch.secrets.flaws import Unusable, shown
from bulkpatch.secrets.forms import refuse_unpinned
from bulkpatch.secrets.kinds import ENVIRONMENT, Answer
from bulkpatch.secrets.pace import ReadLimit
from bulkpatch.secrets.references import parse
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

ABSENT = "BP302"
"""The code of a secret that is not there."""

REMEMBERED_MAX = 4096
"""Values of commands and stores that are remembered, the least recently used dropped first."""

CHECKED_MAX = 100_000
"""References that ``hold`` knows it has checked (about 10 MB); beyond that it forgets, and checks again."""

LOOKED_INTO_MAX = 10_000
"""Files whose content is judged before the first send (0.3 s on a local disk); of others only the place is."""

PROBLEMS_MAX = 1000
"""Problems that are listed; beyond them they are counted."""

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
    With ``pin_versions`` a row's reference that names no version is refused (BP308).
    ``read_limits`` are those of schemes that packages bring, instead of the ones they publish.
    """

    def __init__(  # noqa: PLR0913 - what a job and its process decide about secrets
        self,
        *,
        environ: MutableMapping[str, str],
        folder: Path,
        exec_env: Sequence[str],
        allow_short: bool,
        pin_versions: bool = False,
        concurrency: int,
        redactor: Watch,
        clock: Clock,
        read_limits: Mapping[str, ReadLimit] | None = None,
    ) -> None:
        passed_on = {name: environ[name] for name in (*EXEC_ENVIRONMENT, *exec_env) if name in environ}
        self._stores: dict[str, Store] = {
            "env": Environment(environ=environ),
            "fd": Descriptor(clock=clock),
            "file": PrivateFile(folder=folder),
            "exec": Command(folder=folder, environ=passed_on, clock=clock),
        }
        self._installed: dict[str, Installed] = {}
        self._told_to_stores = {name: value for name, value in environ.items() if name.startswith(ENVIRONMENT)}
        self._read_limits = read_limits or {}
        self._folder = folder
        self._clock = clock
        self._allow_short = allow_short
        self._pin_versions = pin_versions
        self._redactor = redactor
        self._held: dict[str, Secret] = {}
        self._remembered: OrderedDict[str, Secret] = OrderedDict()
        self._flights: dict[str, asyncio.Future[Secret]] = {}
        self._looked_into = 0
        self._gathering: dict[str, list[str]] = {}
        self._threads = ThreadPoolExecutor(min(concurrency, THREADS_MAX), thread_name_prefix="secret")

    def hold(self, references: Iterable[str]) -> dict[str, Problem]:
        """Read what must be read before the first send, check the rest, and say what is wrong, by reference.

        A file is read and judged too, and read anew for its use. Lists ``PROBLEMS_MAX`` problems at
        most; one more, under no reference, says how many there are besides.
        """
        return self._flaws(references, self._prepare)

    def look(self, references: Iterable[str]) -> dict[str, Problem]:
        """As ``hold``, where nothing is to be sent: only files are looked into, and nothing is taken or kept.

        A file that is not there is a warning, since it may be on the machine that will send.
        """
        problems = self._flaws(references, self._look)
        return {reference: replace(problem, warning=problem.code == ABSENT) for reference, problem in problems.items()}

    def _flaws(self, references: Iterable[str], judge: Callable[[str], None]) -> dict[str, Problem]:
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
                if self._pin_versions:
                    refuse_unpinned(*parse(reference))
                judge(reference)
            except Unusable as flaw:
                if len(problems) < PROBLEMS_MAX:
                    problems[reference] = flaw.problem(reference)
                else:
                    omitted += 1
        if omitted:
            problems[""] = Problem(code=ABSENT, message=f"and {omitted} more references that do not hold")
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
        """Let the threads go. What they still wait for ends by its own time limit; a wait for a read limit ends now."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for store in self._installed.values():
            store.close()

    def _prepare(self, reference: str) -> None:
        """Hold the value of a held scheme; look at the place of any other."""
        if reference in self._held:
            return
        scheme, target = parse(reference)
        if scheme in HELD:
            self._held[reference] = self._read(reference)
            self._redactor.add(self._held[reference])
        elif scheme in FRESH:
            self._look(reference)
        else:
            self._store(scheme).check(target)

    def _look(self, reference: str) -> None:
        """Judge a file's place, and its content as long as there are not too many; leave all else alone."""
        scheme, target = parse(reference)
        if scheme not in FRESH:
            return
        self._store(scheme).check(target)
        self._looked_into += 1
        if self._looked_into <= LOOKED_INTO_MAX:
            self._read(reference)

    def _store(self, scheme: str) -> Store:
        return self._stores.get(scheme) or self._brought(scheme)

    def _brought(self, scheme: str) -> Installed:
        store = self._installed.get(scheme)
        if store is None:
            store = Installed(
                scheme,
                environ=self._told_to_stores,
                folder=self._folder,
                clock=self._clock,
                limit=self._read_limits.get(scheme),
            )
            store = self._installed.setdefault(scheme, store)  # the first of several threads
        return store

    def _read(self, reference: str) -> Secret:
        scheme, target = parse(reference)
        return self._secret(reference, self._store(scheme).read(target))

    def _secret(self, reference: str, answer: Answer) -> Secret:
        if isinstance(answer, Unusable):
            raise answer
        value, version = answer
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
            flight = asyncio.get_running_loop().create_future()
            self._flights[reference] = flight
            flight.add_done_callback(lambda landed: self._land(reference, landed))
            self._gather(reference)
        return await asyncio.shield(flight)

    def _gather(self, reference: str) -> None:
        """Let references of one scheme that are asked for at the same moment leave together."""
        scheme = reference.partition(":")[0]
        gathering = self._gathering.setdefault(scheme, [])
        gathering.append(reference)
        if len(gathering) == 1:
            asyncio.get_running_loop().call_soon(self._leave, scheme)

    def _leave(self, scheme: str) -> None:
        references = self._gathering.pop(scheme)
        store = self._installed.get(scheme)
        size = store.batch_max if store is not None else 1
        for batch in (references[first : first + size] for first in range(0, len(references), size)):
            flights = [self._flights[reference] for reference in batch]
            try:
                reading = asyncio.get_running_loop().run_in_executor(self._threads, self._read_later, batch)
            except RuntimeError:  # closed meanwhile
                for flight in flights:
                    flight.cancel()
            else:
                reading.add_done_callback(partial(_hand_out, flights))

    def _read_later(self, references: list[str]) -> list[Secret | StoreFailed]:
        """Several at once are of one scheme, whose store takes several."""
        if len(references) == 1:
            return [self._one_later(references[0], None)]
        targets = {reference: reference.partition(":")[2] for reference in references}
        answers = self._brought(references[0].partition(":")[0]).read_many(list(targets.values()))
        return [self._one_later(reference, answers[target]) for reference, target in targets.items()]

    def _one_later(self, reference: str, answer: Answer | None) -> Secret | StoreFailed:
        try:
            return self._read_on_demand(reference) if answer is None else self._secret(reference, answer)
        except Unusable as flaw:
            return _store_failed(flaw.problem(reference).message)
        except Exception as error:  # noqa: BLE001 - a library's message may hold the value
            return _store_failed(f"{shown(reference)}: reading it failed ({type(error).__name__})")

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


def _store_failed(what: str) -> StoreFailed:
    return StoreFailed("BP306", what, hint=CODES["BP306"].fix)


def _hand_out(flights: Sequence[asyncio.Future[Secret]], reading: asyncio.Future[list[Secret | StoreFailed]]) -> None:
    """Give each flight of a batch its answer."""
    broken = None if reading.cancelled() else reading.exception()
    if reading.cancelled() or broken is not None:
        for flight in flights:
            flight.cancel() if broken is None else flight.set_exception(broken)
        return
    for flight, came in zip(flights, reading.result(), strict=True):
        if isinstance(came, StoreFailed):
            flight.set_exception(came)
        else:
            flight.set_result(came)
