"""What a caller may decide about planning and running, beside the job itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from bulkpatch.core.waves import WaveState
from bulkpatch.job.spec import Job, Origin
from bulkpatch.model import Limits, Operation, Rate
from bulkpatch.ports import Clock, Observer, Redactor

if TYPE_CHECKING:
    from bulkpatch.api.diffing import LiveView


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A job and its rows, compiled and checked; nothing was sent.

    ``rows`` are the rows to be reported, ``sends`` the requests they need at least (duplicates share
    one), ``left_out`` those that ``where`` left out. ``fields`` counts rows by field path.
    ``sample`` holds the first operations, secrets as references. ``live`` is None where the fleet was not
    read. ``requests`` are needed at least, beside the ``reads`` that were made; ``seconds`` is their time at
    the limit and that of all soaks. ``waves`` are those with rows.
    """

    job: Job
    rows: int
    sends: int
    left_out: int
    fields: Mapping[str, int]
    references: int
    sample: tuple[Operation, ...]
    seconds: float
    bound_by: str
    guard_text: str
    key_class: str
    base_url: str
    limits: Limits
    requests: int
    waves: tuple[WaveState, ...] = ()
    live: LiveView | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a caller wants it done.

    ``environ`` loses the variables that secrets are read from. ``observe`` makes the observer once
    the run has its id and folder. ``allow`` is asked with the job and the class of its key before the API
    is, ``confirm`` with the plan before anything is written; both raise ``NotConfirmed`` to refuse.
    ``open_files_max`` is what the process may open; without it that is not looked at.
    """

    clock: Clock
    environ: MutableMapping[str, str]
    draw: Callable[[], float]
    report_dir: Path = Path("reports")
    settings: Mapping[str, Origin] = field(default_factory=dict)
    limit: int | None = None
    accept_input_changes: bool = False
    skip_blank_lines: bool = False
    decompress: bool = False
    stdin: BinaryIO | None = None
    simulate: bool = False
    faults: str = "none"
    simulator_rate: Rate | None = None
    dry_run: bool = False
    i_know: bool = False
    rate: Rate | None = None
    concurrency: int | None = None
    open_files_max: int | None = None
    verbosity: int = 0
    observe: Callable[[Redactor], Observer] | None = None
    allow: Callable[[Job, str], None] | None = None
    confirm: Callable[[Plan], None] | None = None
