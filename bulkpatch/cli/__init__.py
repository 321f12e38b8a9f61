"""argv and environment → settings → wiring → one call of the library → exit code."""

from __future__ import annotations

import os
import sys

from bulkpatch.cli.app import COMMANDS, build, help_text, nearest
from bulkpatch.errors import BulkpatchError, ExitCode


def main() -> None:
    """The program. Ends the process with one of the contract's exit codes."""
    sys.exit(_main(sys.argv[1:]))


def _main(argv: list[str]) -> int:
    if not argv or argv[0] in {"--help", "-h"}:
        print(help_text())  # noqa: T201
        return ExitCode.DONE if argv else ExitCode.INVALID
    if not argv[0].startswith("-") and argv[0] not in COMMANDS:
        near = nearest(argv[0])
        print(f"error[BP120]: no command {argv[0]!r}", file=sys.stderr)  # noqa: T201
        print(f"  fix: {f'did you mean {near}?' if near else 'see bulkpatch --help'}", file=sys.stderr)  # noqa: T201
        return ExitCode.INVALID
    from cyclopts.exceptions import CycloptsError  # noqa: PLC0415  (imported late: --help comes at once)

    from bulkpatch.cli.speaking import refuse_command_line, refused  # noqa: PLC0415
    from bulkpatch.secrets.hygiene import harden_process, install_excepthook  # noqa: PLC0415
    from bulkpatch.secrets.redaction import LiveRedactor  # noqa: PLC0415

    install_excepthook(sys.stderr, LiveRedactor())
    try:
        harden_process(os.environ)
        code = build()(argv)
    except CycloptsError as error:
        return refuse_command_line(error)
    except BulkpatchError as error:
        return refused(error)
    except KeyboardInterrupt:
        return ExitCode.SIGINT
    except BrokenPipeError:
        sys.stdout = None  # nobody reads it any more; the run is not ended for that
        return ExitCode.DONE
    return int(code or 0)
