"""Not one byte of a secret in what the program writes, shows or passes on, whatever the API and the user do."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from program_parrot import Answer, Asked, Parrot
from program_rig import Bench, Child, Ended, until
from program_scan import (
    API_KEY,
    ASCII,
    CANARIES,
    NASTY,
    PEM,
    command_lines,
    environments,
    files_below,
    in_template,
    leaks,
    private,
)

FIELD = "postgres.password_auth.password"
LOOK_S = 0.03
"""Seconds between two looks at a child: what it starts lives longer."""
FIRST_DESCRIPTOR = 50
"""Of those that hand over canaries; the same in every process of a run, since they stand in the input."""

ECHOES: dict[str, Callable[[str], str]] = {
    "raw": str,
    "json": json.dumps,
    "url": urllib.parse.quote_plus,
    "html": html.escape,
    "repr": repr,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
}
"""How an API may hand back what it was sent."""


# ── an API that says everything it is told ───────────────────────────────────────────────────


def told(asked: Asked) -> str:
    """All that a request holds of secrets, in one text."""
    sent = json.loads(asked.body)["destination"]["postgres"]["password_auth"]["password"]
    return f"{asked.headers['x-api-key']} {asked.body.decode()} {sent}"


def parroting(asked: Asked) -> Answer:
    """The id says how: ``refuse-…`` 400, ``fail-…`` 500 and then 400, ``take-…`` a success that shows all."""
    destination_id = asked.path.rpartition("/")[2]
    kind, _, rest = destination_id.partition("-")
    text = ECHOES[rest.partition("-")[0]](told(asked))
    if kind == "take":
        transfer = {"id": text, "status": text, "model_metrics": [{"model_name": text, "error": {"message": text}}]}
        destination = {"id": destination_id, "name": text, "vendor": text, "last_completed_transfer": transfer}
        envelope = {"status": "success", "message": text, "data": {"destination": destination}}
        return 200, {"X-Echo": text.encode("ascii", "ignore").decode().replace("\n", " ")[:1000]}, to_json(envelope)
    status = 400 if kind == "refuse" else 500
    return status, {"Retry-After": API_KEY}, to_json({"status": "error", "data": None, "message": text})


def to_json(envelope: Any) -> bytes:
    """As APIs write it."""
    return json.dumps(envelope).encode()


# ── jobs with canaries ───────────────────────────────────────────────────────────────────────


def job_text(url: str, **keys: str) -> str:
    """A job whose input sets a password."""
    return f"""[job]
name = "rotate"

[api]
base_url = "{url}"
key = "{keys.get("key", "env:PREQUEL_API_KEY")}"

[input]
path = "rows.csv"
labels = ["customer"]
inline_secrets = {keys.get("inline", "false")}

[send]
rate = "60/s"
concurrency = 2
timeout = "3s"
attempts = 2

[guard]
max_failed = "100%"
{keys.get("more", "")}"""


def rows_text(cells: Mapping[str, str]) -> str:
    """Ids and what stands in the field of the secret."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["destination_id", "customer", FIELD])
    lines.writerows([destination_id, "acme", cell] for destination_id, cell in cells.items())
    return text.getvalue()


@dataclass
class Vault:
    """Canaries behind references of every scheme, and whoever may see them."""

    bench: Bench
    environ: dict[str, str] = field(default_factory=dict)
    cells: list[str] = field(default_factory=list)
    pipes: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        place = self.bench.folder / "vault"
        place.mkdir()
        give = place / "give.sh"
        give.write_text('env > "$TMPDIR_OF_TEST/env-$$"; sleep 0.1; cat "$0.d/$1"\n')
        (place / "give.sh.d").mkdir()
        for number, (name, value) in enumerate(CANARIES.items()):
            private(place / name, value)
            private(place / "give.sh.d" / name, value)
            self.environ[f"CANARY_{name}"] = value
            self.pipes[FIRST_DESCRIPTOR + number] = value
            self.cells += [
                f"env:CANARY_{name}",
                f"file:vault/{name}",
                f"exec:sh vault/give.sh {name}",
                f"fd:{FIRST_DESCRIPTOR + number}",
            ]
        self.environ |= {"PREQUEL_API_KEY": API_KEY, "TMPDIR_OF_TEST": str(self.bench.temporary)}

    def start(self, *arguments: str | Path) -> Child:
        """The program, with a pipe for each ``fd:`` reference."""
        for number, value in self.pipes.items():
            read, write = os.pipe()
            os.write(write, value.encode())
            os.close(write)
            os.dup2(read, number)
            os.close(read)
        child = self.bench.start(*arguments, environ=self.environ, pass_fds=tuple(self.pipes))
        for number in self.pipes:
            os.close(number)
        return child


