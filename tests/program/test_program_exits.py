"""Each exit code of the contract, reached as a user reaches it, and what has to hold with it."""

from __future__ import annotations

import os
import pty
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from program_parrot import NO_SUCH_CALL, Answer, Asked, Parrot
from program_rig import (
    KEY,
    Bench,
    Ended,
    check_renamed,
    fleet_of,
    renaming_job,
    renaming_rows,
    serving,
    until,
    until_asked,
    writes,
)

from bulkpatch.simulator.faults import FaultPlan, Mishap

ABC = ("id-a", "id-b", "id-c", "id-d")


def test_0_and_1(bench: Bench) -> None:
    """Rows that the API refuses for good make a finished run exit 1, and the rest is done; without them it is 0."""
    fleet = fleet_of(8)
    with serving(fleet, FaultPlan(rejected=frozenset(fleet.ids[2:4]))) as server:
        ended = bench.run("run", bench.renaming(fleet, server.url), "--yes")
    assert ended.code == 1
    assert bench.outcomes()["state"].to_list() == ["accepted"] * 2 + ["rejected"] * 2 + ["accepted"] * 4
    assert bench.outcomes()["http_status"].to_list() == [200] * 2 + [422] * 2 + [200] * 4
    assert (bench.stands()["state"], bench.stands()["exit_code"]) == ("finished", 1)
    assert f"bulkpatch retry {bench.latest.name}" in ended.err
    with serving(fleet) as server:
        retried = bench.run("retry", "latest", "--yes", "--base-url", server.url)
    assert retried.code == 0
    assert bench.outcomes()["row"].to_list() == [3, 4]
    check_renamed(fleet)


BAD_JOBS: dict[str, Callable[[str], str]] = {
    "no TOML": lambda job: job + "[[[",
    "unknown key": lambda job: job.replace("rate =", "rat ="),
    "bad rate": lambda job: job.replace('"100/s"', '"quick"'),
    "unknown field": lambda job: job.replace("machine_type_id", "machine_typ_id"),
    "missing input": lambda job: job.replace("fleet.csv", "flet.csv"),
    "no such transport": lambda job: job.replace("[send]", '[send]\ntransport = "pigeon"'),
}
BAD_ROWS: dict[str, Callable[[str], str]] = {
    "id": lambda rows: rows.replace("id-b", "id/../b"),
    "twice": lambda rows: rows.replace("id-b", "id-a"),
    "cells": lambda rows: rows.replace("Fleet 0002", "Fleet, 0002"),
    "column": lambda rows: rows.replace("name", "nam", 1),
    "empty": lambda _: "",
}


@pytest.mark.parametrize("flaw", ["unknown key"])
def test_2_for_a_bad_job(bench: Bench, flaw: str) -> None:
    """A job that does not hold is refused, and nothing is sent."""
    check_refused(bench, job=BAD_JOBS[flaw])


@pytest.mark.parametrize("flaw", ["twice"])
def test_2_for_a_bad_input(bench: Bench, flaw: str) -> None:
    """An input that does not hold is refused, and nothing is sent."""
    check_refused(bench, rows=BAD_ROWS[flaw])


@pytest.mark.long
@pytest.mark.parametrize("flaw", [*BAD_JOBS, *BAD_ROWS])
def test_2_for_anything_bad(bench: Bench, flaw: str) -> None:
    """The same for every flaw of the two lists."""
    check_refused(bench, job=BAD_JOBS.get(flaw, str), rows=BAD_ROWS.get(flaw, str))


def check_refused(
    bench: Bench,
    *,
    job: Callable[[str], str] = str,
    rows: Callable[[str], str] = str,
    flags: Sequence[str] = ("--yes",),
    environ: Mapping[str, str] | None = None,
) -> None:
    """``run`` exits 2 with an error and a fix on stderr; the server saw nothing and no run folder was made."""
    fleet = fleet_of(1)
    with serving(fleet) as server:
        bench.write("fleet.csv", rows(renaming_rows(ABC)))
        ended = bench.run("run", bench.write("job.toml", job(renaming_job(server.url))), *flags, environ=environ)
    assert (ended.code, ended.out) == (2, "")
    assert "error[BP" in ended.err
    assert "fix:" in ended.err
    assert "internal error" not in ended.err
    assert not fleet.arrivals
    assert not bench.runs


def test_2_without_key_or_consent(bench: Bench) -> None:
    """A key that is not set, and a missing --yes without a terminal, are each told with their fix; nothing is sent."""
    del bench.environ["PREQUEL_API_KEY"]
    check_refused(bench)
    bench.environ["PREQUEL_API_KEY"] = KEY
    check_refused(bench, flags=())


