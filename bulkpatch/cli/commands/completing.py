"""``completion``: a script for the shell. What Tab asks for is answered by the shell alone, without starting Python.

To work a script out takes every command's module, so it lies ready in ``cli/scripts/``: ``make reference`` writes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

Shell = Literal["bash", "zsh", "fish"]
SHELLS: Final[tuple[Shell, ...]] = ("bash", "zsh", "fish")

RUN_COMMANDS: Final = (
    "abort", "approve", "continue", "explain", "pause", "reconcile", "report", "resume", "retry", "reverse", "status",
    "throttle",
)  # fmt: skip
"""Commands whose first argument is a run."""

_FIND: Final = 'echo latest; for run in "${BULKPATCH_REPORT_DIR:-reports}"/*/ledger.sqlite; do run="${run%/*}"; '

_BASH: Final = """
_bulkpatch_or_runs() {
  local cur="${COMP_WORDS[COMP_CWORD]}"
  if [[ $COMP_CWORD -eq 2 && "$cur" != -* && " %(commands)s " == *" ${COMP_WORDS[1]} "* ]]; then
    COMPREPLY=( $(compgen -W "$(%(find)s[[ -d "$run" ]] && echo "${run##*/}"; done)" -- "$cur") )
  else
    _bulkpatch
  fi
}
complete -F _bulkpatch_or_runs bulkpatch
"""

_ZSH: Final = """
_bulkpatch_runs() {
  local -a runs
  runs=( latest "${BULKPATCH_REPORT_DIR:-reports}"/*/ledger.sqlite(N:h:t) )
  compadd -a runs
}
compdef _cyclopts_bulkpatch bulkpatch
"""

_FISH: Final = """
function __bulkpatch_runs
    echo latest
    set -q BULKPATCH_REPORT_DIR; or set -l BULKPATCH_REPORT_DIR reports
    for run in $BULKPATCH_REPORT_DIR/*/ledger.sqlite
        basename (dirname $run)
    end
end
"""
_FISH_LINE: Final = "complete -c bulkpatch -n '__fish_bulkpatch_using_command {}' -f -a '(__bulkpatch_runs)'\n"


def completion(shell: Shell) -> int:
    """Print the completion script of a shell; run ids included. To use it at once: eval "$(bulkpatch completion bash)".

    Parameters
    ----------
    shell
        bash, zsh or fish.
    """
    print(ready(shell), end="")  # noqa: T201  (nothing else of the program is imported)
    return 0


def ready(shell: Shell) -> str:
    """The script of ``shell`` as it came with the program."""
    return (Path(__file__).parents[1] / "scripts" / f"bulkpatch.{shell}").read_text(encoding="utf-8")


def work_out(shell: Shell) -> str:
    """The script of ``shell`` for the commands of this moment."""
    from bulkpatch.cli.app import build  # noqa: PLC0415  (for those who write it, not for those who print it)

    script = build().generate_completion(shell=shell)
    match shell:
        case "bash":
            return script + _BASH % {"commands": " ".join(RUN_COMMANDS), "find": _FIND}
        case "zsh":
            return script.replace("'1:A run id, a folder, or latest.'", "'1:run:_bulkpatch_runs'") + _ZSH
        case "fish":
            return script + _FISH + "".join(map(_FISH_LINE.format, RUN_COMMANDS))
