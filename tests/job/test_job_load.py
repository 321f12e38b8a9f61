"""A job file becomes exactly the job it says, or every problem of it at once, each at its place."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from job_rig import CONTRACT, SMALLEST, carets, codes, everything, load, marked, problems, write

from bulkpatch.errors import CODES, InvalidInput
from bulkpatch.job.grammar import JobFile, fields_at
from bulkpatch.job.load import SETTINGS, load_job
from bulkpatch.job.spec import (
    ApiSpec,
    Constant,
    FromColumn,
    FromSecret,
    HooksSpec,
    InputSpec,
    Job,
    KeyPath,
    Origin,
    ReportSpec,
    SecretsSpec,
    VerifySpec,
    Wave,
    Window,
)
from bulkpatch.model import Gate, Guard, Limits, Rate, Threshold

# ── what a job says ──────────────────────────────────────────────────────────────────────────


def test_the_contracts_example_is_this_job(tmp_path: Path) -> None:
    """Every key of it, one by one; origins say which of them the file gave."""
    path = write(tmp_path, CONTRACT)
    job = load_job(path)
    expected = Job(
        name="rotate-postgres-2026q4",
        api=ApiSpec(base_url="https://api.prequel.co", key="env:PREQUEL_API_KEY", allow_unknown_fields=False),
        input=InputSpec(
            path="fleet.csv",
            id="destination_id",
            where="vendor = 'postgres'",
            null="\\N",
            labels=("customer", "vendor"),
            inline_secrets=False,
            columns={"new_password": "postgres.password_auth.password"},
            previous={},
        ),
        patch=(
            Constant(path="machine_type_id", value="3c90c3cc-0d44-4b50-8888-8dd25736052a"),
            FromColumn(path="postgres.password_auth.username", column="db_user", default="exporter"),
            FromSecret(path="postgres.password_auth.password", template="env:PW_{customer}"),
        ),
        expect={"vendor": "postgres"},
        limits=Limits(rate=Rate(count=5, unit_s=1), concurrency=8, timeout_s=30.0, attempts=5),
        guard=Guard(max_failed=Threshold(share=0.01), min_tried=20),
        transport="httpx",
        on_drift="skip",
        window=Window(days=("sat", "sun"), start="01:00", end="05:00", tz="UTC"),
        waves=(
            Wave(
                size=Threshold(count=25),
                gate=Gate(failed=Threshold(count=0), soak_s=300.0, approve=False, transfers=0.95),
            ),
        ),
        verify=VerifySpec(connection_test="off", deadline_s=300.0, poll_s=5.0, credential_failures=3),
        per_recipient=job.per_recipient,
        secrets=SecretsSpec(),
        report=ReportSpec(),
        hooks=HooksSpec(),
        path=path,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        origins=job.origins,
    )
    assert job == expected
    assert (job.per_recipient.in_flight, job.per_recipient.unverified) == (None, None)
    assert {key for key, origin in job.origins.items() if origin.source == "default"} == {
        "api.allow_unknown_fields",
        "api.ca_file",
        "input.previous",
        "verify.credential_failures",
        "verify.deadline",
        "verify.poll",
        "secrets.allow_short",
        "secrets.pin_versions",
        "secrets.exec_env",
        "report.writers",
        "hooks.on_stop",
    }


def test_defaults_are_the_contracts(tmp_path: Path) -> None:
    """The smallest job is the contract's example without all that stands there as a default, window apart."""
    job = load(tmp_path, SMALLEST)
    assert job.api == ApiSpec(base_url="https://api.prequel.co", key="env:PREQUEL_API_KEY", allow_unknown_fields=False)
    assert job.input == InputSpec(path="fleet.csv", id="destination_id", inline_secrets=False)
    assert job.limits == Limits(rate=Rate(count=5, unit_s=1), concurrency=8, timeout_s=30.0, attempts=5)
    assert job.guard == Guard(max_failed=Threshold(share=0.01), min_tried=20)
    assert (job.transport, job.on_drift, job.window, job.waves) == ("httpx", "skip", None, ())
    assert job.verify == VerifySpec(connection_test="off", deadline_s=300.0, poll_s=5.0, credential_failures=3)
    assert (job.patch, job.expect) == ((), {})
    assert (job.per_recipient.in_flight, job.per_recipient.unverified) == (None, None)
    assert job.folder == tmp_path


