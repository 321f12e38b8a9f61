"""What the API may answer: rows 13 to 27 of the fault matrix, each to state, exit code, requests and words."""

from __future__ import annotations

import sqlite3
from contextlib import closing as closed
from email.utils import formatdate
from pathlib import Path

import pytest
from api_rig import KEY, Bench, flag
from test_api_faults_wire import check_doubt
from wire_rig import (
    NO_ROUTE,
    Ended,
    Script,
    Talk,
    Wire,
    answer,
    done,
    ended,
    first_row,
    job_of,
    once,
    passing_or_not,
    quick_first,
    run_on,
    says,
    telling,
)

from bulkpatch import api
from bulkpatch.errors import ExitCode

WAIT_S = 1.0


def resumed(told: Ended, script: Script, *, count: int = 2) -> None:
    """The run goes on against a server that is well, and every row is accepted."""
    folder = Path(told.result.folder)
    with Wire(script) as wire:
        bench = Bench(folder.parent.parent)
        result = api.resume(folder.name, bench.options(settings=flag(wire.url)))
        assert (result.exit_code, bench.outcomes(result)["state"].to_list()) == (ExitCode.DONE, ["accepted"] * count)


def well(talk: Talk) -> None:
    """A server that works."""
    talk.say(done(talk.destination_id))


def check_rejected(folder: Path, status: int, words: str, *, code: str = "BP401") -> None:
    """One request, failed for good, 1; the other row is accepted."""
    told = ended(folder, first_row(telling(answer(status, says("the API says no")))))
    assert (told.result.exit_code, told.states) == (ExitCode.ROWS_FAILED, ["rejected", "accepted"])
    assert told.wire.times == {"d1": 1, "d2": 1}
    row = told.rows[0]
    assert (row["http_status"], row["error_code"], row["error"]) == (status, code, words)


def check_no_doubt(folder: Path, status: int) -> Ended:
    """Tried again: accepted where it passes, and exhausted where it does not (1)."""
    told = ended(folder, passing_or_not(telling(answer(status, b"{}"))), count=3)
    assert (told.result.exit_code, told.states) == (ExitCode.ROWS_FAILED, ["accepted", "exhausted", "accepted"])
    assert told.wire.times == {"d1": 2, "d2": 2, "d3": 1}
    assert told.rows[1]["error_code"] == "BP416"
    return told


def check_halted(told: Ended, code: str, exit_code: ExitCode, words: str) -> None:
    """One request, and every row is left for a resume."""
    assert (told.result.exit_code, told.result.code, told.wire.asked) == (exit_code, code, ["d1"])
    assert told.states == ["not_attempted"] * 2
    assert words in told.result.reason


def test_fault_13_an_error_in_a_200_is_a_failed_row(tmp_path: Path) -> None:
    """Its message is cut at 300 characters, on one line, without the key."""
    told = ended(tmp_path, first_row(telling(answer(200, says(f"no\n{KEY} " + "x" * 1000)))))
    assert (told.result.exit_code, told.states, told.wire.times["d1"]) == (1, ["rejected", "accepted"], 1)
    error = told.rows[0]["error"]
    assert len(error) <= 300
    assert "<redacted>" in error
    assert KEY not in error
    assert "\n" not in error


def test_fault_14_an_answer_for_another_destination_stops_the_run_with_that_row_in_doubt(tmp_path: Path) -> None:
    """The id that came back is not shown. A resume sends the row once more."""
    told = ended(tmp_path, telling(done("d-stray")))
    check_halted(told, "BP413", ExitCode.STOPPED, "another destination")
    assert "d-stray" not in told.result.reason
    with closed(sqlite3.connect(Path(told.result.folder) / "ledger.sqlite")) as ledger:
        assert ledger.execute("SELECT row, maybe_applied FROM setback").fetchall() == [(1, 1)]
    resumed(told, well)


@pytest.mark.parametrize(
    ("status", "body", "words"), [(204, b"", "an empty body"), (202, b"{}", "JSON without a status")]
)
def test_fault_16_a_2xx_without_the_envelope_is_a_doubt(tmp_path: Path, status: int, body: bytes, words: str) -> None:
    raw = answer(status, body) if body else b"HTTP/1.1 204 No Content\r\n\r\n"
    check_doubt(tmp_path, telling(raw), "BP410", f"{words} (HTTP {status})", status=status)


