"""The table of commands. Each lives in a module that is imported only when it is called."""

from __future__ import annotations

from cyclopts import App, Group

from bulkpatch import __version__

_PLAN = Group("Plan", sort_key=1)
_SEND = Group("Send", sort_key=2)
_LOOK = Group("Look", sort_key=3)
_LEARN = Group("Learn and set up", sort_key=4)

_COMMANDS = (
    ("check", "planning:check", _PLAN, "Parse a job and every row; report all errors at once."),
    ("plan", "planning:plan", _PLAN, "Show what a job would do: bodies, cost, limits. Sends nothing."),
    ("run", "sending:run", _SEND, "Plan a job, then send it."),
    ("resume", "sending:resume", _SEND, "Go on where a run stopped, for whatever reason."),
    ("retry", "sending:retry", _SEND, "Send the failed rows of a run again, as a new run."),
    ("status", "looking:status", _LOOK, "Where a run stands, live or after a crash."),
    ("runs", "looking:runs", _LOOK, "Every run in the report folder."),
    ("report", "looking:report", _LOOK, "The outcomes of a run, grouped as you like."),
    ("explain", "looking:explain", _LOOK, "What an error code means, or one row's whole story."),
    ("schema", "learning:schema", _LEARN, "The API's fields, their types, and which are secret."),
    ("init", "learning:init", _LEARN, "Write a job and a sample input to start from."),
    ("config", "learning:config", _LEARN, "Every setting in force, and where it comes from."),
    ("sim", "simulating:sim", _LEARN, "Serve a simulated API on this machine."),
    ("demo", "simulating:demo", _LEARN, "A fleet update with faults, a kill and a resume, on the simulator."),
)

COMMANDS = tuple(name for name, *_ in _COMMANDS)


def build() -> App:
    """The command line, with nothing behind it imported yet."""
    app = App(
        name="bulkpatch",
        help="Bulk fleet updates for the Prequel Export API: planned, rate-limited, resumable, reported row by row.",
        version=__version__,
        exit_on_error=False,
        print_error=False,
        result_action="return_value",
    )
    for name, target, group, words in _COMMANDS:
        app.command(f"bulkpatch.cli.commands.{target}", name=name, help=words, group=group)
    return app