def test_every_key_of_a_wave_and_of_its_gate(tmp_path: Path) -> None:
    """A job with all of them, and one with none."""
    waves = """
[[wave]]
name = "canary"
size = "10%"
where = "region = 'eu'"
by = "customer"
order = "random"
gate = { failed = "2%", soak = "90s", approve = true, transfers = "99.5%", window = "30m", start_transfers = 7 }
[[wave]]
size = "rest"
"""
    canary, rest = load(tmp_path, SMALLEST + waves).waves
    gate = Gate(
        failed=Threshold(share=0.02), soak_s=90.0, approve=True, transfers=0.995, window_s=1800.0, start_transfers=7
    )
    assert canary == Wave(
        size=Threshold(share=0.1), gate=gate, name="canary", where="region = 'eu'", by="customer", order="random"
    )
    assert rest == Wave(
        size=None, gate=Gate(soak_s=0.0, window_s=7200.0, start_transfers=0), name=None, where=None, by=None
    )


def test_the_rest_is_not_the_end_where_a_condition_narrows_it(tmp_path: Path) -> None:
    """The rest of some rows leaves the others to a wave behind it."""
    waves = '[[wave]]\nsize = "rest"\nwhere = "a = 1"\n[[wave]]\nsize = 3\n'
    assert [wave.size for wave in load(tmp_path, SMALLEST + waves).waves] == [None, Threshold(count=3)]


def test_verification_limits_and_previous_values(tmp_path: Path) -> None:
    """What others carry out is read in full."""
    more = """[input.previous]
old_name = "name"
old_password = "postgres.password_auth.password"
[verify]
connection_test = "both"
deadline = "90s"
credential_failures = 7
poll = "250ms"
[limits.per_recipient]
in_flight = 2
unverified = 5
"""
    job = load(tmp_path, SMALLEST + more)
    assert job.input.previous == {"old_name": "name", "old_password": "postgres.password_auth.password"}
    assert job.verify == VerifySpec(connection_test="both", deadline_s=90.0, poll_s=0.25, credential_failures=7)
    assert (job.per_recipient.in_flight, job.per_recipient.unverified) == (2, 5)


# ── precedence ───────────────────────────────────────────────────────────────────────────────

FLAG: Final = Origin(value="4/s", source="flag")
ENVIRONMENT: Final = Origin(value="3/s", source="environment (BULKPATCH_RATE)")
USER: Final = Origin(value="2/s", source="user config")


@pytest.mark.parametrize(
    ("send", "settings", "rate", "source"),
    [
        ("", {}, 5, "default"),
        ("", {"send.rate": USER}, 2, "user config"),
        ('[send]\nrate = "6/s"', {"send.rate": USER}, 6, "job"),
        ('[send]\nrate = "6/s"', {}, 6, "job"),
        ('[send]\nrate = "6/s"', {"send.rate": ENVIRONMENT}, 3, "environment (BULKPATCH_RATE)"),
        ('[send]\nrate = "6/s"', {"send.rate": FLAG}, 4, "flag"),
        ("", {"send.rate": FLAG}, 4, "flag"),
        ("[send]\nconcurrency = 2", {"send.rate": USER}, 2, "user config"),
    ],
)
def test_flag_before_environment_before_job_before_user_config_before_default(
    tmp_path: Path, send: str, settings: Mapping[str, Origin], rate: int, source: str
) -> None:
    """The value in force and its origin."""
    job = load(tmp_path, SMALLEST + send, settings)
    assert job.limits.rate == Rate(count=rate, unit_s=1)
    assert job.origins["send.rate"] == Origin(value=f"{rate}/s", source=source)