def answered(bench: Bench, answer: str, *arguments: str | Path) -> Ended:
    """The program on a terminal, on which ``answer`` is typed when it asks."""
    keyboard, terminal = pty.openpty()
    try:
        child = bench.start(*arguments, stdin=terminal)
        os.write(keyboard, f"{answer}\n".encode())
        return child.wait()
    finally:
        os.close(keyboard)
        os.close(terminal)


def interrupted(bench: Bench, *arguments: str | Path) -> Ended:
    """The program on a terminal, ended with ^C when it asks."""
    keyboard, terminal = pty.openpty()
    try:
        child = bench.start(*arguments, stdin=terminal)
        until(lambda: child.gone or "Type yes" in child.said)
        child.signal(signal.SIGINT)
        return child.wait()
    finally:
        os.close(keyboard)
        os.close(terminal)


def test_2_without_a_yes_on_a_terminal(bench: Bench) -> None:
    """Runs and resumes ask with the number of rows that are left; a no or ^C sends nothing and leaves all as it was."""
    fleet = fleet_of(10)
    with serving(fleet) as server:
        job = bench.renaming(fleet, server.url, rate="4/s")
        refused = interrupted(bench, "run", job)
        assert (refused.code, len(writes(fleet)), bench.runs) == (2, 0, [])
        assert "Type yes to send 10 requests" in refused.err
        child = bench.start("run", job, "--yes")
        until_asked(fleet, 3, child)
        child.signal(signal.SIGINT)
        assert child.wait().code == 130
        sent, left = len(writes(fleet)), 10 - len(bench.ledger().states)
        refused = interrupted(bench, "resume", "latest")
        assert (refused.code, len(writes(fleet)), len(bench.runs)) == (2, sent, 1)
        assert f"Type yes to send {left} requests" in refused.err
        assert answered(bench, "yes", "resume", "latest", "--rate", "50/s").code == 0
    check_renamed(fleet)


def test_2_for_a_production_key_without_the_job_s_name(bench: Bench) -> None:
    """--yes alone does not do; with --confirm NAME it does."""
    bench.environ["PREQUEL_API_KEY"] = "sk_prod_program_0123456789"
    check_refused(bench)
    fleet = fleet_of(2)
    with serving(fleet, key=bench.environ["PREQUEL_API_KEY"]) as server:
        job = bench.renaming(fleet, server.url)
        assert bench.run("run", job, "--yes", "--confirm", "rename").code == 0
    check_renamed(fleet)


def test_3_for_a_guard(bench: Bench) -> None:
    """Too many failures stop the run; what was not tried is pending, is told so, and resume goes on with it."""
    fleet = fleet_of(30)
    refused = frozenset(fleet.ids[:3])
    with serving(fleet, FaultPlan(rejected=refused)) as server:
        job = bench.renaming(fleet, server.url, guard=2, concurrency=2)
        ended = bench.run("run", job, "--yes")
        assert ended.code == 3
        assert f"bulkpatch resume {bench.latest.name}" in ended.err
        tried = len(writes(fleet))
        assert 3 <= tried <= 3 + 2
        assert bench.outcomes()["state"].to_list().count("not_attempted") == 30 - tried
        assert len(bench.ledger().states) == tried
        assert bench.stands()["state"] == "stopped"
        assert bench.run("resume", "latest").code == 2  # without a yes
        assert len(writes(fleet)) == tried
        assert bench.run("resume", "latest", "--yes").code == 1  # the failures of before do not count again
    assert max(fleet.effects.values()) == 1


def test_4_for_a_refused_key(bench: Bench) -> None:
    """401 on the first row costs one request and no row; the right key goes on."""
    fleet = fleet_of(20)
    with serving(fleet) as server:
        job = bench.renaming(fleet, server.url, rate="1000/s")
        ended = bench.run("run", job, "--yes", environ={"PREQUEL_API_KEY": KEY + "x"})
        assert ended.code == 4
        assert [arrival.status for arrival in fleet.arrivals] == [401]
        assert bench.ledger().states == {}
        assert bench.outcomes()["state"].to_list() == ["not_attempted"] * 20
        assert bench.run("resume", "latest", "--yes").code == 0
    check_renamed(fleet)
    assert set(fleet.effects.values()) == {1}


def check_redirect(bench: Bench, status: int, *, reads_too: bool) -> None:
    """A redirect stops the run after one request; the key and the body go nowhere else, and the other host is named."""
    with Parrot(lambda _: (200, {}, b"{}"), reads=lambda _: (200, {}, b"{}")) as elsewhere:
        target = elsewhere.url.replace("127.0.0.1", "localhost")

        def redirect(asked: Asked) -> Answer:
            return status, {"Location": target + asked.path}, b""

        with Parrot(redirect, reads=redirect if reads_too else lambda _: NO_SUCH_CALL) as parrot:
            bench.write("fleet.csv", renaming_rows(ABC))
            ended = bench.run("run", bench.write("job.toml", renaming_job(parrot.url)), "--yes")
    assert ended.code == 4
    assert "localhost" in ended.err
    assert len(parrot.read if reads_too else parrot.asked) == 1
    assert not (parrot.asked if reads_too else [])
    assert not elsewhere.asked + elsewhere.read
    assert bench.ledger().states == {}


