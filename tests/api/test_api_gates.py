"""A plugin's gate is told counts, answers within its time or not at all, and says nothing that is secret."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from bulkpatch.api.gates import PluginGates
from bulkpatch.core.waves import WaveKeeper, WaveState
from bulkpatch.model import Gate, GateVerdict, RowState, RunHeader, Secret
from bulkpatch.plugins import PluginFailed, found
from bulkpatch.secrets.redaction import LiveRedactor

SECRET = "correct-horse-battery"
HEADER = RunHeader(
    run_id="rename-1",
    job_name="rename",
    job_path="",
    job_sha256="",
    inputs=(),
    input_sha256="",
    base_url="",
    tool_version="",
    created_at_us=0,
)
SOURCE = f"""
import threading
from bulkpatch import GateVerdict

HELD, TOLD = threading.Event(), []

def yes(counts):
    TOLD.append((counts, threading.current_thread()))
    return GateVerdict(passes=True, reason="{SECRET} is the word\\n" + "x" * 999)
def slow(_): HELD.wait(60)
def truth(_): return True
def maybe(_): return GateVerdict(passes=1)
def fails(_): raise RuntimeError("{SECRET}")
"""


@pytest.fixture
def gates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PluginGates]:
    """The gates of a package, asked for half a second at most."""
    (tmp_path / "gatehouse.py").write_text(SOURCE)
    folder = tmp_path / "gatehouse-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: gatehouse\nVersion: 1.0\n")
    names = ("yes", "slow", "truth", "maybe", "fails")
    (folder / "entry_points.txt").write_text("[bulkpatch.gates]\n" + "".join(f"{n} = gatehouse:{n}\n" for n in names))
    monkeypatch.syspath_prepend(str(tmp_path))
    found.cache_clear()
    redactor = LiveRedactor()
    redactor.add(Secret(SECRET, reference="env:TEST"))
    yield PluginGates(HEADER, redactor, limit_s=0.5)
    found.cache_clear()
    if (module := sys.modules.pop("gatehouse", None)) is not None:
        module.HELD.set()


def asked(gates: PluginGates, name: str) -> GateVerdict:
    """What the gate ``name`` says of a wave of three, of which one failed."""
    keeper = WaveKeeper(WaveState(number=2, rows=3, name="canary", gate=Gate(plugin=name), tried=3, failed=1))
    return asyncio.run(gates(keeper, {RowState.ACCEPTED: 7, RowState.REJECTED: 1, RowState.NOOP: 0}))


def test_a_gate_is_told_frozen_counts_off_the_loop(gates: PluginGates) -> None:
    assert asked(gates, "yes").passes
    ((counts, thread),) = sys.modules["gatehouse"].TOLD
    assert (counts.run_id, counts.job_name, counts.wave, counts.name) == ("rename-1", "rename", 2, "canary")
    assert (counts.rows, counts.tried, counts.failed, dict(counts.states)) == (3, 3, 1, {"accepted": 7, "rejected": 1})
    assert thread.name == "plugin-yes"
    with pytest.raises(FrozenInstanceError):
        counts.failed = 0
    with pytest.raises(TypeError):
        counts.states["accepted"] = 8


def test_its_reason_is_one_line_without_a_secret(gates: PluginGates) -> None:
    reason = asked(gates, "yes").reason
    assert SECRET not in reason
    assert "\n" not in reason
    assert len(reason) <= 300


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("slow", "it did not answer within 0.5 s"),
        ("truth", "a bool is no verdict"),
        ("maybe", "a GateVerdict is no verdict"),
        ("fails", "RuntimeError"),
    ],
)
def test_whatever_is_no_verdict_is_the_plugins_failure(gates: PluginGates, name: str, words: str) -> None:
    with pytest.raises(PluginFailed) as failed:
        asked(gates, name)
    assert str(failed.value) == words
