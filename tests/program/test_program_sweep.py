"""Every fault, of every stage, with three secrets, at every verbosity: no artefact shows one, in thirteen encodings."""

from __future__ import annotations

import csv
import io
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from program_rig import Bench, Child, Ended
from program_scan import (
    API_KEY,
    CANARIES,
    ENCODINGS,
    command_lines,
    environments,
    files_below,
    leaks,
    private,
)
from program_villain import FAULTS, HALTS, Villain
from test_program_secrets import in_parquet

FIELD = "postgres.password_auth.password"
VERBOSITIES: Mapping[str, Sequence[str]] = {"quiet": ["-q"], "default": [], "verbose": ["-v"], "most": ["-vvv"]}
STAGES = ("pretest", "patch", "verify")
LOOK_S = 0.05
KINDS_MIN = 30
UNREACHABLE = {
    "refused": "http://127.0.0.1:1",
    "no such host": "https://nowhere.invalid",
    "no TLS there": "https://{address}",
}
"""Addresses at which nobody answers as the API would."""


def rows_of(faults: Iterable[str]) -> list[tuple[str, str]]:
    """Ids and canaries: each fault meets all three in the patch and one in each test, with good rows between."""
    found: list[tuple[str, str]] = []
    for number, fault in enumerate(faults):
        names = list(CANARIES)
        found += [(f"patch-{fault}-{name}", name) for name in names]
        found += [(f"{stage}-{fault}-x", names[number % 3]) for stage in ("pretest", "verify")]
        found += [(f"take-{fault}-{name}", name) for name in names]
    return found


def job_of(bench: Bench, url: str, rows: Iterable[tuple[str, str]]) -> Path:
    """A rotation of ``rows``: every other secret stands in its cell, the rest in files of their own."""
    vault = bench.folder / "vault"
    vault.mkdir()
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["destination_id", "customer", FIELD])
    for number, (destination_id, name) in enumerate(rows):
        private(vault / destination_id, CANARIES[name])
        lines.writerow(
            [destination_id, "acme", f"value:{CANARIES[name]}" if number % 2 else f"file:vault/{destination_id}"]
        )
    bench.write("rows.csv", text.getvalue(), mode=0o600)
    bench.environ["PREQUEL_API_KEY"] = API_KEY
    return bench.write(
        "job.toml",
        f"""[job]
name = "rotate"
[api]
base_url = "{url}"
[input]
path = "rows.csv"
labels = ["customer"]
inline_secrets = true
[send]
rate = "1000/s"
concurrency = 32
timeout = "1s"
attempts = 2
[guard]
max_failed = "100%"
[verify]
connection_test = "both"
poll = "100ms"
deadline = "1s"
""",
    )


class Sinks:
    """All that a run leaves or shows: files, streams, command lines, environments of children, temporary files."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.shown: dict[str, bytes] = {}

    def watch(self, child: Child) -> Ended:
        """Look until it ends: some things come and go."""
        while not child.gone:
            self._keep(command_lines(child.pid) | environments(child.pid) | files_below(self.bench.temporary))
            time.sleep(LOOK_S)
        ended = child.wait()
        self._keep({"stdout": ended.out.encode(), "stderr": ended.err.encode()})
        return ended

    @property
    def artefacts(self) -> Mapping[str, bytes]:
        """By name, those of the disk as they are now."""
        return self.shown | files_below(self.bench.reports) | files_below(self.bench.folder / "home")

    def _keep(self, found: Mapping[str, bytes]) -> None:
        for name, document in found.items():
            if document not in self.shown.get(name, b""):
                self.shown[name] = self.shown.get(name, b"") + b"\n" + document


@pytest.mark.proves("G7")
@pytest.mark.parametrize("verbosity", VERBOSITIES)
def test_faults_in_every_stage(bench: Bench, verbosity: str, cases: Callable[[int], None]) -> None:
    """Each fault strikes, each secret is sent, and what is written and shown afterwards is clean too."""
    sinks, rows = Sinks(bench), rows_of(FAULTS)
    with Villain() as villain:
        job = job_of(bench, villain.url, rows)
        ended = sinks.watch(bench.start("run", job, "--yes", *VERBOSITIES[verbosity]))
        assert ended.code == 7, ended.err
    struck = {tuple(one.split("-")[:2]) for one, times in villain.met.items() if times}
    assert struck == {(stage, fault) for stage in STAGES for fault in FAULTS}
    assert len(FAULTS) >= KINDS_MIN
    assert {villain.told[one] for one, _ in rows} == set(CANARIES.values())
    failed = next(one for one, _ in rows if one.startswith("patch-400"))
    for arguments in (
        ("report", "latest", "--by", "error"),
        ("report", "latest", "-o", "json"),
        ("explain", "latest", failed),
        ("status", "latest"),
        ("plan", job, "--offline", "--json"),
    ):
        assert sinks.watch(bench.start(*arguments)).code == 0
    assert leaks(sinks.artefacts) == {}
    assert bench.stands()["leak_check"]["hits"] == 0
    cases(len(FAULTS) * len(STAGES) * len(ENCODINGS))


def stopped(bench: Bench, verbosity: str, url: str, codes: set[int]) -> None:
    """A run that cannot go on says so and shows nothing."""
    sinks = Sinks(bench)
    job = job_of(bench, url, [(f"take-it-{name}-{number}", name) for number in range(4) for name in CANARIES])
    ended = sinks.watch(bench.start("run", job, "--yes", *VERBOSITIES[verbosity]))
    assert ended.code in codes, ended.err
    assert leaks(sinks.artefacts) == {}


ONE_EACH = [(halt, list(VERBOSITIES)[number % 4]) for number, halt in enumerate([*HALTS, *UNREACHABLE])]
OTHERS = [(halt, name) for halt in [*HALTS, *UNREACHABLE] for name in VERBOSITIES if (halt, name) not in ONE_EACH]


@pytest.mark.proves("G7")
@pytest.mark.parametrize(
    ("halt", "verbosity"), [*ONE_EACH, *(pytest.param(*one, marks=pytest.mark.long) for one in OTHERS)]
)
def test_faults_that_end_a_run(bench: Bench, halt: str, verbosity: str) -> None:
    """A refused key, a redirect, another's id, nobody there: each with what was sent in body and headers."""
    with Villain(HALTS.get(halt)) as villain:
        url = UNREACHABLE.get(halt, villain.url).format(address=villain.url.rpartition("/")[2])
        stopped(bench, verbosity, url, {3, 4})
    assert any(villain.told.values()) is (halt in HALTS)


