"""Every row of the two matrices of the design, faults and bad inputs, has its test, or a reason why there is none.

A test is called ``test_fault_NN_…`` or ``test_row_NN_…`` by the rows that it shows; here stand those that are called
otherwise. A name that no test has any more fails, so the table cannot go stale.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FAULTS = frozenset(range(1, 57))
INPUTS = frozenset({*range(1, 87)} - {8, 12, 13, 19, 22, 31, 33, 38, 45, 48, 52, 55, 58, 61, 68, 71, 74, 79})
"""The design leaves these numbers out."""

FAULTS_ELSEWHERE = {
    30: ("test_kill_sweep", "test_every_row_is_accepted_once_over_across_kills"),
    31: ("test_the_first_signal_drains", "test_the_second_signal_quits", "test_closed_pipes_do_not_stop_the_job"),
    33: ("test_a_wall_clock_that_is_set_is_seen_within_half_a_minute",),
    34: ("test_a_full_disk_ends_the_use_and_loses_nothing",),
    35: ("test_a_full_disk_leaves_the_old_report",),
    36: ("test_every_fault_of_the_disk_has_its_code", "test_a_commit_that_cannot_be_made_is_neither_read_nor_kept"),
    37: ("test_a_report_folder_that_cannot_be_used_is_named", "test_where_others_may_write_no_run_is_kept"),
    39: ("test_kill_sweep",),
    40: ("test_what_is_no_ledger_is_refused_untouched", "test_a_truncated_ledger_is_refused_untouched"),
    41: ("test_what_is_no_ledger_is_refused_untouched",),
    42: ("test_a_newer_version_that_was_killed_is_noticed_too",),
    43: ("test_a_newer_ledger_is_refused_untouched", "test_an_older_ledger_opens_with_all_it_held"),
    44: ("test_a_path_lies_on_the_nearest_and_last_mount", "test_a_report_folder_that_cannot_be_used_is_named"),
    45: ("test_the_second_process_leaves_at_once", "test_two_resumes_at_once"),
    46: ("test_many_throttles_slow_down_once_an_event",),
    47: ("test_kill_9_frees_the_lock",),
    48: ("test_an_edited_input_is_told_row_by_row_and_refused", "test_6_for_any_edit"),
    52: ("test_a_store_that_fails_under_way", "test_any_mistake"),
    55: ("test_a_date_is_taken_against_the_answers_own_date", "test_fault_23_a_throttle_makes_its_row_wait"),
    56: ("test_a_reader_sees_the_old_file_or_the_new_one",),
}
FAULTS_WITHOUT = {
    51: "a version is recorded before it leaves and shown in the report; a run that goes on takes the newest",
    54: "HTTP/2 is not spoken; the kind REFUSED_STREAM is judged as never sent",
}
INPUTS_ELSEWHERE = {
    49: ("test_json_is_told_from_toml", "test_text_of_another_encoding_is_told_with_its_place"),
    70: ("test_values_that_go_as_they_are",),
    73: ("test_an_unknown_option_sends_nothing_and_is_named",),
    75: ("test_what_is_no_rate_is_refused", "test_a_wrong_key_or_value_has_its_code_its_place_and_its_fix"),
    76: (
        "test_a_wrong_key_or_value_has_its_code_its_place_and_its_fix",
        "test_fault_38_too_few_descriptors_are_noticed_before_anything_is_sent",
    ),
    77: ("test_every_key_is_suggested_for_a_slip_of_it",),
    78: ("test_yaml_is_told_from_toml",),
    80: ("test_where_others_may_write_no_run_is_kept", "test_a_linked_ledger_is_not_followed"),
    81: ("test_files_are_private_and_replace_links", "test_a_run_folder_is_made_once"),
    84: ("test_csv_runs_no_formula_and_keeps_negative_numbers", "test_our_columns_are_no_formulas"),
    85: ("test_hostile_text_is_only_ever_text", "test_poison_in_answers_is_text_wherever_it_is_shown"),
    86: ("test_no_secret_and_no_control_character_reaches_the_file", "test_hostile_text_stands_as_code_on_one_line"),
}
INPUTS_WITHOUT: dict[int, str] = {}

_TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
_ROWS = re.compile(r"test_(?P<matrix>row|fault)_(?P<rows>\d+(?:_and_\d+)*)_")


def names() -> frozenset[str]:
    """The names of all tests."""
    texts = (path.read_text("utf-8") for path in TESTS.rglob("test_*.py") if path != Path(__file__))
    return frozenset(chain.from_iterable(map(_TEST.findall, texts)))


def named(matrix: str) -> frozenset[int]:
    """The rows of ``matrix`` that tests are called by."""
    found = (_ROWS.match(name) for name in names())
    return frozenset(int(row) for one in found if one and one["matrix"] == matrix for row in one["rows"].split("_and_"))


@pytest.mark.parametrize(
    ("matrix", "rows", "elsewhere", "without"),
    [("fault", FAULTS, FAULTS_ELSEWHERE, FAULTS_WITHOUT), ("row", INPUTS, INPUTS_ELSEWHERE, INPUTS_WITHOUT)],
    ids=["faults", "bad inputs"],
)
def test_every_row_has_its_test_or_its_reason(
    matrix: str, rows: frozenset[int], elsewhere: Mapping[int, tuple[str, ...]], without: Mapping[int, str]
) -> None:
    """None is missing, none is made up, and every test that is referred to is there."""
    shown = named(matrix) | elsewhere.keys() | without.keys()
    assert sorted(rows - shown) == []
    assert sorted(shown - rows) == []
    assert sorted(set(chain.from_iterable(elsewhere.values())) - names()) == []
    assert all(without.values())
