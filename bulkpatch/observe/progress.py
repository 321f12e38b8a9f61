"""Progress on a terminal or in a CI log, drawn from what is durable."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from textwrap import wrap
from typing import Literal, TextIO, TypeAlias, assert_never

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from bulkpatch.model import (
    AttemptSent,
    Event,
    Notice,
    Progressed,
    RowSetBack,
    RowSettled,
    RunEnded,
    RunStarted,
    Snapshot,
)
from bulkpatch.observe.standing import Tone, all_parts, at_wave, held, pace, reached, verdict
from bulkpatch.observe.words import DONE, FAILED, count, states
from bulkpatch.ports import Clock, Observer, Redactor

Mode: TypeAlias = Literal["live", "plain", "none"]

REPAINT_S = 1 / 8
"""Seconds between two paintings: an eye sees no more, and each costs about a millisecond."""

PLAIN_S = 10.0
"""Seconds between two lines in a CI log: 360 an hour."""

PLAIN_CHARS_MAX = 1000
"""Of one such line: every state and number at its longest."""

FAILURES_SHOWN = 3
ID_CHARS_MAX = 40
WIDTH_MAX = 100
"""Columns beyond which the block is not stretched: longer lines are harder to read."""

STOP_HINT = "^C stops: what is in flight is waited for · ^C^C quits at once · resume goes on after both"
STOPPING_HINT = "what is in flight is waited for · ^C quits at once · resume goes on after both"
TONES = {Tone.GOOD: "bold green", Tone.WAIT: "bold yellow", Tone.BAD: "bold red"}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What stands around the numbers: a title, the last failures, a hint, the run's id. All of it harmless text.

    ``over``: what comes of the run is told below the block, so the block keeps to its numbers.
    """

    title: Sequence[str] = ()
    failures: Sequence[str] = ()
    hint: str = ""
    run: str = "RUN"
    over: bool = False


def render(snapshot: Snapshot, width: int, around: Around = Around()) -> RenderableType:
    """The block that ``LiveProgress`` shows, at most ``width`` columns wide."""
    columns = max(20, min(width, WIDTH_MAX))
    tone, words = verdict(snapshot, around.run)
    lines = _flow([Text(part, style="bold") for part in around.title], columns)
    if not around.over:
        lines += _wrapped(words, columns, TONES[tone])
    lines.append(_bar(snapshot, columns))
    lines += _flow([Text(part) for part in reached(snapshot)], columns)
    lines += _flow([Text(text, style="green" if state in DONE else "red") for state, text in states(snapshot)], columns)
    lines += _flow([Text(part) for part in pace(snapshot)], columns)
    if not around.over:
        lines += _flow([Text(part) for part in held(snapshot)], columns)
        lines += _flow([Text(part) for part in at_wave(snapshot.wave)], columns) if snapshot.wave is not None else []
    lines += [_cut(Text(f"✗ {failure}", style="red"), columns) for failure in around.failures]
    if around.hint:
        lines += _wrapped(STOPPING_HINT if snapshot.stopping else around.hint, columns, "dim")
    return Group(*lines)


class SilentProgress:
    """The port ``Observer`` that shows nothing."""

    def notify(self, event: Event) -> None:
        """Nothing."""


class PlainProgress:
    """The port ``Observer`` that writes whole lines: one every 10 seconds, and one for each notice."""

    def __init__(self, stream: TextIO, *, clock: Clock, redactor: Redactor) -> None:
        self._stream = stream
        self._clock = clock
        self._redactor = redactor
        self._due_s = clock.monotonic()
        self._closed = False

    def notify(self, event: Event) -> None:
        """Write a line, if ``event`` is worth one now."""
        match event:
            case RunStarted():
                self._line(" · ".join([*_title(event), f"at most {event.limits.rate}"]))
            case Notice():
                self._line(f"{event.message} [{event.code}]")
            case Progressed(snapshot=snapshot):
                if self._clock.monotonic() >= self._due_s:
                    self._due_s = self._clock.monotonic() + PLAIN_S
                    self._line(" · ".join(all_parts(snapshot)))
            case RunEnded(result=result):
                self._line(" · ".join(all_parts(result.snapshot)))
            case AttemptSent() | RowSetBack() | RowSettled():
                pass
            case _:
                assert_never(event)

    def _line(self, text: str) -> None:
        if self._closed:
            return
        at = _EPOCH + timedelta(microseconds=self._clock.wall_us())
        try:
            line = self._redactor.scrub(text, limit=PLAIN_CHARS_MAX)
            print(f"{at:%H:%M:%SZ} {line}", file=self._stream, flush=True)
        except (OSError, ValueError):
            self._closed = True


