"""Break the product on purpose, one mutant at a time, and see the tests that prove its guarantees fail.

``make mutants``, or ``python tests/mutants/run.py [--workers N] [ID or GUARANTEE …]``. Exit 1 if one survives.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from mutants_rig import ROOT, Mutant, catalogue

DEADLINE_S = 300.0
"""Seconds for the tests of one mutant, many times what the slowest takes on a busy machine."""
UNBROKEN_S = 1800.0
"""Seconds for all of them on the product as it is."""
LEFT_OUT = (".*", "*.egg-info")
ASSERTED = re.compile(r"AssertionError|assert |Failed: DID NOT (RAISE|WARN)")
"""How a test says that its claim does not hold; what fails to be imported or collected says nothing."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What came of some tests: those that failed by an assertion, and everything else that went wrong."""

    failed: frozenset[str]
    trouble: tuple[str, ...]
    seconds: float

    def verdict(self, mutant: Mutant) -> str:
        """Empty if ``mutant`` was killed by every test that is named, else why not."""
        alive = [killer for killer in mutant.killers if killer not in self.failed]
        return "; ".join([*self.trouble, *(f"survived {one}" for one in alive)])


class Copy:
    """The tree in a folder of its own, with a Python that finds this copy of the package and nothing of the original.

    The programs that tests start are children of that Python, so they run the copy whatever their environment is.
    """

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        shutil.copytree(ROOT, self.tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
        venv.create(folder / "venv", symlinks=True)
        self.python = folder / "venv" / "bin" / "python"
        packages = sysconfig.get_path("purelib", vars={"base": str(folder / "venv")})
        found_in = [self.tree, self.tree / "tests" / "mutants", sysconfig.get_path("purelib")]
        Path(packages, "copy.pth").write_text("\n".join(map(str, found_in)), "utf-8")
        where = [str(self.python), "-c", "import bulkpatch; print(bulkpatch.__file__)"]
        found = subprocess.run(where, cwd=folder, env={}, capture_output=True, text=True, check=True).stdout
        assert Path(found.strip()).is_relative_to(self.tree), found

    def change(self, mutant: Mutant) -> None:
        """Put the break in."""
        source = mutant.applied(self.tree)
        shutil.rmtree((self.tree / mutant.file).parent / "__pycache__", ignore_errors=True)
        (self.tree / mutant.file).write_text(source, "utf-8")

    def test(self, tests: Sequence[str], *options: str, deadline_s: float) -> Ran:
        """Run ``tests`` to their end, or for ``deadline_s``."""
        told = self.tree / "told.xml"
        wanted = [f"tests/{one}" for one in tests]
        plugins = ["-p", "no:cacheprovider", "-p", "no_shrinking", "-o", "junit_family=xunit1"]
        command = [str(self.python), "-m", "pytest", "-q", *plugins, f"--junitxml={told}", *options]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        began_s = time.monotonic()
        with subprocess.Popen(
            [*command, *wanted],
            cwd=self.tree,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as child:
            try:
                said, _ = child.communicate(timeout=deadline_s)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                return Ran(failed=frozenset(), trouble=("no end in time",), seconds=deadline_s)
        seconds = time.monotonic() - began_s
        if not told.exists():
            return Ran(failed=frozenset(), trouble=(said[-500:],), seconds=seconds)
        return _ran(ET.parse(told).getroot(), seconds)  # noqa: S314  (pytest's own, of this moment)


def _ran(told: ET.Element, seconds: float) -> Ran:
    failed, trouble = set[str](), []
    for case in told.iter("testcase"):
        name = f"{case.get('classname', '').removeprefix('tests.').replace('.', '/')}.py::{case.get('name', '')}"
        for child in case:
            message = child.get("message", "")
            if child.tag == "failure" and ASSERTED.match(message):
                failed.add(name.partition("[")[0])
            elif child.tag in {"failure", "error", "skipped"}:
                trouble.append(f"{child.tag} in {name}: {message[:200]}")
    return Ran(failed=frozenset(failed), trouble=tuple(trouble), seconds=seconds)


def unbroken(killers: Sequence[str], workers: int) -> Ran:
    """All ``killers`` on a copy of the product as it is."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        return Copy(Path(folder)).test(killers, "-n", str(workers), deadline_s=UNBROKEN_S)


def broken(mutant: Mutant) -> Ran:
    """The killers of ``mutant`` on a copy with it."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Copy(Path(folder))
        copy.change(mutant)
        return copy.test(mutant.killers, deadline_s=DEADLINE_S)


def say(*lines: str) -> None:
    """Lines of the result, at once."""
    print(*lines, sep="\n", flush=True)  # noqa: T201  (its result)


def main() -> int:
    """See that the killers pass, then that each of them fails on its mutant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chosen", nargs="*", metavar="ID", help="mutants or guarantees; all without")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    known = catalogue()
    if unknown := set(asked.chosen) - {name for one in known for name in (one.id, one.guarantee)}:
        parser.error(f"no mutant and no guarantee: {', '.join(sorted(unknown))}")
    mutants = [one for one in known if not asked.chosen or {one.id, one.guarantee} & set(asked.chosen)]
    began_s = time.monotonic()
    killers = sorted({killer for mutant in mutants for killer in mutant.killers})
    whole = unbroken(killers, asked.workers)
    if whole.failed or whole.trouble:
        say("unbroken, these do not pass:", *sorted(whole.failed), *whole.trouble)
        return 1
    say(f"unbroken: {len(killers)} tests pass in {whole.seconds:.0f} s", "")
    alive = 0
    with ThreadPoolExecutor(asked.workers) as pool:
        for mutant, ran in zip(mutants, pool.map(broken, mutants), strict=True):
            why = ran.verdict(mutant)
            alive += bool(why)
            by = ", ".join(killer.partition("::")[2] for killer in mutant.killers)
            say(f"{mutant.guarantee:6} {mutant.id:32} {ran.seconds:5.1f} s  {why or by}")
    say("", f"{len(mutants) - alive} of {len(mutants)} mutants killed in {time.monotonic() - began_s:.0f} s")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