@pytest.mark.proves("G11")
def test_4_for_a_redirect(bench: Bench) -> None:
    """Of a PATCH, after a read that told nothing."""
    check_redirect(bench, 308, reads_too=False)


@pytest.mark.long
@pytest.mark.parametrize("reads_too", [False, True])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_4_for_any_redirect(bench: Bench, status: int, *, reads_too: bool) -> None:
    """Of either call, with each status."""
    check_redirect(bench, status, reads_too=reads_too)


@pytest.mark.proves("G9")
def test_6_for_what_moved(bench: Bench) -> None:
    """A job or an input that is not the planned one stops a resume, which says what changed; the original goes on."""
    fleet = fleet_of(12)
    with serving(fleet) as server:
        job = bench.renaming(fleet, server.url)
        assert bench.run("run", job, "--yes", environ={"PREQUEL_API_KEY": KEY + "x"}).code == 4
        sent = len(fleet.arrivals)
        table, text = bench.folder / "fleet.csv", job.read_text()
        rows = table.read_text()
        job.write_text(text.replace('"100/s"', '"90/s"'))
        check_mismatch(bench, "job.toml")
        job.write_text(text)
        table.write_text(rows.replace("Fleet 0003", "Fleet 9003").replace("Fleet 0007", "Fleet 9007"))
        check_mismatch(bench, "(row 7)")
        assert len(fleet.arrivals) == sent
        table.write_text(rows)
        assert bench.run("resume", "latest", "--yes").code == 0
    check_renamed(fleet)


def check_mismatch(bench: Bench, words: str) -> None:
    """``resume`` exits 6, and says ``words``."""
    ended = bench.run("resume", "latest", "--yes")
    assert ended.code == 6, ended.err
    assert words in ended.err
    assert "fix:" in ended.err


@pytest.mark.long
@pytest.mark.parametrize("edit", ["swap", "drop", "add", "bom", "crlf", "latin", "ragged", "moved", "touch"])
def test_6_for_any_edit(bench: Bench, edit: str) -> None:
    """Rows swapped, dropped or added, a byte order mark, other line ends: not the planned input. A new mtime is."""
    fleet = fleet_of(12)
    with serving(fleet) as server:
        job = bench.renaming(fleet, server.url)
        assert bench.run("run", job, "--yes", environ={"PREQUEL_API_KEY": KEY + "x"}).code == 4
        table = bench.folder / "fleet.csv"
        head, *lines = table.read_bytes().splitlines(keepends=True)
        edits = {
            "swap": [head, lines[1], lines[0], *lines[2:]],
            "drop": [head, *lines[:-1]],
            "add": [head, *lines, lines[0].replace(fleet.ids[0].encode(), b"id-new")],
            "bom": [b"\xef\xbb\xbf", head, *lines],
            "crlf": [head, *lines[:-1], lines[-1].replace(b"\n", b"\r\n")],
            "latin": [head, *lines[:-1], lines[-1].replace(b"Fleet", b"Fl\xe9\xe9t")],
            "ragged": [head, *lines[:-1], b"just,two\n"],
            "touch": [head, *lines],
        }
        if edit == "moved":
            table.rename(bench.folder / "moved.csv")
        else:
            table.write_bytes(b"".join(edits[edit]))
        ended = bench.run("resume", "latest", "--yes")
    assert ended.code == (0 if edit == "touch" else 6)
    assert len(writes(fleet)) == (12 if edit == "touch" else 0)


def test_7_for_unknown_rows(bench: Bench) -> None:
    """A row whose answers were always lost is unknown: exit 7, though another was rejected; its effect is there."""
    fleet = fleet_of(6)
    faults = FaultPlan(rejected=frozenset(fleet.ids[:1]), overrides={fleet.ids[4]: [Mishap.RESET_AFTER]})
    with serving(fleet, faults) as server:
        ended = bench.run("run", bench.renaming(fleet, server.url, attempts=2), "--yes")
    assert ended.code == 7
    states = bench.outcomes()["state"].to_list()
    assert states == ["rejected", "accepted", "accepted", "accepted", "unknown", "accepted"]
    assert fleet.effects[fleet.ids[4]] == 2
    assert "unknown" in ended.err


