"""A run's folder is its owner's alone, and leads nowhere: modes, links in the place of files, open parents."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from program_rig import KEY, Bench, check_renamed, fleet_of, serving, until_asked, writes

REWRITTEN = ("run.json", "outcomes.parquet", "models.parquet", "failures.csv", "summary.md")
"""Files that a resume writes anew."""
WORKED_ON = ("ledger.sqlite", "run.lock", "log.jsonl", "control.sock")
"""Files that a resume opens."""


def modes(folder: Path) -> dict[str, int]:
    """The mode of everything in ``folder``, and of itself."""
    found = {".": stat.S_IMODE(folder.lstat().st_mode)}
    return found | {path.name: stat.S_IMODE(path.lstat().st_mode) for path in folder.iterdir()}


@pytest.mark.proves("G7")
def test_nobody_else_may_look_in_while_a_run_works_and_after(bench: Bench) -> None:
    """With a umask that forbids nothing: the folder 0700, its files and the socket 0600."""
    fleet = fleet_of(12)
    with serving(fleet) as server:
        child = bench.start("run", bench.renaming(fleet, server.url, rate="4/s"), "--yes", umask=0)
        until_asked(fleet, 1, child)
        under_way = modes(bench.latest)
        assert child.wait().code == 0
    assert {"control.sock", "run.lock", "ledger.sqlite", "ledger.sqlite-wal", "log.jsonl"} <= set(under_way)
    for found in (under_way, modes(bench.latest)):
        assert found.pop(".") == 0o700
        assert set(found.values()) == {0o600}, found


@pytest.mark.parametrize(("mode", "code"), [(0o777, 2), (0o1777, 0)])
def test_a_report_folder_that_others_may_change_is_refused(bench: Bench, mode: int, code: int) -> None:
    """They could put another folder in a run's place; where only owners may rename, they could not."""
    fleet = fleet_of(2)
    bench.reports.mkdir()
    bench.reports.chmod(mode)
    with serving(fleet) as server:
        ended = bench.run("run", bench.renaming(fleet, server.url), "--yes")
    assert ended.code == code, ended.err
    assert len(writes(fleet)) == (0 if code else 2)


def check_links(bench: Bench, names: Sequence[str], codes: set[int]) -> int:
    """A stopped run with links in the place of ``names`` is resumed: where they lead, nothing is touched."""
    fleet = fleet_of(3)
    victims = {bench.write(f"precious-{name}", f"precious {name}", mode=0o644) for name in names}
    with serving(fleet) as server:
        job = bench.renaming(fleet, server.url)
        assert bench.run("run", job, "--yes", environ={"PREQUEL_API_KEY": KEY + "x"}).code == 4
        for name in names:
            (bench.latest / name).unlink(missing_ok=True)
            (bench.latest / name).symlink_to(bench.folder / f"precious-{name}")
        ended = bench.run("resume", bench.runs[-1], "--yes")
    assert ended.code in codes, ended.err
    assert "Traceback" not in ended.err
    for victim in victims:
        assert victim.read_text() == f"precious {victim.name.removeprefix('precious-')}"
        assert stat.S_IMODE(victim.stat().st_mode) == 0o644
    if ended.code == 0:
        check_renamed(fleet)
        assert not [path for path in bench.latest.iterdir() if path.is_symlink()]
    else:
        assert not writes(fleet)[1:], "the first was the refused one"
    return ended.code


def test_links_in_the_place_of_reports_are_replaced(bench: Bench) -> None:
    """The resume succeeds, and writes its own files."""
    check_links(bench, REWRITTEN, {0})


@pytest.mark.long
@pytest.mark.parametrize("name", WORKED_ON)
def test_a_link_in_the_place_of_what_is_worked_on_is_refused(bench: Bench, name: str) -> None:
    """The resume does not begin."""
    check_links(bench, (name,), {2, 6, 8})
