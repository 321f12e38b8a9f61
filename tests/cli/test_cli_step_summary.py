"""In GitHub Actions a run's summary is appended to the step's page; what goes wrong there ends nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkpatch.cli.step_summary import VARIABLE, append_step_summary


def test_the_summary_is_appended_where_the_step_says(tmp_path: Path) -> None:
    """Behind what stands there already; as it is."""
    summary, page = tmp_path / "summary.md", tmp_path / "page.md"
    summary.write_text("# DONE: all 3 rows, größte.\n", encoding="utf-8")
    page.write_text("before\n")
    append_step_summary(summary, {VARIABLE: str(page)})
    assert page.read_text("utf-8") == "before\n# DONE: all 3 rows, größte.\n\n"


@pytest.mark.parametrize("environ", [{}, {VARIABLE: ""}], ids=["elsewhere", "empty"])
def test_elsewhere_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], environ: dict[str, str]
) -> None:
    (tmp_path / "summary.md").write_text("x")
    append_step_summary(tmp_path / "summary.md", environ)
    assert [path.name for path in tmp_path.iterdir()] == ["summary.md"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("gone", ["summary", "page"])
def test_what_cannot_be_appended_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], gone: str) -> None:
    """The run has ended, and its exit code says how."""
    summary = tmp_path / "summary.md"
    if gone != "summary":
        summary.write_text("x")
    target = tmp_path / "missing" / "page.md" if gone == "page" else tmp_path / "page.md"
    append_step_summary(summary, {VARIABLE: str(target)})
    assert "could not be appended to GITHUB_STEP_SUMMARY: No such file or directory" in capsys.readouterr().err