def test_every_setting_can_be_given_from_outside(tmp_path: Path) -> None:
    """Each key of the tables that may be set, even one that the job must have."""
    given: dict[str, Any] = {
        "api.base_url": "http://127.0.0.1:9",
        "api.key": "fd:3",
        "input.path": "other.csv",
        "input.labels": ["a"],
        "send.concurrency": 3,
        "guard.max_failed": 0,
        "verify.poll": "1s",
        "secrets.allow_short": True,
    }
    settings = {key: Origin(value=value, source="flag") for key, value in given.items()}
    job = load(tmp_path, '[job]\nname = "j"\n', settings)
    assert (job.api.base_url, job.api.key, job.input.path) == ("http://127.0.0.1:9", "fd:3", "other.csv")
    assert (job.input.labels, job.limits.concurrency, job.guard.max_failed) == (("a",), 3, Threshold(count=0))
    assert (job.verify.poll_s, job.secrets.allow_short) == (1.0, True)
    assert {key: job.origins[key] for key in given} == settings


def test_a_wrong_setting_is_told_with_its_origin_and_without_a_place(tmp_path: Path) -> None:
    """The job's own line is innocent."""
    job = SMALLEST + '[send]\nrate = "6/s"\n'
    settings = {
        "send.rate": Origin(value="quick", source="flag"),
        "send.ratee": Origin(value=1, source="environment (X)"),
        "limits.x": Origin(value=1, source="user config"),
        "rate": Origin(value=1, source="user config"),
    }
    found = {problem.message: problem for problem in problems(tmp_path, job, settings)}
    assert all(problem.line is None and problem.file is None and not problem.frame for problem in found.values())
    assert {message: problem.code for message, problem in found.items()} == {
        '[send] rate, set by flag: a rate is a whole number per s, min or h, such as "5/s"': "BP106",
        "[send] ratee, set by environment (X): unknown key": "BP103",
        "[limits.x], set by user config: no such setting": "BP103",
        "[rate], set by user config: no such setting": "BP103",
    }
    assert found["[send] ratee, set by environment (X): unknown key"].hint == "Did you mean rate?"


# ── what a job may not say ───────────────────────────────────────────────────────────────────