class _Console(Console):
    """rich ends the process when its stream breaks; here the run goes on without progress."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class LiveProgress:
    """The port ``Observer`` that keeps one block at the foot of a terminal up to date.

    Notices scroll by above it. It paints when it is told something, at most 8 times a second; when
    the terminal goes away it falls silent, and the run goes on.
    """

    def __init__(self, stream: TextIO, *, clock: Clock, redactor: Redactor, environ: Mapping[str, str]) -> None:
        self._clock = clock
        self._redactor = redactor
        self._console = _Console(
            file=stream,
            force_terminal=True,
            no_color=bool(environ.get("NO_COLOR")),
            markup=False,
            emoji=False,
            highlight=False,
            _environ=environ,
        )
        self._live: Live | None = None
        self._due_s = clock.monotonic()
        self._snapshot = Snapshot(total=0)
        self._title: tuple[str, ...] = ()
        self._run = ""
        self._hint = ""
        self._over = False
        self._failures: deque[str] = deque(maxlen=FAILURES_SHOWN)

    def notify(self, event: Event) -> None:
        """Take note of ``event``, and paint if it is time."""
        try:
            self._take(event)
        except (OSError, ValueError):
            self._live = None

    def _take(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._start(event)
            case RowSettled() if event.outcome.state in FAILED:
                self._failures.append(self._redactor.scrub(_failure(event)))
                self._paint()
            case Notice() if self._live is not None:
                self._console.print(Text(self._redactor.scrub(f"• {event.message} [{event.code}]"), style="yellow"))
            case Progressed(snapshot=snapshot):
                self._snapshot = snapshot
                self._paint()
            case RunEnded(result=result):
                self._snapshot = result.snapshot
                self._end()
            case AttemptSent() | RowSetBack() | RowSettled() | Notice():
                pass
            case _:
                assert_never(event)

    def _start(self, event: RunStarted) -> None:
        self._title = tuple(self._redactor.scrub(part) for part in _title(event))
        self._hint = STOP_HINT
        self._snapshot = Snapshot(total=event.total, states={}, rate_asked=event.limits.rate.per_s)
        self._run = event.run_id
        self._live = Live(
            get_renderable=self._block,
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        self._console.show_cursor(show=True)  # a process that is killed cannot bring it back

    def _paint(self) -> None:
        now_s = self._clock.monotonic()
        if self._live is not None and now_s >= self._due_s:
            self._due_s = now_s + REPAINT_S
            self._live.refresh()

    def _end(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            self._hint, self._over = "", True
            live.refresh()
            live.stop()

    def _block(self) -> RenderableType:
        around = Around(
            title=self._title, failures=tuple(self._failures), hint=self._hint, run=self._run, over=self._over
        )
        return render(self._snapshot, self._console.width, around)


def choose(
    mode: Mode | None, stream: TextIO, environ: Mapping[str, str], *, clock: Clock, redactor: Redactor
) -> Observer:
    """The progress that was asked for; without a wish a terminal gets the live one, and anything else lines."""
    if mode is None:
        mode = "live" if stream.isatty() and environ.get("TERM", "dumb") != "dumb" else "plain"
    match mode:
        case "live":
            return LiveProgress(stream, clock=clock, redactor=redactor, environ=environ)
        case "plain":
            return PlainProgress(stream, clock=clock, redactor=redactor)
        case "none":
            return SilentProgress()
        case _:
            assert_never(mode)


def _title(event: RunStarted) -> list[str]:
    parts = [event.job_name, f"{count(event.total)} rows", event.base_url]
    if event.resumed:
        parts.append(f"resumed with {count(event.left)} left, {count(event.in_doubt)} in doubt")
    return parts


def _failure(event: RowSettled) -> str:
    outcome = event.outcome
    told = (outcome.code or "", outcome.state.value, event.destination_id[:ID_CHARS_MAX], outcome.error or "")
    return " ".join(part for part in told if part)


def _bar(snapshot: Snapshot, columns: int) -> Text:
    """Filled as far as rows have settled, and full only when all have; red from the first failure on."""
    failed = any(snapshot.states.get(state) for state in FAILED)
    filled = columns * snapshot.settled // max(1, snapshot.total)
    return Text.assemble(("━" * filled, "red" if failed else "green"), ("─" * (columns - filled), "dim"))


def _flow(parts: Sequence[Text], columns: int) -> list[Text]:
    """``parts`` on as many lines as they need, broken between two of them only."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + len(" · ") + part.cell_len <= columns:
            lines[-1] = Text.assemble(lines[-1], (" · ", "dim"), part)
        else:
            lines.append(part)
    return [_cut(line, columns) for line in lines]


def _wrapped(words: str, columns: int, style: str) -> list[Text]:
    """``words`` on as many lines as they need, broken between two of them."""
    return [_cut(Text(line, style=style), columns) for line in wrap(words, columns)]


def _cut(line: Text, columns: int) -> Text:
    line.truncate(columns, overflow="ellipsis")
    return line
