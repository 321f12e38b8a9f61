"""argv and environment → settings → wiring → one call of the library → exit code."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import TextIO

from bulkpatch.cli.app import COMMANDS, build, help_text, nearest
from bulkpatch.errors import BulkpatchError, ExitCode


def main() -> None:
    """The program. Ends the process with one of the contract's exit codes."""
    _stand_in()
    code = _carried_out(sys.argv[1:])
    whole = _let_go(sys.stdout)
    _let_go(sys.stderr)
    sys.exit(code if whole else code or ExitCode.LEDGER)


def _stand_in() -> None:
    """Descriptors 0 to 2 that were closed lead nowhere: no file of ours may get their number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that has no arrow gets a question mark


def _let_go(stream: TextIO) -> bool:
    """Drop what nobody reads any more, since Python would end with a code of its own for it. False: it was lost."""
    try:
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return isinstance(error, BrokenPipeError)
    return True


def _carried_out(argv: list[str]) -> int:
    """As ``run_command``, in a process that nobody else looks into; help comes before all that costs time."""
    if (code := _at_once(argv)) is not None:
        return code
    from bulkpatch.cli.refusing import refused  # noqa: PLC0415
    from bulkpatch.secrets.hygiene import harden_process, install_excepthook  # noqa: PLC0415
    from bulkpatch.secrets.redaction import LiveRedactor  # noqa: PLC0415

    install_excepthook(sys.stderr, LiveRedactor())
    try:
        harden_process(os.environ)
    except BulkpatchError as error:
        return refused(error, argv)
    return run_command(argv)


def _at_once(argv: list[str]) -> int | None:
    """The exit code of what needs no parser: the help of the whole, a shell's script, the name of what was meant."""
    if not argv or argv[0] in {"--help", "-h"}:
        print(help_text())  # noqa: T201
        return ExitCode.DONE if argv else ExitCode.INVALID
    if argv[0] == "completion":
        from bulkpatch.cli.commands.completing import SHELLS, completion  # noqa: PLC0415

        return next((completion(shell) for shell in SHELLS if argv[1:] == [shell]), None)
    if argv[0].startswith("-") or argv[0] in COMMANDS:
        return None
    near = nearest(argv[0])
    print(f"error[BP120]: no command {argv[0]!r}", file=sys.stderr)  # noqa: T201
    print(f"  fix: {f'Did you mean {near}?' if near else 'See bulkpatch --help.'}", file=sys.stderr)  # noqa: T201
    return ExitCode.INVALID


def run_command(argv: list[str]) -> int:
    """Carry out one command line in this process; its exit code."""
    if (code := _at_once(argv)) is not None:
        return code
    from cyclopts.exceptions import CycloptsError  # noqa: PLC0415  (imported late: --help comes at once)

    from bulkpatch.cli.refusing import command_line_problem, refused  # noqa: PLC0415
    from bulkpatch.cli.speaking import tell  # noqa: PLC0415

    try:
        code = build()(argv)
    except CycloptsError as error:
        code = refused(command_line_problem(error, argv[0]), argv)
    except BulkpatchError as error:
        code = refused(error, argv)
    except KeyboardInterrupt:
        tell("", "Interrupted at once. A run that was under way is safe: bulkpatch resume latest")
        code = ExitCode.SIGINT
    except BrokenPipeError:
        code = ExitCode.DONE  # a result that nobody wants to read to its end
    return int(code or 0)