WRONG: Final = [
    # unknown keys, each with what may have been meant
    ("«[snd]»\nx = 1", "BP103", "Did you mean send?"),
    ("[send]\n«concurency» = 3", "BP103", "Did you mean concurrency?"),
    ("[send]\n«max_failed» = 3", "BP103", "[guard] has a key of this name."),
    ("[send]\n«zzz» = 3", "BP103", "Known here: rate, concurrency, timeout, attempts, transport, window, on_drift."),
    ('[send.window]\n«day» = "sat"\ndays = ["sat"]\nfrom = "01:00"\nto = "02:00"\ntz = "UTC"', "BP103", "days"),
    ("[[wave]]\nsize = 1\n«gates» = 1", "BP103", "gate"),
    ("[[wave]]\nsize = 1\n[[wave]]\nsize = 1\ngate = { «sock» = '1s' }", "BP103", "soak"),
    ("[limits]\n«per_recipent» = { in_flight = 1 }", "BP103", "per_recipient"),
    ("[limits.per_recipient]\n«inflight» = 1", "BP103", "in_flight"),
    ("[verify]\n«dead_line» = '1s'", "BP103", "deadline"),
    # a key that is missing, at its table
    ("[[«wave»]]\nname = 'a'", "BP104", "Rows of the wave"),
    ("[send]\n«window» = { days = ['sat'], from = '01:00', to = '05:00' }", "BP104", "Time zone"),
    # values of another form
    ("[api]\nbase_url = «'http://example.com'»", "BP111", "https"),
    ("[api]\nbase_url = «'https://a/?b'»", "BP111", "https"),
    ("[api]\nkey = «'hunter2'»", "BP301", "env:NAME"),
    ("[api]\nkey = «'env:'»", "BP301", "env:"),
    ("[api]\nkey = «'****'»", "BP304", ""),
    ("[api]\nkey = «'value:x'»", "BP110", "env:NAME"),
    ("[api]\nkey = «5»", "BP301", "env:NAME"),
    ("[api]\nallow_unknown_fields = «1»", "BP105", "true"),
    ("[send]\nrate = «'5/day'»", "BP106", "5/s"),
    ("[send]\nrate = «5»", "BP106", "5/s"),
    ("[send]\nrate = «'0/s'»", "BP106", "5/s"),
    ("[send]\nrate = «'-1/s'»", "BP106", "5/s"),
    ("[send]\nrate = «'nan/s'»", "BP106", "5/s"),
    ("[send]\nrate = «'10/0s'»", "BP106", "5/s"),
    ("[send]\nrate = «'1000001/s'»", "BP106", "5/s"),
    ("[send]\nconcurrency = «0»", "BP105", "1 to 1000"),
    ("[send]\nconcurrency = «1001»", "BP105", "1 to 1000"),
    ("[send]\nconcurrency = «8.0»", "BP105", "1 to 1000"),
    ("[send]\nconcurrency = «true»", "BP105", "1 to 1000"),
    ("[send]\ntimeout = «'30'»", "BP114", "30s"),
    ("[send]\ntimeout = «30»", "BP114", "30s"),
    ("[send]\ntimeout = «'99ms'»", "BP105", "100ms"),
    ("[send]\ntimeout = «'601s'»", "BP105", "10m"),
    ("[send]\nattempts = «0»", "BP105", "1 to 20"),
    ("[send]\nattempts = «21»", "BP105", "1 to 20"),
    ("[send]\ntransport = «'AioHttp'»", "BP105", "httpx"),
    ("[[wave]]\nsize = 1\ngate = { plugin = «'a.b'» }", "BP105", "another package"),
    ("[report]\nwriters = [«'../up'»]", "BP105", "other packages"),
    ("[report]\nwriters = «['a', 'a']»", "BP105", "other packages"),
    ("[send]\non_drift = «'ignore'»", "BP105", "skip, stop or send"),
    ("[send]\nwindow = «'sat'»", "BP105", "days"),
    ("[send.window]\ndays = «[]»\nfrom = '01:00'\nto = '02:00'\ntz = 'UTC'", "BP105", "mon"),
    ("[send.window]\ndays = ['sat', «'holiday'»]\nfrom = '01:00'\nto = '02:00'\ntz = 'UTC'", "BP105", ""),
    ("[send.window]\ndays = «['sat', 'sat']»\nfrom = '01:00'\nto = '02:00'\ntz = 'UTC'", "BP105", "mon"),
    ("[send.window]\ndays = ['sat']\nfrom = «'1:00'»\nto = '02:00'\ntz = 'UTC'", "BP105", "01:00"),
    ("[send.window]\ndays = ['sat']\nfrom = '01:00'\nto = «'24:00'»\ntz = 'UTC'", "BP105", "closes"),
    ("[send.window]\ndays = ['sat']\nfrom = '01:00'\nto = «01:00:00»\ntz = 'UTC'", "BP105", "closes"),
    ("[send.window]\ndays = ['sat']\nfrom = '01:00'\nto = «'01:00'»\ntz = 'UTC'", "BP105", "closes"),
    ("[send.window]\ndays = ['sat']\nfrom = '01:00'\nto = '02:00'\ntz = «'Mars/Base'»", "BP105", "Europe/Berlin"),
    ("[send.window]\ndays = ['sat']\nfrom = '01:00'\nto = '02:00'\ntz = «'../../etc/passwd'»", "BP105", "zone"),
    ("[[wave]]\nsize = «0»", "BP105", "rest"),
    ("[[wave]]\nsize = «'0%'»", "BP105", "rest"),
    ("[[wave]]\nsize = «'101%'»", "BP105", "rest"),
    ("[[wave]]\nsize = «1.5»", "BP105", "rest"),
    ("[[wave]]\nsize = 1\nname = «''»", "BP105", ""),
    ("[[wave]]\nsize = 1\nwhere = «5»", "BP105", "SQL"),
    ("[[wave]]\nsize = 1\nby = «[]»", "BP105", "label"),
    ("[[wave]]\nsize = 1\norder = «'reverse'»", "BP105", "random"),
    ("[[wave]]\nsize = 1\ngate = «'none'»", "BP105", "next wave"),
    ("[[wave]]\nsize = 1\ngate = { failed = «'many'» }", "BP113", "max_failed"),
    ("[[wave]]\nsize = 1\ngate = { soak = «'8d'» }", "BP114", "30s"),
    ("[[wave]]\nsize = 1\ngate = { soak = «'169h'» }", "BP114", "30s"),
    ("[[wave]]\nsize = 1\ngate = { approve = «'yes'» }", "BP105", "approve"),
    ("[[wave]]\nsize = 1\ngate = { transfers = «0.95» }", "BP105", "95%"),
    ("[[wave]]\nsize = 1\ngate = { transfers = «'950'» }", "BP105", "95%"),
    ("[[wave]]\nsize = 1\ngate = { window = «'2 hours'» }", "BP114", "1h"),
    ("[[wave]]\nsize = 1\ngate = { start_transfers = «-1» }", "BP105", "0: none"),
    ("[[wave]]\nsize = 1\ngate = { start_transfers = «'7'» }", "BP105", "0: none"),
    ("[[wave]]\nsize = «'rest'»\n[[wave]]\nsize = 2", "BP105", "rest"),
    ("[[wave]]\nsize = 2\n[[wave]]\nsize = 'rest'\ngate = «{ approve = true }»", "BP105", "next wave"),
    ("[[wave]]\nname = 'a'\nsize = 1\n[[wave]]\nname = «'a'»\nsize = 2", "BP105", "Name"),
    ("wave = «5»", "BP105", "two pairs of brackets"),
    ("[«wave»]\nsize = 3", "BP105", "two pairs of brackets"),
    ("[guard]\nmax_failed = «1.5»", "BP113", "max_failed"),
    ("[guard]\nmax_failed = «true»", "BP113", "max_failed"),
    ("[guard]\nmax_failed = «-1»", "BP113", "max_failed"),
    ("[guard]\nmax_failed = «'101%'»", "BP113", "max_failed"),
    ("[guard]\nmax_failed = «9007199254740993»", "BP113", "max_failed"),
    ("[guard]\nmin_tried = «-1»", "BP105", "share"),
    ("[guard]\nmin_tried = «9007199254740993»", "BP105", "share"),
    ("[verify]\nconnection_test = «'always'»", "BP105", "before"),
    ("[verify]\ndeadline = «'0s'»", "BP105", "5m"),
    ("[verify]\ncredential_failures = «0»", "BP105", "one passed"),
    ("[verify]\ndeadline = «5»", "BP114", "5m"),
    ("[verify]\npoll = «'1ms'»", "BP105", "100ms"),
    ("[verify]\npoll = «'11m'»", "BP105", "10m"),
    ("[limits.per_recipient]\nin_flight = «0»", "BP105", "one recipient"),
    ("[limits.per_recipient]\nin_flight = «1001»", "BP105", "one recipient"),
    ("[limits.per_recipient]\nunverified = «0»", "BP105", "one recipient"),
    ("[limits.per_recipient]\nunverified = «'3'»", "BP105", "one recipient"),
    ("[limits]\nper_recipient = «3»", "BP105", "recipient"),
    ("[secrets]\nallow_short = «'no'»", "BP105", "true"),
    ("[secrets]\nexec_env = «'PATH'»", "BP105", "exec"),
    ("[secrets]\nexec_env = «['A', 'A']»", "BP105", "exec"),
]


