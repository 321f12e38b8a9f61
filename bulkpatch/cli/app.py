"""The table of commands. Each lives in a module that is imported only when it is called."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from bulkpatch import __version__

if TYPE_CHECKING:
    from cyclopts import App

ABOUT = "Bulk fleet updates for the Prequel Export API: planned, rate-limited, resumable, reported row by row."
_PLAN = "Plan"
_SEND = "Send"
_STEER = "Steer"
_LOOK = "Look"
_LEARN = "Learn and set up"

_COMMANDS = (
    ("check", "planning:check", _PLAN, "Parse a job and every row; report all errors at once."),
    ("plan", "planning:plan", _PLAN, "Show what a job would change in the live fleet. Writes nothing."),
    ("run", "sending:run", _SEND, "Plan a job, then send it."),
    ("resume", "sending:resume", _SEND, "Go on where a run stopped, for whatever reason."),
    ("retry", "sending:retry", _SEND, "Send the failed rows of a run again, as a new run."),
    ("reconcile", "undoing:reconcile", _SEND, "Ask the API about unknown rows; settle what can be settled."),
    ("reverse", "undoing:reverse", _SEND, "Write the job and input that undo a run."),
    ("status", "looking:status", _LOOK, "Where a run stands, live or after a crash."),
    ("pause", "steering:pause", _STEER, "Begin nothing more for now in a live run."),
    ("continue", "steering:go_on", _STEER, "Go on after a pause."),
    ("approve", "steering:approve", _STEER, "Let the next wave begin."),
    ("throttle", "steering:throttle", _STEER, "Change the rate of a live run, or ask for it (?)."),
    ("abort", "steering:abort", _STEER, "Stop a live run; it can be resumed."),
    ("runs", "looking:runs", _LOOK, "Every run in the report folder."),
    ("report", "looking:report", _LOOK, "The outcomes of a run, grouped as you like."),
    ("explain", "looking:explain", _LOOK, "What an error code means, or one row's whole story."),
    ("schema", "learning:schema", _LEARN, "The API's fields, their types, and which are secret."),
    ("init", "starting:init", _LEARN, "Write a job and a sample input to start from."),
    ("config", "learning:config", _LEARN, "Every setting in force, and where it comes from."),
    ("doctor", "diagnosing:doctor", _LEARN, "Look at machine, settings and the way to the API, before a run does."),
    ("completion", "completing:completion", _LEARN, "Print what lets bash, zsh or fish complete commands and run ids."),
    ("sim", "simulating:sim", _LEARN, "Serve a simulated API on this machine."),
    ("demo", "simulating:demo", _LEARN, "A fleet update with faults, a kill and a resume, on the simulator."),
)

COMMANDS = tuple(name for name, *_ in _COMMANDS)


def build() -> App:
    """The command line, with nothing behind it imported yet."""
    from cyclopts import App  # noqa: PLC0415  (a tenth of a second, for those who call a command)

    app = App(
        name="bulkpatch",
        help=ABOUT,
        version=__version__,
        help_format="plaintext",
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for name, target, group, words in _COMMANDS:
        app.command(f"bulkpatch.cli.commands.{target}", name=name, help=words, group=group)
    return app


_ELSEWHERE = {
    **dict.fromkeys(("undo", "rollback", "revert"), "reverse"),
    **dict.fromkeys(("stop", "cancel", "kill"), "abort"),
    **dict.fromkeys(("list", "ls", "history"), "runs"),
    **dict.fromkeys(("validate", "lint"), "check"),
    **dict.fromkeys(("apply", "send", "patch"), "run"),
    "diff": "plan",
}
"""What other tools call our commands."""


def nearest(word: str) -> str:
    """The command that ``word`` may have meant, by what others call it or by its letters; or nothing."""
    return _ELSEWHERE.get(word) or next(iter(get_close_matches(word, COMMANDS, n=1, cutoff=0.5)), "")


def help_text() -> str:
    """The help of the whole program, from the table alone, so that it comes at once."""
    lines = ["Usage: bulkpatch COMMAND [ARGUMENTS]", "", ABOUT]
    for group in (_PLAN, _SEND, _STEER, _LOOK, _LEARN):
        lines += ["", f"{group}:"]
        lines += [f"  {name:<10}  {words}" for name, _, among, words in _COMMANDS if among == group]
    return "\n".join([*lines, "", "bulkpatch COMMAND --help shows the options of a command."])
