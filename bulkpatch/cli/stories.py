"""One destination's story, for eyes and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, assert_never

from bulkpatch.api.telling import Story, Told
from bulkpatch.model import Intent, Outcome, Passed, RowEvent, Setback, Settlement, Sight
from bulkpatch.observe.words import harmless

_NAMES = {
    Sight: "seen",
    Intent: "sent",
    Setback: "set_back",
    Passed: "passed",
    Outcome: "settled",
    Settlement: "found_out",
}


def story_lines(story: Story) -> Sequence[str]:
    """A head for each row, then an attempt a line."""
    return [harmless(line) for row in story.rows for line in (*_head(story, row), *_events(row.events))]


def story_json(story: Story) -> Mapping[str, Any]:
    """``bulkpatch.story/1``: every event as the ledger has it, times in RFC 3339."""
    return {
        "run_id": story.run_id,
        "job": story.job,
        "inputs": list(story.inputs),
        "destination_id": story.destination_id,
        "rows": [
            {
                "row": row.row,
                "state": row.state,
                "wave": row.wave,
                "attempts": row.attempts,
                "fields": list(row.fields),
                "labels": row.labels,
                "credential": row.credential,
                "versions": [
                    {"path": path, "reference": reference, "version": version}
                    for path, reference, version in row.versions
                ],
                "events": [_facts(event) for event in row.events],
            }
            for row in story.rows
        ],
    }


def _head(story: Story, row: Told) -> Iterator[str]:
    yield f"{story.destination_id}: {row.state}, in {story.run_id}"
    labels = " · ".join(f"{name} {value}" for name, value in row.labels.items() if value is not None)
    place = f"row {row.row} of {', '.join(story.inputs)} · wave {row.wave}"
    yield f"  input    {place}" + (f" · {labels}" if labels else "")
    yield f"  sets     {', '.join(row.fields)}"
    if row.credential is not None:
        versions = ", ".join(f"{path} version {version}" for path, _, version in row.versions)
        yield f"  secrets  {row.credential}" + (f" ({versions})" if versions else "")


def _events(events: Sequence[RowEvent]) -> Iterator[str]:
    answered = {event.attempt for event in events if isinstance(event, Setback | Passed | Outcome)}
    sent_us = {event.attempt: event.at_us for event in events if isinstance(event, Intent)}
    for event in events:
        match event:
            case Sight():
                yield f"  {_clock(event.at_us)}  {_seen(event)}"
            case Settlement():
                yield f"  {_clock(event.at_us)}  settled later: {event.state}: {event.code} {event.error or ''}"
            case Intent() if event.attempt in answered:
                pass
            case Intent():
                yield _line(event, event.at_us, "sent; no answer is on record")
            case Passed():
                yield _line(event, sent_us.get(event.attempt, event.at_us), _said("passed", event))
            case Outcome():
                yield _line(event, sent_us.get(event.attempt, event.at_us), _said(event.state.value, event))
            case Setback() if event.withdrawn:
                yield _line(event, event.at_us, "did not leave: the run stopped first")
            case Setback():
                doubt = "; may have been applied" if event.maybe_applied else ""
                waits = f"; waits {event.wait_us / 1e6:.2f} s" if event.wait_us else ""
                yield _line(event, sent_us.get(event.attempt, event.at_us), _said("set back", event) + doubt + waits)
            case _:
                assert_never(event)


def _line(event: Intent | Setback | Passed | Outcome, at_us: int, words: str) -> str:
    head = f"attempt {event.attempt:<2} {event.stage.value:<8}" if event.attempt else "not sent           "
    return f"  {_clock(at_us)}  {head} {words}"


def _said(word: str, event: Setback | Passed | Outcome) -> str:
    error = None if isinstance(event, Passed) else event.error
    why = " ".join(part for part in (event.code, error) if part)
    status = f"HTTP {event.http_status}" if event.http_status is not None else ""
    latency = f"{event.latency_us / 1000:.0f} ms" if event.latency_us is not None else ""
    facts = ", ".join(part for part in (status, latency) if part)
    return word + (f" ({facts})" if facts else "") + (f": {why}" if why else "")


def _seen(sight: Sight) -> str:
    if not sight.found:
        return "seen: nothing is known of it" if sight.found is None else "seen: there is no such destination"
    return f"seen: vendor {sight.vendor}, recipient {sight.recipient_id}, updated {sight.updated_at}"


def _clock(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%H:%M:%S.%f")[:-3]


def _facts(event: RowEvent) -> Mapping[str, Any]:
    """The fields of an event that a program may want; what is stored as bytes stays in the ledger."""
    left_out = {"row", "at_us", "at_s", "digest", "before", "facts"}
    named = {name: getattr(event, name) for name in event.__dataclass_fields__ if name not in left_out}
    at = datetime.fromtimestamp(event.at_us / 1e6, UTC).isoformat().replace("+00:00", "Z")
    return {"event": _NAMES[type(event)], "at": at, **named}
