"""``@pytest.mark.proves("G2")`` names the guarantee that a test proves; ``--prove`` prints how often each was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from guarantees import GUARANTEES

PROVES, CASES, SAID = "proves", "cases", "said"


@dataclass(kw_only=True)
class Proof:
    """What came of the tests of one file for one guarantee."""

    tests: int = 0
    cases: int = 0
    violations: int = 0
    skipped: int = 0
    seconds: float = 0


@dataclass(kw_only=True)
class Proofs:
    """All of them, by guarantee and file."""

    found: defaultdict[tuple[str, str], Proof] = field(default_factory=lambda: defaultdict(Proof))
    said: list[str] = field(default_factory=list)

    def add(self, report: pytest.TestReport) -> None:
        """One phase of one test. A failing set-up or tear-down is a violation too: nothing was shown."""
        told = dict(report.user_properties)
        if report.when == "call" and SAID in told:
            self.said.append(f"{report.nodeid.rpartition('/')[2]}: {told[SAID]}")
        for guarantee in str(told.get(PROVES, "")).split():
            proof = self.found[guarantee, Path(report.nodeid.partition("::")[0]).name]
            proof.seconds += report.duration
            proof.violations += report.failed
            proof.skipped += report.skipped
            if report.when == "call" and report.passed:
                proof.tests += 1
                proof.cases += int(str(told.get(CASES, 1)))

    @classmethod
    def of(cls, reporter: pytest.TerminalReporter) -> Proofs:
        """What the tests that ran have shown."""
        proofs = cls()
        for report in [report for reports in reporter.stats.values() for report in reports]:
            if isinstance(report, pytest.TestReport):
                proofs.add(report)
        return proofs

    @property
    def missing(self) -> list[str]:
        """The guarantees for which no test passed."""
        return [name for name in GUARANTEES if not any(one.tests for (of, _), one in self.found.items() if of == name)]


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--prove``."""
    parser.addoption("--prove", action="store_true", help="print the guarantees and what was shown of each")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The mark travels with the report, from worker processes too."""
    for item in items:
        named = [str(name) for mark in item.iter_markers(PROVES) for name in mark.args]
        if unknown := set(named) - set(GUARANTEES):
            raise pytest.UsageError(f"{item.nodeid} proves {sorted(unknown)}, which tests/guarantees.py does not list")
        if named:
            item.user_properties.append((PROVES, " ".join(dict.fromkeys(named))))


@pytest.fixture
def cases(record_property: Callable[[str, object], None]) -> Callable[[int], None]:
    """How many cases a test went through, where it is more than one: kills, seeds, images."""
    return lambda count: record_property(CASES, count)


@pytest.fixture
def said(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Figures that a test measured and does not judge, for the end of the table."""
    return lambda figures: record_property(SAID, figures)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table, and in red the guarantees without a passing proof."""
    if not config.getoption("--prove"):
        return
    proofs = Proofs.of(terminalreporter)
    write = terminalreporter.write_line
    terminalreporter.section("guarantees")
    write(f"{'':4} {'proof':44} {'tests':>5} {'cases':>7} {'violations':>10} {'skipped':>7} {'seconds':>7}")
    for guarantee, sentence in GUARANTEES.items():
        write(f"{guarantee:4} {sentence}")
        files = sorted(file for name, file in proofs.found if name == guarantee)
        for file in files or ["none"]:
            one = proofs.found[guarantee, file] if files else Proof()
            write(
                f"     {file:44} {one.tests:5} {one.cases:7} {one.violations:10} {one.skipped:7} {one.seconds:7.1f}",
                red=one.violations > 0,
                yellow=not one.tests or one.skipped > 0,
            )
    for figures in proofs.said:
        write(figures)
    if proofs.missing:
        write(f"not proved: {', '.join(proofs.missing)}", red=True, bold=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A guarantee without a passing proof fails the whole; the worker processes have no reporter, and no say."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and session.config.getoption("--prove") and Proofs.of(reporter).missing:
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