@pytest.mark.parametrize(("text", "code", "hint"), WRONG, ids=[text.replace("\n", " ") for text, _, _ in WRONG])
def test_a_wrong_key_or_value_has_its_code_its_place_and_its_fix(
    tmp_path: Path, text: str, code: str, hint: str
) -> None:
    """Code, line, column and carets are exact, and the hint says what belongs there. One mistake is told once."""
    place = marked(SMALLEST + text + "\n")
    if text.startswith("wave"):
        place = marked(text + "\n" + SMALLEST)
    (problem,) = problems(tmp_path, place.text)
    assert (problem.code, problem.line) == (code, place.line)
    assert problem.file == str(tmp_path / "job.toml")
    if text.startswith("«["):
        assert (problem.column, carets(problem)) == (place.column + 1, (place.column + 1, place.width - 2))
    else:
        assert problem.column == place.column
        assert carets(problem)[0] == place.column
        assert 1 <= carets(problem)[1] <= place.width  # fewer where a value is hidden
        assert carets(problem)[1] == place.width or "…" in problem.frame
    assert hint in problem.hint
    assert problem.hint


@pytest.mark.parametrize(
    ("job", "code", "words"),
    [
        ('[input]\npath = "f"', "BP104", "[job]: the key is missing"),
        ('[job]\nname = "j"', "BP104", "[input]: the key is missing"),
        ("", "BP104", "[job]: the key is missing"),
        ('[job]\n[input]\npath = "f"', "BP104", "[job] name: the key is missing"),
        ('[job]\nname = "j"\n[input]\nid = "x"', "BP104", "[input] path: the key is missing"),
        ('job = "j"\n[input]\npath = "f"', "BP105", "[job]: a table belongs here"),
        ('patch = []\n[job]\nname = "j"\n[input]\npath = "f"', "BP105", "[patch]: a table belongs here"),
        ('[[expect]]\n[job]\nname = "j"\n[input]\npath = "f"', "BP105", "[expect]: a table belongs here"),
    ],
)
def test_a_table_that_is_missing_or_no_table(tmp_path: Path, job: str, code: str, words: str) -> None:
    """It is named, and what stands around it is shown where anything does."""
    found = {problem.message: problem for problem in problems(tmp_path, job)}
    assert found[words].code == code