class Witness:
    """Looks at a child while it runs: its command line, its children's, and files that come and go."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.seen: dict[str, bytes] = {}

    def look(self, child: Child) -> None:
        """One look. Whatever shows a canary is kept, whatever comes later."""
        for name, document in (
            command_lines(child.pid) | environments(child.pid) | files_below(self.bench.temporary)
        ).items():
            self.seen[name] = self.seen.get(name, b"") + b"\n" + document

    def wait(self, child: Child) -> Ended:
        """Look until it ends; what it said is an artefact like others."""
        while not child.gone:
            self.look(child)
            time.sleep(LOOK_S)
        return self.heard(child.wait())

    def heard(self, ended: Ended) -> Ended:
        """Keep what a child said."""
        number = len(self.seen)
        self.seen |= {f"stdout {number}": ended.out.encode(), f"stderr {number}": ended.err.encode()}
        return ended

    def check(self) -> None:
        """No canary anywhere, and there was something to look at."""
        artefacts = {**self.seen, **files_below(self.bench.reports), **files_below(self.bench.folder / "home")}
        assert leaks(artefacts) == {}
        assert any(name.startswith("command line") for name in self.seen)


# ── the tests ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.proves("G7")
def test_references_over_an_api_that_echoes_a_kill_and_a_resume(bench: Bench) -> None:
    """Each scheme and canary, -vv, each form of echo, a kill in the middle, -v, reports, plans: nothing shows."""
    vault, witness = Vault(bench), Witness(bench)
    forms = list(ECHOES)
    kinds = ("refuse", "take", "refuse", "take", "fail", "refuse", "take", "refuse")
    cells = {
        f"{kinds[number % 8]}-{forms[number % len(forms)]}-{number}": vault.cells[number % len(vault.cells)]
        for number in range(42)
    }
    bench.write("rows.csv", rows_text(cells))
    with Parrot(parroting) as parrot:
        job = bench.write("job.toml", job_text(parrot.url))
        child = vault.start("run", job, "--yes", "-vv")
        while not child.gone and len(parrot.asked) < 14:
            witness.look(child)
            time.sleep(LOOK_S)
        child.kill()
        witness.heard(child.wait())
        assert 14 <= len(parrot.asked) < 42
        witness.check()
        ended = witness.wait(vault.start("resume", "latest", "--yes", "-v"))
    assert ended.code == 7, ended.err
    sent = {json.loads(asked.body)["destination"]["postgres"]["password_auth"]["password"] for asked in parrot.asked}
    assert sent == set(CANARIES.values())
    for arguments in (
        ("plan", job, "--offline"),
        ("plan", job, "--offline", "--json"),
        ("report", "latest", "--by", "error"),
    ):
        assert witness.wait(vault.start(*arguments)).code == 0
    assert "<redacted>" in (bench.latest / "log.jsonl").read_text()
    assert bench.stands()["leak_check"]["hits"] == 0
    witness.check()


@pytest.mark.proves("G7")
def test_inline_cells(bench: Bench) -> None:
    """Secrets in the cells themselves: plan, -q, an API that echoes them, failures.csv, reports: nothing shows."""
    witness = Witness(bench)
    bench.environ["PREQUEL_API_KEY"] = API_KEY
    values = [ASCII, NASTY, f"value:{NASTY}", f"value:{ASCII}", PEM]
    cells = {
        f"{kind}-{form}-i": values.pop()
        for kind, form in (
            ("refuse", "raw"),
            ("take", "json"),
            ("fail", "raw"),
            ("refuse", "url"),
            ("refuse", "base64"),
        )
    }
    bench.write("rows.csv", rows_text(cells))
    with Parrot(parroting) as parrot:
        job = bench.write("job.toml", job_text(parrot.url, inline="true"))
        assert witness.wait(bench.start("plan", job, "--offline")).code == 0
        ended = witness.wait(bench.start("run", job, "--yes", "-q"))
    assert ended.code == 7, ended.err
    with (bench.latest / "failures.csv").open(newline="") as file:
        failed = list(csv.DictReader(file))
    assert [row[FIELD] for row in failed] == ["<redacted>"] * 4
    sent = {json.loads(asked.body)["destination"]["postgres"]["password_auth"]["password"] for asked in parrot.asked}
    assert sent == set(CANARIES.values())
    witness.check()


@pytest.mark.proves("G7")
@pytest.mark.parametrize("kind", ["refused", "redirected"])
def test_a_key_that_is_echoed(bench: Bench, kind: str) -> None:
    """401 and 3xx with the key in body, headers and address of the redirect: exit 4, and nothing shows."""
    witness = Witness(bench)
    bench.environ["PREQUEL_API_KEY"] = API_KEY
    bench.write("rows.csv", rows_text({"refuse-raw-1": "file:secret"}))
    private(bench.folder / "secret", ASCII)

    def answer(asked: Asked) -> Answer:
        key = asked.headers["x-api-key"]
        body = to_json({"status": "error", "data": None, "message": f"no such key: {key}, body {asked.body.decode()}"})
        location = f"https://{key}.example.com/{ASCII}?key={key}"
        return (401, {"X-Key": key}, body) if kind == "refused" else (307, {"Location": location}, body)

    with Parrot(answer) as parrot:
        ended = witness.wait(bench.start("run", bench.write("job.toml", job_text(parrot.url)), "--yes", "-vv"))
    assert ended.code == 4
    witness.check()


MISTAKES: dict[str, tuple[dict[str, str], str]] = {
    "a secret as the key": ({"key": API_KEY}, "env:CANARY"),
    "a secret in the job": ({"more": f'\n[patch.postgres.password_auth]\npassword = "{ASCII}"\n'}, ""),
    "a secret beside the job": ({"more": f'\n[patch.postgres.password_auth]\npasword = "{ASCII}"\n'}, ""),
    "a job that is cut off": ({"more": f'\n[patch.postgres.password_auth]\npassword = "{ASCII}'}, ""),
    "a secret where a reference belongs": ({}, ASCII),
    "a file that others read": ({}, "file:open"),
    "a mask": ({"inline": "true"}, "****"),
    "a line break in a cell": ({"inline": "true"}, f"{ASCII}\r"),
    "a command that fails": ({}, "exec:sh fails.sh"),
}
"""What goes wrong for users, with a canary at hand each time: keys of the job, and the cell."""
QUICK = ("a job that is cut off",)


@pytest.mark.parametrize("mistake", QUICK)
def test_a_mistake(bench: Bench, mistake: str) -> None:
    """Errors about a secret do not show it."""
    check_mistake(bench, mistake)


@pytest.mark.long
@pytest.mark.parametrize("mistake", MISTAKES)
def test_any_mistake(bench: Bench, mistake: str) -> None:
    """The same for the whole list."""
    check_mistake(bench, mistake)


def check_mistake(bench: Bench, mistake: str) -> None:
    """Exit 2 and words of ours, no canary, nothing sent."""
    witness = Witness(bench)
    keys, cell = MISTAKES[mistake]
    bench.environ |= {"PREQUEL_API_KEY": API_KEY, "CANARY": ASCII}
    bench.write("open", ASCII, mode=0o644)
    bench.write("fails.sh", f"echo {ASCII}; echo {ASCII} >&2; exit 3\n")
    bench.write("rows.csv", rows_text({"refuse-raw-1": cell, "refuse-raw-2": "file:open" if cell else ""}))
    with Parrot(parroting) as parrot:
        job = bench.write("job.toml", job_text(parrot.url, **keys))
        ended = witness.wait(bench.start("run", job, "--yes", "-vv"))
    assert (ended.code, "error[BP" in ended.err) == (2, True), ended.err
    assert not parrot.asked
    witness.check()


def test_a_store_that_fails_under_way(bench: Bench) -> None:
    """A command that works once, then fails and says the secret: the run stops (3), its rows pending, nothing shows."""
    witness = Witness(bench)
    bench.environ["PREQUEL_API_KEY"] = API_KEY
    bench.write("once.sh", f'echo {ASCII} >&2; test "$1" = ok || {{ echo {ASCII}; exit 9; }}; echo {ASCII}\n')
    cells = {"take-raw-1": "exec:sh once.sh ok", "take-raw-2": "exec:sh once.sh no", "take-raw-3": "exec:sh once.sh no"}
    bench.write("rows.csv", rows_text(cells))
    with Parrot(parroting) as parrot:
        ended = witness.wait(bench.start("run", bench.write("job.toml", job_text(parrot.url)), "--yes", "-v"))
    assert ended.code == 3, ended.err
    assert "exec:sh once.sh no" in ended.err
    assert bench.ledger().states == {"take-raw-1": "accepted"}
    witness.check()


# ── the scanner sees what it must see ────────────────────────────────────────────────────────


def in_parquet(text: str) -> bytes:
    """A compressed table that holds ``text``."""
    file = io.BytesIO()
    pl.DataFrame({"row": [1, 2], "error": ["none", f"x {text} y"]}).write_parquet(file, compression="zstd")
    return file.getvalue()


def plant(folder: Path, kind: str, text: str) -> None:
    """``text`` in one kind of artefact below ``folder``."""
    quoted = json.dumps({"error": f"bad {text}"})
    simple = {
        "log.jsonl": f'{{"event":"x"}}\n{quoted}\n'.encode(),
        "run.json": json.dumps({"reason": text}, ensure_ascii=False, indent=1).encode(),
        "summary.md": f"# x\n\n| {html.escape(text)} |\n".encode(),
        "report.html": f"<td>{in_template(text)}</td>".encode(),
        "failures.csv": f'id,"{text.replace(chr(34), 2 * chr(34))}"\n'.encode(),
        "plan.json": base64.b64encode(b"ab" + text.encode() + b"c"),
        "outcomes.parquet": in_parquet(text),
    }
    if kind in simple:
        (folder / kind).write_bytes(simple[kind])
        return
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as ledger:
        ledger.execute("pragma journal_mode = wal")
        ledger.execute("create table t (a text)")
        ledger.execute("insert into t values (?)", ("x" * 3000 + text + "y" * 3000,))
        ledger.commit()
        if kind == "ledger in the log":
            for name in ("ledger.sqlite", "ledger.sqlite-wal"):
                (folder / f"copy-of-{name}").write_bytes((folder / name).read_bytes())
    if kind == "ledger in the log":
        (folder / "ledger.sqlite").unlink()
        for name in ("ledger.sqlite", "ledger.sqlite-wal"):
            (folder / f"copy-of-{name}").rename(folder / name)


@pytest.mark.parametrize("canary", CANARIES)
@pytest.mark.parametrize(
    "kind",
    [
        "log.jsonl",
        "run.json",
        "summary.md",
        "report.html",
        "failures.csv",
        "plan.json",
        "outcomes.parquet",
        "ledger",
        "ledger in the log",
    ],
)
def test_a_planted_leak_is_seen(tmp_path: Path, kind: str, canary: str) -> None:
    """In each kind of file, also where it is compressed, split over pages, or in the write-ahead log."""
    run = tmp_path / "reports"
    run.mkdir()
    plant(run, kind, "harmless" * 8)
    assert leaks(files_below(run)) == {}
    for path in run.iterdir():
        path.unlink()
    plant(run, kind, CANARIES[canary])
    assert leaks(files_below(run))


def test_a_planted_leak_in_a_command_line_or_an_output_is_seen(bench: Bench) -> None:
    """What ``ps`` shows, of a child or of what it started, and what is said on either stream, even in part."""
    script = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(0.5)', sys.argv[-1]])"
    )
    for part in (API_KEY, NASTY):
        outer = subprocess.Popen([sys.executable, "-c", script, part], stdout=subprocess.DEVNULL)
        try:
            until(lambda: len(leaks(command_lines(outer.pid))) == 2, 10)  # noqa: B023  (called at once)
        finally:
            outer.wait()
    witness = Witness(bench)
    witness.heard(Ended(code=0, out="", err=f"cannot use {ASCII[3:12]}", seconds=0))
    witness.heard(Ended(code=0, out=repr(NASTY.encode()), err="", seconds=0))
    assert {name.partition(" ")[0] for name in leaks(witness.seen)} == {"stdout", "stderr"}
