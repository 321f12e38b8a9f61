"""How a process's part in a run is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from api_rig import Bench, fleet_of, serving

from bulkpatch.engine.engine import Engine
from bulkpatch.errors import ExitCode


def test_a_run_that_leaves_rows_without_a_reason_is_not_called_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should the engine ever come back early, its run says so: a fault within, with every row still to do."""

    async def comes_back_at_once(_: Engine) -> None:
        return None

    monkeypatch.setattr(Engine, "run", comes_back_at_once)
    fleet, bench = fleet_of(3), Bench(tmp_path)
    with serving(fleet) as server:
        result = bench.run([{"destination_id": one, "name": "New"} for one in fleet.ids], server.url)
    assert (result.status, result.code, result.exit_code) == ("stopped", "BP901", ExitCode.INTERNAL)
    assert "3 of its rows still open" in result.reason
    assert bench.outcomes(result)["state"].to_list() == ["not_attempted"] * 3