@pytest.mark.parametrize("name", ["Upper", "-a", ".a", "", "a b", "a/b", "é", "a\\u0000", "a" * 201])
def test_what_is_no_job_name(tmp_path: Path, name: str) -> None:
    """It becomes the name of folders."""
    (problem,) = problems(tmp_path, f'[job]\nname = "{name}"\n[input]\npath = "f"\n')
    assert (problem.code, problem.line, problem.column) == ("BP116", 2, 8)


@pytest.mark.parametrize("name", ["a", "0", "a-b.c_d", "2026q4", "a" * 200])
def test_what_is_a_job_name(tmp_path: Path, name: str) -> None:
    """Lower-case letters, digits, dot, underscore, hyphen."""
    assert load(tmp_path, f'[job]\nname = "{name}"\n[input]\npath = "f"\n').name == name


INPUT_WRONG: Final = [
    ('path = «""»', "BP105"),
    ("path = «5»", "BP105"),
    ('path = «"a\\u0000b"»', "BP105"),
    ('path = "f"\nid = «""»', "BP105"),
    ('path = "f"\nwhere = «true»', "BP105"),
    ('path = "f"\nnull = «""»', "BP105"),
    ('path = "f"\nlabels = «"customer"»', "BP105"),
    ('path = "f"\nlabels = ["a", «5»]', "BP105"),
    ('path = "f"\nlabels = ["a", «""»]', "BP105"),
    ('path = "f"\nlabels = «["a", "a"]»', "BP105"),
    ('path = "f"\ninline_secrets = «"yes"»', "BP105"),
    ('path = "-"\ninline_secrets = «true»', "BP105"),
    ('path = "f"\ncolumns = «"a"»', "BP105"),
    ('path = "f"\n[input.columns]\na = «5»', "BP105"),
    ('path = "f"\n[input.columns]\na = «""»', "BP105"),
    ('path = "f"\n[input.columns]\na = «"nmae"»', "BP107"),
    ('path = "f"\n[input.columns]\na = «"postgres"»', "BP108"),
    ('path = "f"\n[input.columns]\na = "name"\nb = «"name"»', "BP108"),
    ('path = "f"\n[input.previous]\na = «"nmae"»', "BP107"),
    ('path = "f"\n[input.previous]\na = "name"\nb = «"name"»', "BP108"),
    ('path = "f"\ncolumns = { a = "name" }\nprevious = { a = «"is_enabled"» }', "BP105"),
]


