"""Run folders are private, are found again by name, and never hold half a file."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from ledger_rig import header, seeds

from bulkpatch.errors import InvalidInput, LedgerFailed
from bulkpatch.ledger.folder import list_runs, make_run_folder, mounted_at, resolve_run, write_private
from bulkpatch.ledger.lock import RunLock
from bulkpatch.ledger.opening import FILE, SEEDING, create

AT_US = 1_764_000_000_999_999


def run(report_dir: Path, name: str, file: str = FILE) -> Path:
    """A folder that passes for a run's."""
    folder = report_dir / name
    folder.mkdir(parents=True)
    (folder / file).touch()
    return folder


# ── making one ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_run_folder_and_its_files_are_private(tmp_path: Path, umask: int) -> None:
    """0700 and 0600, whatever the umask says."""
    old = os.umask(umask)
    try:
        folder = make_run_folder(tmp_path, "job", AT_US, "ab12")
        with RunLock(folder):
            ledger = create(folder, header(), seeds(1))
            write_private(folder / "run.json", b"{}")
            found = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
            ledger.close()
    finally:
        os.umask(old)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {FILE, "run.json", "run.lock"} <= set(found)
    assert set(found.values()) == {0o600}


def test_a_run_folder_is_named_for_job_and_second(tmp_path: Path) -> None:
    """In UTC, below report folders that are made as needed."""
    folder = make_run_folder(tmp_path / "a" / "b", "rotate-2026", AT_US, "ab12")
    assert folder == tmp_path / "a" / "b" / "rotate-2026-20251124T160000Z-ab12"
    assert make_run_folder(tmp_path, "j", 0, "0000").name == "j-19700101T000000Z-0000"


def test_a_run_folder_is_made_once(tmp_path: Path) -> None:
    """The same second and dice again make another name, and what is there stays."""
    first = make_run_folder(tmp_path, "job", AT_US, "ab12")
    (first / "kept").touch()
    assert make_run_folder(tmp_path, "job", AT_US, "ab12") != first
    assert (first / "kept").exists()


def test_where_others_may_write_no_run_is_kept(tmp_path: Path) -> None:
    """They could put a file of theirs in the place of ours; with the sticky bit, as /tmp has it, they could not."""
    tmp_path.chmod(0o777)
    with pytest.raises(InvalidInput, match="others may write") as refused:
        make_run_folder(tmp_path, "job", AT_US, "ab12")
    assert (refused.value.code, refused.value.exit_code) == ("BP122", 2)
    assert list(tmp_path.iterdir()) == []
    tmp_path.chmod(0o1777)
    assert make_run_folder(tmp_path, "job", AT_US, "ab12").is_dir()


def test_a_report_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(InvalidInput) as refused:
            make_run_folder(wrong, "job", AT_US, "ab12")
        assert refused.value.code == "BP122"
        assert "--report-dir" in refused.value.hint


MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:5 / /data rw shared:2 master:3 - xfs /dev/sdb rw
31 30 0:6 / /data/fleet\040reports rw - nfs4 server:/a\040b rw
32 30 0:7 / /data/back\134slash rw - cifs //server/share rw
33 22 0:8 / /over rw - ext4 /dev/sdc rw
34 33 0:9 / /over rw - nfs server:/over rw
35 22 0:10 / /under rw - nfs server:/under rw
36 35 0:11 / /under rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("/", "ext4"),
        ("/home/me", "ext4"),
        ("/data", "xfs"),
        ("/data/x/y", "xfs"),
        ("/database", "ext4"),
        ("/data/fleet reports", "nfs4"),
        ("/data/fleet reports/job-1", "nfs4"),
        ("/data/fleet", "xfs"),
        ("/data/back\\slash/x", "cifs"),
        ("/over/x", "nfs"),
        ("/under/x", "tmpfs"),
    ],
)
def test_a_path_lies_on_the_nearest_and_last_mount(target: str, kind: str) -> None:
    """Blanks in a mount's path are read, and what is mounted over another hides it."""
    assert mounted_at(MOUNTS, target) == kind


def test_where_the_system_says_nothing_nothing_is_known() -> None:
    assert mounted_at("", "/x") == ""


# ── finding one ──────────────────────────────────────────────────────────────────────────────


def test_runs_are_listed_by_time_whatever_their_job(tmp_path: Path) -> None:
    """Also one that was ended while it was seeded; what is no run is left out."""
    names = ["z-20260101T000000Z-aaaa", "b-c-20260102T000000Z-zzzz", "a-20260103T000000Z-aaaa"]
    for name in reversed(names[1:]):
        run(tmp_path, name)
    run(tmp_path, names[0], SEEDING)
    (tmp_path / "notes").mkdir()
    (tmp_path / "m-20260104T000000Z-aaaa").mkdir()
    (tmp_path / FILE).touch()
    assert [found.name for found in list_runs(tmp_path)] == names
    assert resolve_run(tmp_path, "latest").name == names[-1]