def test_8_for_a_result_that_finds_no_room(bench: Bench) -> None:
    """A result that is cut off by a full disk is no success; one that a reader has enough of is."""
    with Path("/dev/full").open("wb") as full:
        assert bench.run("schema", "name", stdout=full).code == 8
    read, write = os.pipe()
    os.close(read)
    assert bench.run("schema", "name", stdout=write).code == 0
    os.close(write)


def test_a_terminal_without_an_arrow(bench: Bench) -> None:
    """What an old terminal cannot show becomes a question mark, and no error."""
    job = bench.renaming(fleet_of(2), "http://127.0.0.1:9")
    ended = bench.run("plan", job, "--offline", environ={"PYTHONIOENCODING": "latin-1"})
    assert (ended.code, "2 rows ? 2 PATCH requests" in ended.out) == (0, True), ended.err


NASTY: dict[str, tuple[bytes, bytes]] = {
    "bytes": (bytes(range(256)), b"destination_id,name\na,b\n"),
    "deep": (b"x = " + b"[" * 5000 + b"]" * 5000, b""),
    "huge number": (b'[job]\nname = "x"\n[input]\npath="i.csv"\n[send]\nattempts = ' + b"9" * 5000, b""),
    "surrogates": (b'[job]\nname = "\xed\xa0\x80"\n[input]\npath = "i.csv"\n', b""),
    "rows of bytes": (b'[job]\nname = "x"\n[input]\npath = "i.csv"\n', bytes(range(256)) * 20),
    "quotes": (b'[job]\nname = "x"\n[input]\npath = "i.csv"\n', b'destination_id,name\n"a,b\n' * 3),
    "columns": (b'[job]\nname = "x"\n[input]\npath = "i.csv"\n', b",".join(b"c%d" % n for n in range(2000)) + b"\n"),
    "where": (
        b'[job]\nname = "x"\n[input]\npath = "i.csv"\nwhere = "1/0 = read_csv(\'/\')"\n',
        b"destination_id,name\na,b\n",
    ),
    "json": (b'[job]\nname = "x"\n[input]\npath = "i.ndjson"\n', b'{"destination_id":' + b"[" * 9000 + b"\n"),
    "parquet": (b'[job]\nname = "x"\n[input]\npath = "i.parquet"\n', b"PAR1" + bytes(100) + b"\xff\xff\xff\x7fPAR1"),
    "itself": (b'[job]\nname = "x"\n[input]\npath = "job.toml"\n', b""),
    "folder": (b'[job]\nname = "x"\n[input]\npath = "."\n', b""),
}
"""Jobs and inputs of no sane user."""
DAMAGE = (b"", b'"', b"\x00", b"\xff", b"\n", b",", b"[", b"=")


@pytest.mark.parametrize("kind", ["bytes"])
def test_70_is_not_reached_by_input(bench: Bench, kind: str) -> None:
    """Whatever stands in job and input, it is the user's error: exit 2, and never a traceback."""
    check_nasty(bench, *NASTY[kind])


def check_nasty(bench: Bench, job: bytes, rows: bytes) -> None:
    """``check`` exits 2 (or takes it), with words of ours."""
    for name in ("i.csv", "i.ndjson", "i.parquet"):
        bench.write(name, rows)
    ended = bench.run("check", bench.write("job.toml", job))
    assert ended.code == 2, ended.err
    assert "Traceback" not in ended.err
    assert "error[BP" in ended.err


@pytest.mark.long
@pytest.mark.parametrize("kind", NASTY)
def test_70_is_not_reached_by_anything_nasty(bench: Bench, kind: str) -> None:
    """The same for the whole list."""
    check_nasty(bench, *NASTY[kind])


@pytest.mark.long
@pytest.mark.parametrize("seed", range(30))
def test_70_is_not_reached_by_damage(bench: Bench, seed: int) -> None:
    """A few bytes of job or input, changed at random: exit 0 or 2."""
    chance = random.Random(seed)  # noqa: S311  (a fixed seed)
    files = {"job.toml": renaming_job("http://127.0.0.1:9"), "fleet.csv": renaming_rows(ABC)}
    for name, text in files.items():
        damaged = bytearray(text.encode())
        for _ in range(chance.randrange(4)):
            place = chance.randrange(len(damaged))
            damaged[place : place + chance.randrange(3)] = chance.choice(DAMAGE)
        bench.write(name, bytes(damaged))
    ended = bench.run("check", "job.toml")
    assert ended.code in {0, 2}, ended.err


def test_usage_errors_are_2(bench: Bench) -> None:
    """Commands, options and runs that are not there."""
    for arguments in (("rnu",), ("run", "job.toml", "--rate"), ("resume", "latest")):
        ended = bench.run(*arguments)
        assert (ended.code, ended.out) == (2, ""), arguments
        assert "error[BP" in ended.err