@pytest.mark.parametrize(("text", "code"), INPUT_WRONG)
def test_what_is_no_input(tmp_path: Path, text: str, code: str) -> None:
    """Each key of [input], with its place."""
    place = marked(f'[job]\nname = "j"\n[input]\n{text}\n')
    found = [one for one in problems(tmp_path, place.text) if one.code == code]
    assert [(one.line, one.column) for one in found] == [(place.line, place.column)]


# ── every key there is ───────────────────────────────────────────────────────────────────────

VALUES: Final = ("5", "-1", "1.5", "nan", "true", '"x"', '""', "[1]", '["x"]', "{ x = 1 }", "1979-05-27", "07:32:00")
"""A value of each type; hardly any key takes more than one of them."""
FITS: Final = {
    "job.name": {'"x"'},
    "api.allow_unknown_fields": {"true"},
    "api.ca_file": {'"x"'},
    "input.path": {'"x"'},
    "input.id": {'"x"'},
    "input.where": {'"x"'},
    "input.null": {'"x"'},
    "input.labels": {'["x"]'},
    "input.inline_secrets": {"true"},
    "send.concurrency": {"5"},
    "send.attempts": {"5"},
    "send.transport": {'"x"'},
    "wave.size": {"5"},
    "wave.name": {'"x"'},
    "wave.where": {'"x"'},
    "wave.by": {'"x"'},
    "wave.gate.failed": {"5"},
    "wave.gate.approve": {"true"},
    "wave.gate.start_transfers": {"5"},
    "wave.gate.plugin": {'"x"'},
    "guard.max_failed": {"5"},
    "guard.min_tried": {"5"},
    "limits.per_recipient.in_flight": {"5"},
    "limits.per_recipient.unverified": {"5"},
    "verify.credential_failures": {"5"},
    "secrets.allow_short": {"true"},
    "secrets.pin_versions": {"true"},
    "secrets.exec_env": {'["x"]'},
    "report.writers": {'["x"]'},
    "hooks.on_stop": {'"x"'},
}
"""Which of these values a key takes; one that is not named takes none."""
REQUIRED: Final[Mapping[str, str]] = {
    "job": "name = 'j'\n",
    "input": "path = 'f'\n",
    "wave": "size = 1\n",
    "send.window": "days = ['sat']\nfrom = '01:00'\nto = '02:00'\ntz = 'UTC'\n",
}


def _keys(path: KeyPath = ()) -> list[tuple[str, ...]]:
    """Every key of the grammar that is no table."""
    found: list[tuple[str, ...]] = []
    for name in fields_at(path):
        below = _keys((*path, name))
        found += below or [(*map(str, path), name)]
    return found


KEYS: Final = [key for key in _keys() if key[0] not in {"patch", "expect"} and key[-1] not in {"columns", "previous"}]


def _job_with(key: tuple[str, ...], line: str) -> tuple[str, int]:
    """A job in which ``line`` stands in the table of ``key`` instead of that key's own; and the line's number."""
    table = ".".join(key[:-1])
    others = "".join(one + "\n" for one in REQUIRED.get(table, "").splitlines() if not one.startswith(key[-1] + " "))
    header = f"[[{table}]]" if table == "wave" else f"[{table}]"
    above = "[[wave]]\nsize = 1\n" if table == "wave.gate" else ""
    needed = "".join(f"[{one}]\n{REQUIRED[one]}" for one in ("job", "input") if one != table)
    before = f"{needed}{above}{header}\n{others}"
    return f"{before}{line}\n", before.count("\n") + 1


