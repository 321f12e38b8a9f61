"""What other packages bring: found by entry points, named, versioned, refused in our words, kept from ending a run.

Looking for plugins loads none of them; one is loaded when a job names it. A plugin is code that the operator
installed: it runs in this process, and nothing here fences it in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import StrEnum
from functools import cache, partial
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_OURS: Final = __name__.partition(".")[0]


class Group(StrEnum):
    """The groups of entry points, by what their plugins do."""

    SECRETS = "bulkpatch.secrets"
    TRANSPORTS = "bulkpatch.transports"
    GATES = "bulkpatch.gates"
    WRITERS = "bulkpatch.writers"

    @property
    def noun(self) -> str:
        """What one of them is called."""
        return {"secrets": "secret store", "writers": "report writer"}.get(self.short, self.short.removesuffix("s"))

    @property
    def short(self) -> str:
        """The group without this package's name."""
        return self.rpartition(".")[2]


class PluginFailed(Exception):
    """A plugin raised, or brought something else than what it should. The text names types, never a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One entry point, not loaded yet. ``rivals`` are other packages that bring one of the same name."""

    group: Group
    name: str
    package: str
    version: str
    point: EntryPoint
    rivals: tuple[str, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether it comes with this package."""
        return self.point.module.partition(".")[0] == _OURS

    @property
    def origin(self) -> str:
        """The package with its version."""
        return f"{self.package} {self.version}"

    def __str__(self) -> str:
        return f"{self.group.noun} {self.name}: {self.origin}"

    def load(self) -> Any:
        """What the entry point names. Raises ``PluginFailed``."""
        try:
            return self.point.load()
        except ModuleNotFoundError as missing:
            raise PluginFailed(f"there is no module {missing.name}") from None
        except (Exception, SystemExit) as error:  # noqa: BLE001  (an import runs whatever another package wrote)
            raise PluginFailed(type(error).__name__) from None

    def call(self, *arguments: Any) -> Future[Any]:
        """Call what it names on a thread of its own; the future raises ``PluginFailed`` alone.

        A thread cannot be ended: whoever waits no longer leaves it behind, and it ends with the process.
        """
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # whoever waits no longer cannot cancel it under the thread's hands

        def work() -> None:
            try:
                brought = self.load()
            except PluginFailed as failed:
                future.set_exception(failed)
                return
            try:
                future.set_result(brought(*arguments))
            except BaseException as error:  # noqa: BLE001  (a thread that dies silently would be waited for)
                future.set_exception(PluginFailed(type(error).__name__))

        Thread(target=work, name=f"plugin-{self.name}", daemon=True).start()
        return future


def installed(group: Group) -> Mapping[str, Plugin]:
    """The plugins of ``group`` by name. One that comes with this package stands before others of its name."""
    return found()[group]


@cache
def found() -> Mapping[Group, Mapping[str, Plugin]]:
    """Every plugin of this machine: looked for once, when one is asked for."""
    from importlib.metadata import entry_points  # noqa: PLC0415  (not for those who ask for help only)

    points = entry_points()
    return {group: _by_name(map(partial(_plugin, group), points.select(group=group))) for group in Group}


def _plugin(group: Group, point: EntryPoint) -> Plugin:
    package, version = (point.dist.name, point.dist.version) if point.dist is not None else ("?", "?")
    return Plugin(group=group, name=point.name, package=package, version=version, point=point)


def _by_name(plugins: Iterable[Plugin]) -> Mapping[str, Plugin]:
    named: dict[str, list[Plugin]] = {}
    for plugin in plugins:
        named.setdefault(plugin.name, []).append(plugin)
    return {name: _chosen(rivals) for name, rivals in sorted(named.items())}


def _chosen(plugins: list[Plugin]) -> Plugin:
    first, *others = sorted(plugins, key=lambda plugin: (not plugin.is_ours, plugin.origin))
    if first.is_ours or not others:
        return first
    return replace(first, rivals=tuple(other.origin for other in others))


def others() -> Iterable[Plugin]:
    """Every plugin of another package."""
    return (plugin for group in Group for plugin in installed(group).values() if not plugin.is_ours)


def contested(plugin: Plugin) -> str:
    """That several packages bring it: none of them is asked, since nobody chose."""
    return f"{' and '.join((plugin.origin, *plugin.rivals))} bring a {plugin.group.noun} {plugin.name} each"


def flaw(group: Group, name: str, *, besides: Iterable[str] = ()) -> tuple[str, str] | None:
    """Why the plugin ``name`` is not to be had, and what to do; None if it is, and then it is loaded.

    ``besides`` are names of the group that need no plugin.
    """
    plugin = installed(group).get(name)
    if plugin is None:
        known = [*besides, *installed(group)]
        near = get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known) or 'none'}."
        return f"there is no {group.noun} {name[:40]}", hint
    if plugin.rivals:
        return contested(plugin), "Uninstall all but one."
    try:
        brought = plugin.load()
    except PluginFailed as failed:
        return f"{plugin} cannot be loaded ({failed})", f"Mend or reinstall {plugin.package}."
    if not callable(brought):
        return f"{plugin} brings a {type(brought).__name__}, which cannot be called", f"Mend {plugin.package}."
    return None