@pytest.mark.parametrize("status", quick_first(308, 301, 302, 303, 307))
def test_fault_17_a_redirect_stops_at_once_and_names_the_host_alone(tmp_path: Path, status: int) -> None:
    told = ended(tmp_path, telling(answer(status, b"", {"Location": "https://u:p@other.example/path?q=1"})))
    check_halted(told, "BP403", ExitCode.KEY_REFUSED, f"the base URL redirects to other.example (HTTP {status})")
    assert not {"path", "u:p"} & set(told.result.reason.split("/"))
    resumed(told, well)


@pytest.mark.parametrize("status", quick_first(404, 400, 405, 410, 412, 413, 415, 422))
def test_fault_18_a_4xx_is_the_rows_own_failure(tmp_path: Path, status: int) -> None:
    check_rejected(tmp_path, status, "the API says no", code="BP404" if status == 404 else "BP401")


@pytest.mark.parametrize("status", [401, 403])
def test_fault_19_a_refused_key_stops_with_all_rows_pending(tmp_path: Path, status: int) -> None:
    """One request; and the right key goes on."""
    told = ended(tmp_path, telling(answer(status, says("who are you"))))
    check_halted(told, "BP402", ExitCode.KEY_REFUSED, "the API refused the key: who are you")
    resumed(told, well)


def test_fault_20_a_403_after_twenty_successes_is_the_rows_matter(tmp_path: Path) -> None:
    def script(talk: Talk) -> None:
        talk.say(answer(403, says("not yours")) if talk.destination_id == "d21" else done(talk.destination_id))

    told = ended(tmp_path, script, count=23)
    assert told.result.exit_code == ExitCode.ROWS_FAILED
    assert told.states == ["accepted"] * 20 + ["rejected"] + ["accepted"] * 2
    assert (len(told.wire.asked), told.rows[20]["error_code"]) == (23, "BP401")


def test_fault_21_a_conflict_is_the_rows_own_failure(tmp_path: Path) -> None:
    """There is no Idempotency-Key of this API to wait and try again with."""
    check_rejected(tmp_path, 409, "the API says no")


@pytest.mark.parametrize("status", [408, 421, 425])
def test_fault_22_what_was_not_taken_is_tried_again(tmp_path: Path, status: int) -> None:
    """Accepted where it passes, exhausted and no doubt where it does not; a misdirected one over a new connection."""
    told = check_no_doubt(tmp_path, status)
    connections = told.wire.connections - 1  # one for the reads
    assert connections >= 3 if status == 421 else connections == 1


SKEWED_S = 1_000_000_000
"""A server whose clock stands in 2001."""


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "1"},
        {"Date": formatdate(SKEWED_S, usegmt=True), "Retry-After": formatdate(SKEWED_S + 1, usegmt=True)},
    ],
    ids=["seconds", "date"],
)
def test_fault_23_a_throttle_makes_its_row_wait(tmp_path: Path, headers: dict[str, str]) -> None:
    """For as long as was asked; one alone holds no other row. The date is taken against the answer's own (row 55)."""
    told = ended(tmp_path, once(telling(answer(429, b"{}", headers))))
    assert (told.result.exit_code, told.states) == (ExitCode.DONE, ["accepted", "accepted"])
    assert told.wire.asked == ["d1", "d2", "d1"]
    assert told.wire.at_s[2] - told.wire.at_s[0] >= WAIT_S * 0.99


@pytest.mark.parametrize("value", quick_first("5\r\nRetry-After: 7", "0", "-1", "1e9", "soon"))
def test_fault_23_a_wait_that_makes_no_sense_is_ignored(tmp_path: Path, value: str) -> None:
    """The row is tried again all the same, and a throttle uses up no attempt."""
    told = ended(tmp_path, once(telling(answer(429, b"{}", {"Retry-After": value}))), attempts=1)
    assert (told.result.exit_code, told.states) == (ExitCode.DONE, ["accepted", "accepted"])
    assert told.wire.times == {"d1": 2, "d2": 1}


def test_fault_23_a_longer_wait_than_is_honoured_stops_the_run(tmp_path: Path) -> None:
    told = ended(tmp_path, telling(answer(429, b"{}", {"Retry-After": "601"})))
    check_halted(told, "BP414", ExitCode.STOPPED, "the API asked to wait 601 s, more than 600 s")
    resumed(told, well)