def test_where_no_report_folder_is_there_are_no_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert [list(list_runs(tmp_path / name)) for name in ("nowhere", "file")] == [[], []]
    with pytest.raises(InvalidInput) as refused:
        list_runs(tmp_path / ("x" * 300))
    assert refused.value.code == "BP122"


def test_a_run_is_found_by_id_by_its_beginning_and_by_folder(tmp_path: Path) -> None:
    """A whole id wins over a longer one that begins with it."""
    first = run(tmp_path, "job-20260101T000000Z-aaaa")
    second = run(tmp_path, "job-20260101T000000Z-aaaab")
    other = run(tmp_path, "other-20250101T000000Z-bbbb")
    assert resolve_run(tmp_path, first.name) == first
    assert resolve_run(tmp_path, second.name) == second
    assert resolve_run(tmp_path, "oth") == other
    assert resolve_run(tmp_path / "nowhere", str(other)) == other
    assert resolve_run(tmp_path, f"{other}/") == other


def test_a_beginning_that_several_runs_share_names_none(tmp_path: Path) -> None:
    for name in ("job-20260101T000000Z-aaaa", "job-20260102T000000Z-bbbb"):
        run(tmp_path, name)
    with pytest.raises(InvalidInput, match="2 runs begin with job-2026") as refused:
        resolve_run(tmp_path, "job-2026")
    assert refused.value.code == "BP123"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("rotate-20260101T000000Z-aaab", "Did you mean rotate-20260101T000000Z-aaaa?"),
        ("xyz", "List the runs with: bulkpatch runs"),
        ("x" * 5_000, "List the runs with: bulkpatch runs"),
        ("a\0b", "List the runs with: bulkpatch runs"),
    ],
    ids=["near", "far", "longer than any path", "no path"],
)
def test_a_name_that_is_no_run_is_met_with_the_nearest(tmp_path: Path, name: str, hint: str) -> None:
    run(tmp_path, "rotate-20260101T000000Z-aaaa")
    with pytest.raises(InvalidInput, match="no run") as refused:
        resolve_run(tmp_path, name)
    assert (refused.value.code, refused.value.exit_code, refused.value.hint) == ("BP123", 2, hint)


def test_without_any_run_there_is_no_latest(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no run latest"):
        resolve_run(tmp_path, "latest")


# ── writing in one ───────────────────────────────────────────────────────────────────────────


@pytest.mark.proves("G14")
def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """Never none, never half: both are longer than one write of the kernel's."""
    path = tmp_path / "run.json"
    documents = [bytes([65 + n]) * 300_000 for n in range(2)]
    write_private(path, documents[0])
    seen: set[bytes] = set()
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(40):
            write_private(path, documents[number % 2])
    finally:
        ended.set()
        reader.join()
    assert seen <= set(documents)
    assert seen
    assert [found.name for found in tmp_path.iterdir()] == ["run.json"]


FULL = """
import resource, signal, sys
from pathlib import Path
from bulkpatch.errors import BulkpatchError
from bulkpatch.ledger.folder import write_private
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    write_private(Path(sys.argv[1]), b"x" * 20_000)
except BulkpatchError as refused:
    print(refused.code)
"""


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    write_private(tmp_path / "run.json", b"old")
    command = [sys.executable, "-c", FULL, str(tmp_path / "run.json")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told == "BP607\n"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"run.json": b"old"}


def test_a_write_replaces_a_link_and_does_not_follow_it(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"kept")
    precious.chmod(0o644)
    (tmp_path / "run.json").symlink_to(precious)
    write_private(tmp_path / "run.json", b"new")
    assert (precious.read_bytes(), (tmp_path / "run.json").read_bytes()) == (b"kept", b"new")
    assert (tmp_path / "run.json").lstat().st_mode & 0o777 == 0o600


def test_a_write_into_no_folder_is_the_disks_fault(tmp_path: Path) -> None:
    with pytest.raises(LedgerFailed):
        write_private(tmp_path / "nowhere" / "run.json", b"")


def test_of_runs_that_begin_in_one_second_the_last_is_the_latest(tmp_path: Path) -> None:
    """Whatever their jobs are called and the dice say: a resume of the latest must not meet the one before."""
    made = [
        make_run_folder(tmp_path, job, AT_US, suffix) for job, suffix in (("z", "zzzz"), ("a", "aaaa"), ("m", "mmmm"))
    ]
    for folder in made:
        (folder / "ledger.sqlite").touch()
    assert list(list_runs(tmp_path)) == made
    assert resolve_run(tmp_path, "latest") == made[-1]