@pytest.mark.parametrize("key", KEYS, ids=".".join)
def test_no_key_takes_a_value_of_another_type(tmp_path: Path, key: tuple[str, ...]) -> None:
    """Every key of the grammar against a value of every type: taken as listed, else refused at its place."""
    taken = set()
    for value in VALUES:
        text, line = _job_with(key, f"{key[-1]} = {value}")
        try:
            load(tmp_path, text)
        except InvalidInput as refused:
            (problem,) = refused.problems
            assert problem.line == line
            assert problem.column in {len(key[-1]) + 4, len(key[-1]) + 5}, value  # 5: the item of a list
            assert problem.code in CODES
            assert problem.hint
        else:
            taken.add(value)
    assert taken == FITS.get(".".join(key), set())


@pytest.mark.parametrize("key", KEYS, ids=".".join)
def test_every_key_is_suggested_for_a_slip_of_it(tmp_path: Path, key: tuple[str, ...]) -> None:
    """The key itself, not a like one."""
    text, line = _job_with(key, f"{key[-1]}x = 1")
    found = [problem for problem in problems(tmp_path, text) if problem.code == "BP103"]
    assert [(one.line, one.column, one.hint) for one in found] == [(line, 1, f"Did you mean {key[-1]}?")]


def test_every_key_is_described() -> None:
    """An editor shows it, and so does a hint."""
    for key in KEYS:
        assert fields_at(key[:-1])[key[-1]].description, key
    assert set(SETTINGS) <= set(fields_at(()))
    assert JobFile.__doc__


# ── all at once ──────────────────────────────────────────────────────────────────────────────


def test_all_errors_of_a_file_are_told_at_once_in_the_order_of_its_lines(tmp_path: Path) -> None:
    """Grammar, [patch], [expect], [input.columns] and what contradicts: none waits for another to be mended."""
    job = """wavee = 1
[job]
name = "Not A Name"
[input]
path = "-"
inline_secrets = true
labels = ["a", "a"]
[input.columns]
a = "nope.nope"
b = "mysql.host"
[patch]
is_enabled = "yes"
postgres.hots = "h"
postgres.port = 1
postgres.password_auth.password = "hunter2"
[expect]
vendor = 5
postgres.password_auth.password = "x"
[send]
rate = "fast"
window = { days = ["sat"], from = "01:00", to = "01:00", tz = "UTC" }
[[wave]]
size = "rest"
[[wave]]
size = -1
[guard]
max_failed = "2"
min_tried = "many"
"""
    assert codes(problems(tmp_path, job)) == [
        ("BP103", 1),
        ("BP116", 3),
        ("BP105", 6),
        ("BP105", 7),
        ("BP107", 9),
        ("BP109", 10),
        ("BP108", 12),
        ("BP107", 13),
        ("BP110", 15),
        ("BP108", 17),
        ("BP108", 18),
        ("BP106", 20),
        ("BP105", 21),
        ("BP105", 23),
        ("BP105", 25),
        ("BP113", 27),
        ("BP105", 28),
    ]


def test_many_errors_are_counted_beyond_a_thousand(tmp_path: Path) -> None:
    """A file that was made by a program gone wrong ends, too."""
    lines = "".join(f"k{number} = 1\n" for number in range(1_500))
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, SMALLEST + "[send]\n" + lines)
    assert len(caught.value.problems) == 1_000
    assert caught.value.omitted == 500


def test_a_message_is_one_line_whatever_the_keys_are(tmp_path: Path) -> None:
    """A key may hold line breaks and control characters; what is shown does not."""
    for problem in problems(tmp_path, SMALLEST + '"a\\n\\u001b[31mb" = 1\n[send]\n"\\r\\nrate" = 2\n'):
        assert problem.message.isprintable()
        assert all(character.isprintable() or character == "\n" for character in everything(problem))
