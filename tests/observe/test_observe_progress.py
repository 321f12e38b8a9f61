"""What a person sees while a run goes on: true numbers, harmless text, any width."""

from __future__ import annotations

from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from observe_rig import CANARY, HandClock, ended, notice, progressed, sent, set_back, settled, snapshot, started
from rich.console import Console

from bulkpatch.model import Event, RowState, Secret, Snapshot
from bulkpatch.observe.many import Observers
from bulkpatch.observe.progress import (
    STOP_HINT,
    Around,
    LiveProgress,
    PlainProgress,
    SilentProgress,
    choose,
    render,
)
from bulkpatch.observe.words import count, duration, latency, rate, share
from bulkpatch.ports import Observer
from bulkpatch.secrets.redaction import LiveRedactor


class Terminal(StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        """It is."""
        return True


def redactor() -> LiveRedactor:
    """One that knows the canary."""
    known = LiveRedactor()
    known.add(Secret(CANARY, reference="env:PW"))
    return known


def shown(moment: Snapshot, width: int, around: Around | None = None) -> list[str]:
    """The block's lines as plain text."""
    out = StringIO()
    Console(file=out, width=width, color_system=None, legacy_windows=False).print(
        render(moment, width, around or Around())
    )
    return out.getvalue().splitlines()


def live(stream: StringIO, clock: HandClock, **environ: str) -> LiveProgress:
    """Live progress on an 80-column terminal."""
    return LiveProgress(stream, clock=clock, redactor=redactor(), environ={"TERM": "xterm", "COLUMNS": "80", **environ})


def test_the_block_in_full() -> None:
    """The verdict, then everything the run knows about itself, a line for each kind of fact."""
    around = Around(title=("job", "12,000 rows"), failures=("BP404 rejected dest-1 gone",), hint=STOP_HINT)
    assert shown(snapshot(), 100, around) == [
        "job · 12,000 rows",
        "sending; 5 rows have failed",
        "━" * 50 + "─" * 50,
        "6,033/12,000 · 50.2% · 2 min 4 s so far · about 1 h 6 min left",
        "accepted 6,016 · noop 12 · rejected 4 · unknown 1",
        "49.4/s of 50/s · 8 in flight · retries 31 · 429s 10 · p50 118 ms, p95 2.6 s",
        "held by the rate",
        "✗ BP404 rejected dest-1 gone",
        STOP_HINT,
    ]


def test_the_block_on_a_narrow_terminal() -> None:
    """Lines break between facts, and only text from outside is cut."""
    around = Around(failures=("BP404 rejected a-very-long-destination-id-and-more",))
    assert shown(snapshot(stopping="too many of the rows tried have failed"), 40, around) == [
        "stopping: too many of the rows tried",
        "have failed",
        "━" * 20 + "─" * 20,
        "6,033/12,000 · 50.2% · 2 min 4 s so far",
        "accepted 6,016 · noop 12 · rejected 4",
        "unknown 1",
        "49.4/s of 50/s · 8 in flight",
        "retries 31 · 429s 10",
        "p50 118 ms, p95 2.6 s",
        "held by the rate",
        "✗ BP404 rejected a-very-long-destinatio…",
    ]


def test_a_run_that_has_just_begun() -> None:
    """What is not known is not made up."""
    text = "\n".join(shown(Snapshot(total=10), 80))
    assert "0/10 · 0% · 0 s so far · time left unknown" in text
    assert "p50" not in text
    assert "━" not in text


@given(
    total=st.integers(0, 10**7),
    counts=st.dictionaries(st.sampled_from(RowState), st.integers(0, 10**7), max_size=6),
    width=st.integers(1, 200),
    left_s=st.none() | st.floats(0, 1e8),
    title=st.text(max_size=200),
)
@settings(max_examples=60, deadline=None)
def test_no_line_is_wider_than_the_terminal(
    total: int, counts: dict[RowState, int], width: int, left_s: float | None, title: str
) -> None:
    """Else a repaint leaves rubble behind. Below 20 columns it gives up."""
    moment = snapshot(total=max(total, sum(counts.values())), states=counts, left_s=left_s)
    clean = LiveRedactor().scrub(title)
    for line in shown(moment, max(20, width), Around(title=(clean,), failures=(clean,))):
        assert len(line) <= max(20, min(width, 100))


@given(settled_rows=st.integers(0, 999), total=st.just(1000), width=st.integers(20, 100))
@settings(max_examples=60, deadline=None)
def test_the_bar_is_full_only_at_the_end(settled_rows: int, total: int, width: int) -> None:
    """And no percentage says 100 before."""
    moment = snapshot(total=total, states={RowState.ACCEPTED: settled_rows})
    assert "─" in "\n".join(shown(moment, width))
    assert "100%" not in "\n".join(shown(moment, width))
    done = shown(snapshot(total=total, states={RowState.ACCEPTED: total}), width)
    assert "─" not in "\n".join(done)


def test_live_paints_eight_times_a_second_at_most() -> None:
    """A thousand failures in one second are eight paintings."""
    clock, stream = HandClock(), Terminal()
    progress = live(stream, clock)
    progress.notify(started())
    before = stream.getvalue().count("so far")
    for row in range(1000):
        progress.notify(settled(row, RowState.REJECTED, "gone"))
        progress.notify(progressed())
        clock.now_s += 0.001
    assert 6 <= stream.getvalue().count("so far") - before <= 9


def test_live_shows_the_last_three_failures_and_notices_above() -> None:
    """The oldest gives way; a row that went well is no news."""
    clock, stream = HandClock(), Terminal()
    progress = live(stream, clock, NO_COLOR="1")
    events: list[Event] = [started(), *(settled(row, RowState.REJECTED, f"reason-{row}") for row in range(5))]
    events += [settled(9, RowState.ACCEPTED), set_back(3), sent(4), notice(), ended()]
    for event in events:
        progress.notify(event)
        clock.now_s += 1
    told = stream.getvalue()
    last = told[told.rindex("rotate-postgres") :]
    assert [f"reason-{row}" in last for row in range(5)] == [False, False, True, True, True]
    assert "dest-9" not in told
    assert "• the API asked to slow down [BP406]" in told
    assert STOP_HINT[:60] in told
    assert STOP_HINT[:60] not in last


def test_live_leaves_the_terminal_usable() -> None:
    """The cursor is shown while it paints, since a second ^C ends the process at once."""
    clock, stream = HandClock(), Terminal()
    progress = live(stream, clock)
    progress.notify(started())
    progress.notify(progressed())
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().find("\x1b[?25l")
    progress.notify(ended())
    assert stream.getvalue().endswith("\n\x1b[?25h")


@pytest.mark.parametrize(("value", "coloured"), [("1", False), ("", True)])
def test_no_color(value: str, coloured: bool) -> None:  # noqa: FBT001 - a parameter of the table above
    """Set and not empty means no colours; the bar is told apart by its glyphs."""
    clock, stream = HandClock(), Terminal()
    progress = live(stream, clock, NO_COLOR=value)
    progress.notify(started())
    progress.notify(settled(1, RowState.REJECTED, "gone"))
    progress.notify(ended())
    assert ("\x1b[31m" in stream.getvalue()) is coloured


def hostile() -> list[Event]:
    """Events whose texts carry a secret and escapes."""
    text = f"{CANARY} \x1b]0;owned\x07\n\x1b[2J"
    events: list[Event] = [started(job_name=text), settled(1, RowState.REJECTED, text), notice(text), ended()]
    return events


def test_no_secret_and_no_foreign_escape_on_the_terminal() -> None:
    """Neither live nor in lines."""
    for make in (live, lambda stream, clock: PlainProgress(stream, clock=clock, redactor=redactor())):
        clock, stream = HandClock(), Terminal()
        progress = make(stream, clock)
        for event in hostile():
            progress.notify(event)
            clock.now_s += 20
        told = stream.getvalue()
        assert CANARY not in told
        assert "\x1b]0" not in told
        assert "\x1b[2J\n" not in told
        assert "\x07" not in told


def test_plain_is_a_line_every_ten_seconds_and_for_each_notice() -> None:
    """With the time in front, and nothing that moves a cursor."""
    clock, stream = HandClock(), StringIO()
    progress = PlainProgress(stream, clock=clock, redactor=redactor())
    progress.notify(started(resumed=True, left=400, in_doubt=3))
    for _ in range(40):
        progress.notify(progressed())
        progress.notify(settled(1, RowState.REJECTED, "gone"))
        progress.notify(sent(2))
        clock.now_s += 0.5
    progress.notify(notice())
    progress.notify(ended())
    told = stream.getvalue().splitlines()
    assert len(told) == 5
    assert told[0] == (
        "08:09:10Z rotate-postgres · 12,000 rows · https://api.example.test"
        " · resumed with 400 left, 3 in doubt · at most 50/s"
    )
    assert told[1].startswith("08:09:10Z 6,033/12,000 · 50.2% · ")
    assert told[2].startswith("08:09:20Z 6,033/12,000")
    assert told[3] == "08:09:30Z the API asked to slow down [BP406]"
    assert "\x1b" not in stream.getvalue()


def tell(progress: Observer, *events: Event) -> None:
    """One after the other."""
    for event in events:
        progress.notify(event)


class Gone(StringIO):
    """A terminal that was closed."""

    def write(self, _: str) -> int:
        """It is gone."""
        raise BrokenPipeError


def test_a_terminal_that_goes_away_does_not_stop_the_run() -> None:
    """SIGPIPE, a closed stream, a hung-up terminal: silence."""
    for stream in (Gone(), Terminal()):
        stream.close() if isinstance(stream, Terminal) else None
        for progress in (live(stream, HandClock()), PlainProgress(stream, clock=HandClock(), redactor=redactor())):
            tell(progress, started(), progressed(), notice(), settled(1, RowState.REJECTED), ended())


@pytest.mark.parametrize(
    ("mode", "stream", "term", "kind"),
    [
        (None, Terminal(), "xterm", LiveProgress),
        (None, Terminal(), "dumb", PlainProgress),
        (None, StringIO(), "xterm", PlainProgress),
        ("live", StringIO(), "dumb", LiveProgress),
        ("plain", Terminal(), "xterm", PlainProgress),
        ("none", Terminal(), "xterm", SilentProgress),
    ],
)
def test_which_progress_is_chosen(mode: str, stream: StringIO, term: str, kind: type) -> None:
    """A wish wins; else a capable terminal gets the live one."""
    chosen = choose(mode, stream, {"TERM": term}, clock=HandClock(), redactor=redactor())  # type: ignore[arg-type]
    assert type(chosen) is kind


def test_silence() -> None:
    """Every event, and no trouble."""
    tell(SilentProgress(), started(), sent(1), set_back(1), settled(1, RowState.ACCEPTED), progressed(), ended())


class Keeps:
    """An observer that keeps what it is told."""

    def __init__(self, *, every_request: bool = False) -> None:
        self.every_request = every_request
        self.told: list[Event] = []

    def notify(self, event: Event) -> None:
        """Keep it."""
        self.told.append(event)


class Raises:
    """An observer that breaks its contract."""

    def notify(self, event: Event) -> None:
        """Raise."""
        raise RuntimeError(event)


def test_many_observers_are_told_in_turn_and_none_harms_another() -> None:
    """One that raises is counted."""
    first, last = Keeps(), Keeps()
    observers = Observers(first, Raises(), last)
    events: list[Event] = [started(), ended()]
    for event in events:
        observers.notify(event)
    assert first.told == last.told == events
    assert observers.failed == 2
    assert not observers.every_request
    assert Observers(first, Keeps(every_request=True)).every_request


def test_numbers_in_words() -> None:
    """Units as a person says them; a share is rounded down."""
    assert [count(0), count(1234567)] == ["0", "1,234,567"]
    assert [duration(s) for s in (0, 59.4, 60, 61, 3599, 3600, 4000, 90_000, 200_000)] == [
        "0 s", "59 s", "1 min", "1 min 1 s", "59 min 59 s", "1 h", "1 h 6 min", "1 d 1 h", "2 d 7 h",
    ]  # fmt: skip
    assert [latency(ms) for ms in (0.04, 0.95, 12.4, 999, 2400)] == ["0.0 ms", "0.9 ms", "12 ms", "999 ms", "2.4 s"]
    assert [rate(r) for r in (0, 0.5, 5, 4.94, 1234.56, 20_000 / 3600)] == [
        "0/s", "30/min", "5/s", "4.9/s", "1,234.6/s", "5.6/s",
    ]  # fmt: skip
    assert [share(0, 10), share(999_999, 1_000_000), share(5, 5), share(0, 0)] == ["0%", "99.9%", "100%", "100%"]
