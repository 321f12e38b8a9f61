"""What is about to be sent is on the disk before a byte of it leaves."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from program_parrot import Answer, Asked, Parrot
from program_rig import Bench, read_ledger, renaming_job, renaming_rows

IDS = [f"id-{number:03d}" for number in range(60)]
FAILING = frozenset(IDS[::5])


@pytest.mark.proves("G1")
def test_no_request_leaves_before_its_intent(bench: Bench) -> None:
    """As fast as it can go, over an API that fails each fifth row at first: at every arrival the ledger knew of it."""
    copies: list[tuple[str, int, Path]] = []
    times: Counter[str] = Counter()

    def answer(asked: Asked) -> Answer:
        one = asked.path.rpartition("/")[2]
        times[one] += 1
        aside = bench.folder / "copies" / f"{one}-{times[one]}"
        aside.mkdir(parents=True)
        for name in ("ledger.sqlite-wal", "ledger.sqlite"):
            (aside / name).write_bytes((bench.latest / name).read_bytes())
        copies.append((one, times[one], aside))
        if times[one] == 1 and one in FAILING:
            return 503, {}, b""
        envelope = {"status": "success", "message": "", "data": {"destination": {"id": one}}}
        return 200, {}, json.dumps(envelope).encode()

    with Parrot(answer) as parrot:
        bench.write("fleet.csv", renaming_rows(IDS))
        job = bench.write("job.toml", renaming_job(parrot.url, rate="1000000/s", concurrency=16))
        ended = bench.run("run", job, "--yes")
    assert ended.code == 0, ended.err
    assert times == {one: 2 if one in FAILING else 1 for one in IDS}
    late = [(one, time) for one, time, aside in copies if read_ledger(aside).intents.get(one, 0) < time]
    assert late == []
