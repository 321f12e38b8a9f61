"""``init``: a job of one's own, by questions or flags."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import Parameter

from bulkpatch.cli.questions import (
    Asker,
    Question,
    a_canary,
    a_name,
    a_rate,
    a_reference,
    a_secret_field,
    a_text,
    one_of,
)
from bulkpatch.cli.settings import CLOCK
from bulkpatch.cli.speaking import say
from bulkpatch.cli.starters import API, NAMES, SAMPLES, SCHEMA, Answers, job_text, sample_text, variables
from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.prequel.requests import check_base_url

Tested = Literal["off", "before", "after", "both"]
SIM_DESTINATIONS: Final = 100
SIM_SEED: Final = 1
"""The fleet of ``bulkpatch sim``: the sample names destinations of it, so that a new job has something to meet."""

_QUESTIONS: Final = (
    Question("field", "Which secret field? A vendor means its first.", "postgres", a_secret_field, "rotate"),
    Question(
        "secret", "Where are the secrets? {column} is filled from the row.", "env:PW_{customer}", a_reference, "rotate"
    ),
    Question(
        "verify",
        "Test each connection: off, before, after or both?",
        "both",
        one_of("off", "before", "after", "both"),
        "rotate",
    ),
    Question(
        "machine-type", "Which machine type, by its id?", "3c90c3cc-0d44-4b50-8888-8dd25736052a", a_text, "migrate"
    ),
    Question("to", "Switch them on or off?", "off", one_of("on", "off"), "toggle"),
    Question("rate", "How fast, per s, min or h?", "5/s", a_rate),
    Question("canary", "How many first, as a canary (0: no waves)?", "1", a_canary),
    Question("base-url", "Where is the API?", API, check_base_url),
)


def init(  # noqa: PLR0913  (each question has its flag)
    kind: Literal["rotate", "migrate", "toggle"] | None = None,
    *,
    name: Annotated[str | None, Parameter(help="The job's name.")] = None,
    folder: Annotated[Path, Parameter(help="Where the files go.")] = Path("jobs"),
    field: Annotated[str | None, Parameter(help="rotate: the secret field, or a vendor for its first one.")] = None,
    secret: Annotated[str | None, Parameter(help='rotate: where the secrets are: "env:PW_{customer}".')] = None,
    verify: Annotated[Tested | None, Parameter(help="rotate: when each connection is tested.")] = None,
    machine_type: Annotated[str | None, Parameter(help="migrate: the machine type's id.")] = None,
    to: Annotated[Literal["on", "off"] | None, Parameter(help="toggle: what they are switched to.")] = None,
    rate: Annotated[str | None, Parameter(help='Requests per second, minute or hour: "5/s".')] = None,
    canary: Annotated[str | None, Parameter(help="Destinations of a first wave; 0: no waves.")] = None,
    base_url: Annotated[str | None, Parameter(help="Address of the API.")] = None,
    yes: Annotated[
        bool, Parameter(alias="-y", negative="", help="Ask nothing: defaults for what has no flag.")
    ] = False,
) -> int:
    """Write a job and a sample input to start from, and the schema by which editors complete the job's keys.

    On a terminal it asks for what was not given. No job and no input is overwritten.

    Parameters
    ----------
    kind
        rotate (credentials), migrate (machine types) or toggle (switch on and off).
    """
    given: dict[str, str | None] = {
        "field": field,
        "secret": secret,
        "verify": verify,
        "machine-type": machine_type,
        "to": to,
    }
    given |= {"rate": rate, "canary": canary, "base-url": base_url}
    asker = Asker(silent=yes)
    purpose = Question("kind", "What is it for: rotate, migrate or toggle?", "rotate", one_of(*NAMES))
    chosen = asker.settle(purpose, kind)
    called = Question("name", "What is the job called?", NAMES[chosen], a_name(folder))
    answers = {"name": asker.settle(called, name)}
    for question in _QUESTIONS:
        if question.only in {"", chosen}:
            answers[question.flag.replace("-", "_")] = asker.settle(question, given[question.flag])
        elif given[question.flag] is not None:
            words = f"--{question.flag} is for {question.only}, not for {chosen}"
            raise InvalidInput([Problem(code="BP120", message=words, hint="Leave it out.")])
    return _write(Answers(kind=chosen, **answers), folder)


def _write(told: Answers, folder: Path) -> int:
    job, ids = folder / f"{told.name}.toml", _sample_ids(told)
    files: Mapping[Path, str] = {
        job: job_text(told),
        folder / f"{told.name}.csv": sample_text(told, ids),
        folder / SCHEMA: resources.files("bulkpatch.job").joinpath(SCHEMA).read_text("utf-8"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        if path.name == SCHEMA:  # the same for every job of the folder, and this version's
            path.write_text(text, encoding="utf-8")
        else:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        say(f"wrote {path}")
    say(f"next: bulkpatch check {job}")
    needed = variables(told, ids)
    said = f"set {', '.join(needed)}, and " if needed else ""
    say(f"then: {said}bulkpatch run {job} --simulate")
    return 0


def _sample_ids(told: Answers) -> list[str]:
    """Destinations that ``bulkpatch sim`` has, of the vendor that the job is for."""
    from bulkpatch.simulator.state import Fleet  # noqa: PLC0415  (only where a sample is written)

    fleet = Fleet.synthetic(SIM_DESTINATIONS, SIM_SEED, clock=CLOCK)
    vendor = told.field.partition(".")[0]
    held = fleet.snapshot()
    fits = [one for one in fleet.ids if not vendor or held[one]["destination"]["vendor"] == vendor]
    return (fits or list(fleet.ids))[: len(SAMPLES)]
