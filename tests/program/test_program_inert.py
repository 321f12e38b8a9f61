"""What an API says is text and nothing else: it moves no cursor, runs in no spreadsheet, and renders in no page."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from program_parrot import Answer, Asked, Parrot
from program_rig import Bench, renaming_job, renaming_rows

SENT = ("take-a", "take-b", "refuse-a", "refuse-b", "fail-a")
HELD = ("clash-a", "way-a")
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31m\x9b1A\x08\r\u202e\u2028"
HTML = "<script>alert(1)</script><img src=x onerror=alert(1)> [a](http://evil.test) | `x` \n\n# heading\n"
POISON = f'=HYPERLINK("http://evil.test"){ESCAPES}{HTML}'
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
SIGN_IN = '[patch.postgres.password_auth]\nusername = "exporter"\n\n[send]'


def destination(destination_id: str) -> Mapping[str, Any]:
    """A destination every text of which is poisoned, but its id, and the vendor of ``way-…``."""
    transfer = {"id": POISON, "status": POISON, "error_code": POISON, "blame": POISON}
    names = ("name", "vendor", "recipient_id", "id_in_provider_system", "updated_at", "machine_type_id")
    made: dict[str, Any] = {**dict.fromkeys(names, POISON), "id": destination_id, "last_completed_transfer": transfer}
    if destination_id.startswith("way"):
        made |= {"vendor": "postgres", "postgres": {"auth_method": POISON}}
    return made


def reads(_: Asked) -> Answer:
    """The fleet as a list, poisoned."""
    data = {"destinations": [destination(one) for one in SENT + HELD]}
    envelope = {"status": "success", "message": POISON, "data": data, "has_next": False, "next_url": POISON}
    return 200, {}, json.dumps(envelope).encode()


def answer(asked: Asked) -> Answer:
    """A success, a refusal or a failure, as the id says, with poison in every text of it."""
    destination_id = asked.path.rpartition("/")[2]
    if destination_id.startswith("take"):
        data = {"destination": destination(destination_id)}
        return 200, {}, json.dumps({"status": "success", "message": POISON, "data": data}).encode()
    told = {"status": "error", "message": POISON, "error": POISON, "data": None}
    status = 422 if destination_id.startswith("refuse") else 500
    return status, {"RateLimit": "\x9b2J", "Date": "\x9b2J"}, json.dumps(told).encode()


def check_shown(text: str, where: str) -> None:
    """Nothing in ``text`` moves a cursor, hides, turns around, or begins a line that the API wrote."""
    odd = {character for character in text if not character.isprintable() and character != "\n"}
    assert not odd, (where, odd)
    assert not [line for line in text.split("\n") if line.startswith("# heading")], where


def check_all(bench: Bench, job: Path, ids: tuple[str, ...], code: int) -> None:
    """Plan, run and ask for what came of it: nothing of the poison works anywhere."""
    shown = {"plan": bench.run("plan", job), "run": bench.run("run", job, "--yes", "-vvv")}
    assert shown["plan"].code == 0, shown["plan"].err
    assert shown["run"].code == code, shown["run"].err
    asking = [("report", "latest"), ("status", "latest"), *(("explain", "latest", one) for one in ids)]
    shown |= {" ".join(words): bench.run(*words) for words in asking}
    for name, ended in shown.items():
        assert ended.code in {0, code}, (name, ended.err)
        check_shown(ended.out, f"{name}, stdout")
        check_shown(ended.err, f"{name}, stderr")
    summary = (bench.latest / "summary.md").read_text()
    for markup in ("<script", "<img"):
        assert markup not in summary
    assert any("evil.test" in text for text in (summary, *(ended.out + ended.err for ended in shown.values())))
    check_shown(summary, "summary.md")
    assert all(error.isprintable() for error in bench.outcomes()["error"] if error), "what is kept was scrubbed"
    check_shown((bench.latest / "log.jsonl").read_text(), "log.jsonl")
    with (bench.latest / "failures.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            ours = [cell for name, cell in row.items() if name.startswith("_bp_")]
            assert not [cell for cell in ours if cell.startswith(FORMULA_STARTS)], ours


@pytest.mark.proves("G12")
def test_poison_in_answers_is_text_wherever_it_is_shown(bench: Bench) -> None:
    """In the output of each command, failures.csv, summary.md and the log: of rows taken, refused and failed."""
    bench.write("fleet.csv", renaming_rows(SENT))
    with Parrot(answer, reads=reads) as parrot:
        check_all(bench, bench.write("job.toml", renaming_job(parrot.url, attempts=2)), SENT[::2], 7)


@pytest.mark.proves("G12")
def test_poison_in_the_live_fleet_is_text_wherever_it_is_shown(bench: Bench) -> None:
    """Of rows that are not sent for what the fleet is: of another vendor, with another way of signing in."""
    bench.write("fleet.csv", renaming_rows(HELD))
    with Parrot(answer, reads=reads) as parrot:
        job = renaming_job(parrot.url).replace("[send]", SIGN_IN)
        check_all(bench, bench.write("job.toml", job), HELD, 1)
    assert not parrot.asked


@pytest.mark.long
@pytest.mark.proves("G11", "G12")
@pytest.mark.parametrize("status", [401, 308])
def test_poison_of_who_refuses_the_key_is_text(bench: Bench, status: int) -> None:
    """In the words that end the run."""
    told = json.dumps({"status": "error", "message": POISON}).encode()
    bench.write("fleet.csv", renaming_rows(SENT))
    with Parrot(lambda _: (status, {"Location": "http://evil.test\x9b2J/"}, told)) as parrot:
        check_all(bench, bench.write("job.toml", renaming_job(parrot.url)), SENT[:1], 4)
