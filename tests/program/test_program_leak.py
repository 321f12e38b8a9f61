"""A secret that lies in a run's folder, however it came there, ends the run with 70."""

from __future__ import annotations

import pytest
from program_rig import KEY, Bench, fleet_of, serving, until_asked


@pytest.mark.proves("G7")
def test_a_folder_that_holds_a_secret_ends_the_run_with_70(bench: Bench) -> None:
    """It is found in hex, in a file that nobody knows, and named without being shown."""
    fleet = fleet_of(30)
    with serving(fleet) as server:
        child = bench.start("run", bench.renaming(fleet, server.url, rate="20/s"), "--yes")
        until_asked(fleet, 2, child)
        (bench.latest / "stray").write_text(f"seen: {KEY.encode().hex()}\n")
        ended = child.wait()
    assert ended.code == 70
    assert "BP902" in ended.err
    assert "stray holds the secret behind env:PREQUEL_API_KEY" in ended.err
    assert KEY not in ended.out + ended.err
