"""The page as a user meets it: written with the run, printed on request, compared with the run before."""

from __future__ import annotations

from program_rig import Bench, fleet_of, serving

from bulkpatch.simulator.faults import FaultPlan

DOCTYPE = "<!doctype html>\n"


def test_the_page_is_written_printed_and_compared(bench: Bench) -> None:
    """`report -o html` prints what stands in the folder; a second run of the job tells of the first."""
    fleet = fleet_of(4)
    with serving(fleet, FaultPlan(rejected=frozenset(fleet.ids[:1]))) as server:
        job = bench.renaming(fleet, server.url)
        assert bench.run("run", job, "--yes").code == 1
        (first,) = bench.runs
        page = (first / "report.html").read_text("utf-8")
        printed = bench.run("report", first.name, "-o", "html")
        assert bench.run("run", job, "--yes").code == 1
    assert page.startswith(DOCTYPE)
    assert printed.out == page
    assert printed.out == (first / "report.html").read_text("utf-8")
    assert "Beside an earlier run" not in page
    (second,) = set(bench.runs) - {first}
    told = (second / "report.html").read_text("utf-8").partition("Beside an earlier run")[2]
    assert first.name in told
    grouped = bench.run("report", second.name, "--by", "state", "-o", "html")
    assert (grouped.code, grouped.out[: len(DOCTYPE)], grouped.out.count("<tr>")) == (0, DOCTYPE, 3)
