"""A job made ready: its file, its key, its rows, its references. The same steps for a plan, a run and a resume."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bulkpatch.api.diffing import LiveView
from bulkpatch.api.named import missing, plugins_of
from bulkpatch.api.options import Options, Plan
from bulkpatch.core.guarding import in_words
from bulkpatch.core.waves import WaveState
from bulkpatch.errors import CODES, InvalidInput, Problem
from bulkpatch.job.load import FlawedJob, load_job
from bulkpatch.job.reading import load_source
from bulkpatch.job.rows import Rows, RowsCheck, open_rows
from bulkpatch.job.spec import Job
from bulkpatch.model import Limits, Operation, Secret, Stage, Staging
from bulkpatch.prequel.requests import key_class, mix_up
from bulkpatch.secrets.redaction import LiveRedactor
from bulkpatch.secrets.resolver import Resolver
from bulkpatch.secrets.rules import CellRules
from bulkpatch.transport.tls import make_context

SIMULATED_KEY = "sk_staging_" + "simulated-fleet"
"""The key of an embedded simulator; it opens nothing else."""
PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})
"""Variables, in either case, by which other programs find a proxy."""
FILES_OF_A_SLOT = 2
"""A connection, and what a secret of its row is read from."""
FILES_BESIDES = 32
"""Descriptors that a run needs besides: input, ledger, lock, log, control socket, report, and what libraries open."""
ALL_ROWS_SAMPLE = 5
"""Operations that a plan shows."""


@dataclass(slots=True, kw_only=True)
class Opened:
    """A job with its rows and secrets at hand. ``key`` is None where nothing is to be sent.

    ``warnings`` are those about the surroundings, beside those about the rows. ``plugins`` are other packages' that
    it uses, with their versions; of secret stores, once its rows were checked.
    """

    job: Job
    rows: Rows
    redactor: LiveRedactor
    resolver: Resolver
    key: Secret | None
    base_url: str
    warnings: tuple[Problem, ...] = ()
    plugins: tuple[str, ...] = ()


def open_job(
    path: Path, options: Options, *, spool: Path | None = None, with_key: bool = True, with_plugins: bool = True
) -> Opened:
    """Load the job, read its key and open its rows. Raises ``InvalidInput``; nothing is sent.

    Without plugins, what the job names of other packages may be missing here: a report is written without it.
    Where the job does not hold, its rows are checked all the same if they can be: one look mends everything.
    """
    try:
        job = load_job(path, settings=options.settings, beyond=missing if with_plugins else None)
    except FlawedJob as flawed:
        if flawed.readable is None:
            raise
        raise _with_rows(flawed, flawed.readable, options, spool) from None
    if problems := list(_beyond_grammar(job)):
        raise _with_rows(InvalidInput(problems), job, options, spool)
    redactor = LiveRedactor()
    resolver = Resolver(
        environ=options.environ,
        folder=job.folder,
        exec_env=job.secrets.exec_env,
        allow_short=job.secrets.allow_short,
        pin_versions=job.secrets.pin_versions,
        concurrency=job.limits.concurrency,
        redactor=redactor,
        clock=options.clock,
    )
    try:
        if with_key:
            _check_open_files(options.concurrency or job.limits.concurrency, options.open_files_max)
        key = _key(job, resolver, options) if with_key else None
    except InvalidInput as flaw:
        raise _with_rows(flaw, job, options, spool) from None
    rows = _rows(job, options, spool)
    warnings = _proxies(options.environ) if with_key and not options.simulate else ()
    shown = "the embedded simulator" if options.simulate else job.api.base_url
    return Opened(
        job=job,
        rows=rows,
        redactor=redactor,
        resolver=resolver,
        key=key,
        base_url=shown,
        warnings=warnings,
        plugins=plugins_of(job, ()),
    )


def _beyond_grammar(job: Job) -> Iterator[Problem]:
    """What is wrong with the files that the job names."""
    try:
        make_context(job.authorities)
    except InvalidInput as flaw:
        hint = "Give a file of certificates in PEM form, as an authority hands them out."
        yield load_source(job.path).problem("BP105", ("api", "ca_file"), flaw.message, hint, on="value")


def _rows(job: Job, options: Options, spool: Path | None) -> Rows:
    return open_rows(
        job,
        rules=CellRules(allow_short=job.secrets.allow_short),
        stdin=options.stdin,
        spool=spool,
        limit=options.limit,
        skip_blank_lines=options.skip_blank_lines,
        decompress=options.decompress,
    )


def _with_rows(flaw: InvalidInput, job: Job, options: Options, spool: Path | None) -> InvalidInput:
    """``flaw``, and after it all that is wrong with the rows."""
    try:
        _rows(job, options, spool).check()
    except InvalidInput as more:
        return InvalidInput([*flaw.problems, *more.problems], omitted=flaw.omitted + more.omitted)
    return flaw


def _check_open_files(concurrency: int, most: int | None) -> None:
    """Raise ``InvalidInput`` where so many requests in flight would run out of descriptors, and fail rows for it."""
    needed = FILES_OF_A_SLOT * concurrency + FILES_BESIDES
    if most is not None and needed > most:
        words = f"concurrency {concurrency} needs {needed} open files, and this process may have {most}"
        raise InvalidInput([Problem(code="BP119", message=words, hint=CODES["BP119"].fix)])


def _proxies(environ: Mapping[str, str]) -> tuple[Problem, ...]:
    """A warning where the environment names a proxy: who counts on it wonders why the API is not reached."""
    named = sorted(name for name in environ if name.lower() in PROXIES and environ[name])
    words = f"{', '.join(named)}: a proxy is set and not used, since it would see the key"
    return (Problem(code="BP126", message=words, hint=CODES["BP126"].fix, warning=True),) if named else ()


def _key(job: Job, resolver: Resolver, options: Options) -> Secret:
    if options.simulate:
        return Secret(SIMULATED_KEY, reference="simulator")
    key = resolver.resolve_now(job.api.key)
    mixed = mix_up(job.api.base_url, key_class(key.reveal()))
    if mixed is not None and not options.i_know:
        problem = Problem(code="BP112", message=mixed, hint="Check the key and the base URL; if it is meant: --i-know.")
        raise InvalidInput([problem])
    return key


def check_rows(opened: Opened) -> RowsCheck:
    """Go through every row and every reference. Raises ``InvalidInput`` with all that is wrong."""
    found = _checked(opened, opened.resolver.hold)
    return replace(found, warnings=(*opened.warnings, *found.warnings))


def look_at_rows(opened: Opened) -> RowsCheck:
    """As ``check_rows``, where nothing is to be sent: of what references point to, only files are looked into."""
    return _checked(opened, opened.resolver.look)


def _checked(opened: Opened, judge: Callable[[Iterable[str]], Mapping[str, Problem]]) -> RowsCheck:
    found = opened.rows.check()
    schemes = {opened.job.api.key.partition(":")[0]}
    opened.plugins = plugins_of(opened.job, schemes)
    if not found.references:
        return found

    def each() -> Iterator[str]:
        for reference, _, _ in references(opened.rows):
            schemes.add(reference.partition(":")[0])
            yield reference

    flaws = judge(each())
    opened.plugins = plugins_of(opened.job, schemes)
    places = _places(opened.rows, flaws.keys()) if flaws else {}
    placed = [replace(flaw, **places.get(reference, {})) for reference, flaw in flaws.items()]
    if errors := [flaw for flaw in placed if not flaw.warning]:
        raise InvalidInput(errors)
    return replace(found, warnings=(*found.warnings, *placed))


def references(rows: Rows) -> Iterator[tuple[str, str, Operation]]:
    """Every secret reference of the input with its field and its row, in order, repeats included."""
    for batch in rows.operations(lambda first, last: range(first, last + 1)):
        for operation in batch:
            for slot in operation.secrets:
                if isinstance(slot.source, str):
                    yield slot.source, ".".join(slot.path), operation


def _places(rows: Rows, wanted: Collection[str]) -> dict[str, dict[str, Any]]:
    """Where each of the ``wanted`` references stands first."""
    found: dict[str, dict[str, Any]] = {}
    for reference, path, operation in references(rows):
        if reference in wanted and reference not in found:
            file = rows.file_of(operation.row)
            found[reference] = {"file": file, "line": operation.line, "row": operation.row, "column_name": path}
    return found


def stages_of(job: Job, *, drift: str) -> Staging:
    """The stages that each row of ``job`` goes through; ``drift`` is looked for unless it is ``send``."""
    test = job.verify.connection_test
    asked = (
        (Stage.EXPECT, bool(job.expect) or drift != "send"),
        (Stage.PRETEST, test in {"before", "both"}),
        (Stage.PATCH, True),
        (Stage.VERIFY, test in {"after", "both"}),
    )
    stages = tuple(stage for stage, wanted in asked if wanted)
    return Staging(
        stages=stages,
        deadline_s=job.verify.deadline_s,
        poll_s=job.verify.poll_s,
        credential_failures=job.verify.credential_failures,
    )


def make_plan(  # noqa: PLR0913  (what is known when it is made)
    opened: Opened,
    found: RowsCheck,
    limits: Limits,
    *,
    live: LiveView | None = None,
    waves: tuple[WaveState, ...] = (),
    drift: str = "send",
) -> Plan:
    """What is about to happen, as far as it is known. Raises nothing."""
    job = opened.job
    spared = live.noops + live.clashes if live is not None else 0
    sends = max(0, found.rows - found.duplicates - spared)
    requests = sends * len(stages_of(job, drift=drift).stages)
    soaks_s = sum(wave.gate.soak_s for wave in waves if not wave.last)
    sending_s = requests / limits.rate.per_s
    return Plan(
        job=job,
        rows=found.rows,
        sends=sends,
        left_out=found.left_out,
        fields=found.fields,
        references=found.references,
        sample=tuple(opened.rows.sample(ALL_ROWS_SAMPLE)),
        base_url=opened.base_url,
        limits=limits,
        requests=requests,
        seconds=sending_s + soaks_s,
        bound_by="rate" if sending_s >= soaks_s else "soaks",
        guard_text=in_words(job.guard, sends),
        key_class=key_class(opened.key.reveal()) if opened.key is not None else "none",
        waves=waves,
        live=live,
        warnings=tuple(f"{problem.place}: {problem.message}".lstrip(": ") for problem in found.warnings),
    )