# ── the scanner, and the program's own search, see what they must ────────────────────────────────


def sinks_of_a_run(bench: Bench) -> Mapping[str, bytes]:
    """What a short run left, and one of each thing that comes and goes."""
    sinks = Sinks(bench)
    with Villain() as villain:
        job = job_of(bench, villain.url, rows_of(["400", "500"]))
        assert sinks.watch(bench.start("run", job, "--yes", "-vv")).code == 7
    return sinks.artefacts


@pytest.mark.proves("G7")
def test_a_leak_planted_in_any_sink_is_found(bench: Bench, cases: Callable[[int], None]) -> None:
    """Each sink that a run has, each canary, each encoding, at the head, in the middle and at the end."""
    clean = sinks_of_a_run(bench)
    assert leaks(clean) == {}
    kinds = ("ledger.sqlite", "run.json", "outcomes.parquet", "failures.csv", "summary.md", "report.html", "log.jsonl")
    assert all(any(name.endswith(kind) for name in clean) for kind in kinds)
    planted = {*clean, "ledger.sqlite-wal", "ledger.sqlite-journal", "core", "x.bpplan", "temporary", "environment"}
    assert len(planted) >= 12
    for sink in planted:
        document = clean.get(sink, b"\x00" * 4096)
        for name, value in {**CANARIES, "key": API_KEY}.items():
            for encoding, encode in ENCODINGS.items():
                for at in (0, len(document) // 2, len(document)):
                    leaking = document[:at] + encode(value) + document[at:]
                    assert leaks({sink: leaking}), (sink, name, encoding)
    cases(len(planted))


def in_ledger(path: Path, text: str) -> None:
    """``text`` in a row of the ledger that was taken out again: it stays in a free page."""
    with closing(sqlite3.connect(path)) as ledger:
        ledger.execute("PRAGMA secure_delete = OFF")
        ledger.execute("CREATE TABLE planted (text)")
        ledger.execute("INSERT INTO planted VALUES (?)", (f"{'x' * 3000}{text}{'y' * 6000}",))
        ledger.commit()
        ledger.execute("DELETE FROM planted")
        ledger.commit()


WITHOUT_REDACTION = """
import sys
from bulkpatch.secrets import redaction

def scrub(self, text, *, limit=300):
    return text.replace("\\n", " ")[:limit]

redaction.LiveRedactor.scrub = scrub
redaction.LiveRedactor.scrub_json = lambda self, document: document
from bulkpatch.cli import main
sys.argv = ["bulkpatch", *sys.argv[1:]]
main()
"""


@pytest.mark.proves("G7")
def test_a_program_that_does_not_redact_is_caught_by_the_scanner_and_by_itself(bench: Bench) -> None:
    """With redaction taken out the same run leaks into log, ledger and reports: both see it, exit 70."""
    sinks = Sinks(bench)
    with Villain() as villain:
        job = job_of(bench, villain.url, rows_of(["400", "500", "error"]))
        ended = sinks.watch(
            bench.start_command([sys.executable, "-c", WITHOUT_REDACTION, "run", str(job), "--yes", "-vv"])
        )
    assert ended.code == 70, ended.err
    found = {Path(name).name.removesuffix(" (decoded)") for name in leaks(sinks.artefacts)}
    assert found >= {"ledger.sqlite", "outcomes.parquet", "failures.csv", "log.jsonl", "summary.md", "report.html"}
    assert bench.stands()["leak_check"]["hits"] > 0


@pytest.mark.parametrize("canary", CANARIES)
def test_deleted_pages_and_packed_columns_are_looked_into(tmp_path: Path, canary: str) -> None:
    """A row that was deleted, and a compressed column."""
    in_ledger(tmp_path / "ledger.sqlite", CANARIES[canary])
    (tmp_path / "outcomes.parquet").write_bytes(in_parquet(CANARIES[canary]))
    seen = {name.rpartition("/")[2].partition(" ")[0] for name in leaks(files_below(tmp_path))}
    assert seen == {"ledger.sqlite", "outcomes.parquet"}