@pytest.mark.parametrize("status", quick_first(502, 500, 504))
def test_fault_24_a_failure_of_the_api_is_a_doubt(tmp_path: Path, status: int) -> None:
    check_doubt(
        tmp_path, telling(answer(status, says("oops"))), "BP411", f"the API failed (HTTP {status}): oops", status=status
    )


def test_fault_25_a_503_is_tried_again_and_leaves_no_doubt(tmp_path: Path) -> None:
    check_no_doubt(tmp_path, 503)


@pytest.mark.parametrize(("value", "wait_s"), [("r=0;t=1", WAIT_S), ("r=none;t=soon", 0.0)])
def test_fault_26_an_empty_quota_on_a_success_holds_the_next_row(tmp_path: Path, value: str, wait_s: float) -> None:
    """A malformed one is ignored."""

    def script(talk: Talk) -> None:
        talk.say(done(talk.destination_id).replace(b"\r\n\r\n", f"\r\nRateLimit: {value}\r\n\r\n".encode()))

    told = ended(tmp_path, script)
    assert (told.result.exit_code, told.states, told.wire.asked) == (0, ["accepted", "accepted"], ["d1", "d2"])
    assert told.wire.at_s[1] - told.wire.at_s[0] >= wait_s * 0.99


def test_fault_27_interim_answers_are_passed_over(tmp_path: Path) -> None:
    told = ended(
        tmp_path,
        lambda talk: talk.say(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 9 + done(talk.destination_id)),
    )
    assert (told.result.exit_code, told.states, len(told.wire.asked)) == (0, ["accepted", "accepted"], 2)


def test_fault_27_unknown_statuses_count_as_their_class(tmp_path: Path) -> None:
    """299 with the envelope is a success, without one a doubt; 499 is the row's failure; 599 a doubt."""
    for name in ("299", "499", "599"):
        (tmp_path / name).mkdir()
    check_doubt(tmp_path / "299", telling(answer(299, {})), "BP410", "JSON without a status", status=299)
    check_rejected(tmp_path / "499", 499, "the API says no")
    check_doubt(tmp_path / "599", telling(answer(599, {})), "BP411", "HTTP 599", status=599)


# ── around the API ───────────────────────────────────────────────────────────────────────────


def test_fault_49_a_destination_that_stands_twice_is_sent_once(tmp_path: Path) -> None:
    """Each row keeps its line in the outcomes, with the same outcome."""
    bench = Bench(tmp_path)
    rows = [{"destination_id": one, "name": "New"} for one in ("d1", "d2", "d1")]
    with Wire(first_row(telling(answer(422, says("taken"))))) as wire:
        told = run_on(bench, wire, bench.job(rows, wire.url))
    assert (told.result.exit_code, told.states) == (ExitCode.ROWS_FAILED, ["rejected", "accepted", "rejected"])
    assert wire.times == {"d1": 1, "d2": 1}
    assert [row["row"] for row in told.rows] == [1, 2, 3]


def test_fault_50_a_run_goes_on_with_another_key(tmp_path: Path) -> None:
    """Nothing of a run hangs on the key that it began with."""
    told = ended(tmp_path, telling(answer(401, says("revoked"))))
    bench = Bench(tmp_path, environ={"PREQUEL_API_KEY": "sk_staging_the_next_0123"})
    with Wire(well) as wire:
        result = api.resume(Path(told.result.folder).name, bench.options(settings=flag(wire.url)))
    assert (result.exit_code, wire.times) == (ExitCode.DONE, {"d1": 1, "d2": 1})
    assert all(b"sk_staging_the_next_0123" in head for head in wire.heads)


def test_fault_53_a_proxy_of_the_environment_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says so, by the variable's name alone: its value may hold a password."""
    with Wire(well, reads=lambda: NO_ROUTE) as proxy, Wire(well) as wire:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        bench = Bench(tmp_path, environ={"PREQUEL_API_KEY": KEY, "HTTPS_PROXY": proxy.url, "all_proxy": ""})
        plan = api.plan(job_of(bench, wire.url, 2), bench.options())
        told = run_on(bench, wire, bench.folder / "job.toml")
    assert plan.warnings == ("HTTPS_PROXY: a proxy is set and not used, since it would see the key",)
    assert (told.result.exit_code, wire.times, proxy.connections) == (0, {"d1": 1, "d2": 1}, 0)
