"""Where a run stands, in words: what the live view, a line in a CI log and ``status`` all say."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from bulkpatch.model import Snapshot, WaveView
from bulkpatch.observe.words import FAILED, count, duration, gate_words, latency, rate, share, states

_SLOWER = 0.999
"""A speed below this share of the limit is the API's own: above it is rounding."""


class Tone(StrEnum):
    """What a verdict means for the person who reads it; never told by a colour alone."""

    GOOD = "good"
    WAIT = "wait"
    BAD = "bad"


def verdict(snapshot: Snapshot, run: str = "RUN") -> tuple[Tone, str]:
    """The one sentence to read: what the run does now, or what it waits for and who can end that."""
    if snapshot.stopping:
        return Tone.WAIT, f"stopping: {snapshot.stopping}"
    if snapshot.paused:
        return Tone.WAIT, f"paused; bulkpatch continue {run} goes on"
    if snapshot.wave is not None and (words := _at_gate(snapshot.wave, run)):
        return Tone.WAIT, words
    if snapshot.opens_in_s:
        return Tone.WAIT, f"the send window is closed; it opens in {duration(snapshot.opens_in_s)}"
    failed = sum(snapshot.states.get(state, 0) for state in FAILED)
    doing = "sending" if snapshot.settled < snapshot.total else "every row is settled"
    if failed:
        return Tone.BAD, f"{doing}; {count(failed)} {'row has' if failed == 1 else 'rows have'} failed"
    return Tone.GOOD, f"{doing}; no row has failed"


def reached(snapshot: Snapshot) -> list[str]:
    """How far it is, how long that took and how long the rest may take: sending, then soaks, then people."""
    settled, total = snapshot.settled, snapshot.total
    parts = [f"{count(settled)}/{count(total)}", share(settled, total), f"{duration(snapshot.elapsed_s)} so far"]
    if settled < total and not snapshot.stopping:
        parts += _left(snapshot)
    return parts


def counted(snapshot: Snapshot) -> list[str]:
    """Rows done and failed, by state."""
    return [text for _, text in states(snapshot)]


def pace(snapshot: Snapshot) -> list[str]:
    """The rate against its limit, what is under way, and how the API answers."""
    parts = [
        f"{rate(snapshot.rate_now, like=snapshot.rate_asked)} of {rate(snapshot.rate_asked)}",
        f"{count(snapshot.in_flight)} in flight",
        f"retries {count(snapshot.retries)}",
        f"429s {count(snapshot.throttled)}",
    ]
    if snapshot.p50_ms is not None and snapshot.p95_ms is not None:
        parts.append(f"p50 {latency(snapshot.p50_ms)}, p95 {latency(snapshot.p95_ms)}")
    return parts


def held(snapshot: Snapshot) -> list[str]:
    """The limit that binds; nothing once every row is settled."""
    if not snapshot.bound_by or snapshot.settled >= snapshot.total:
        return []
    slower = 0 < snapshot.rate_limit < snapshot.rate_asked * _SLOWER
    return [f"held by {snapshot.bound_by}" + (f", the API takes {rate(snapshot.rate_limit)}" if slower else "")]


def at_wave(wave: WaveView) -> list[str]:
    """Which wave it is, how far, and what must hold before the next."""
    name = f", {wave.name}" if wave.name else ""
    parts = [
        f"wave {wave.number} of {wave.waves}{name}",
        f"{count(wave.tried)} of {count(wave.rows)} rows tried, {count(wave.failed)} failed",
    ]
    if not wave.last:
        asked = gate_words(
            allowed=wave.allowed,
            soak_s=wave.soak_s,
            transfers=wave.transfers,
            window_s=None,
            plugin=wave.plugin,
            approve=wave.approve,
        )
        parts.append(f"gate: {asked}")
    return parts


def all_parts(snapshot: Snapshot) -> Sequence[str]:
    """All of it, for one line."""
    _, words = verdict(snapshot)
    wave = [] if snapshot.wave is None else at_wave(snapshot.wave)[:1]
    return [*reached(snapshot), words, *counted(snapshot), *pace(snapshot), *held(snapshot), *wave]


def _at_gate(wave: WaveView, run: str) -> str:
    more = "" if wave.waits_s is None else f"{duration(wave.waits_s)} to go"
    match wave.phase:
        case "soaking":
            return f"wave {wave.number} is soaking: {more}"
        case "watching transfers":
            return f"wave {wave.number}: its transfers are watched, at most {more}"
        case "asking the plugin":
            return f"wave {wave.number}: the plugin {wave.plugin} is asked"
        case "awaiting approval":
            return f"wave {wave.number}: {wave.reason}; bulkpatch approve {run}, or abort"
        case _:
            return ""


def _left(snapshot: Snapshot) -> list[str]:
    if snapshot.left_s is None:
        return ["time left unknown"]
    parts = [
        (snapshot.soaks_s, f"{duration(snapshot.soaks_s)} soaks"),
        (snapshot.opens_in_s, f"{duration(snapshot.opens_in_s)} until the window opens"),
        (snapshot.approvals, f"{snapshot.approvals} {'approval' if snapshot.approvals == 1 else 'approvals'}"),
    ]
    waits = [words for size, words in parts if size]
    sending_s = snapshot.left_s - snapshot.soaks_s - snapshot.opens_in_s
    left = [f"about {duration(snapshot.left_s)} left"]
    return [*left, " + ".join([f"{duration(sending_s)} sending", *waits])] if waits else left
