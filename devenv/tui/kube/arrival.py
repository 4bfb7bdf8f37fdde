"""A cluster that came while devenv ran on a Compose project alone: another main screen takes the first one's place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from devenv.backends.protocol import Backend
from devenv.control.protocol import Control
from devenv.tui.kube.joining import cluster_screen
from devenv.tui.kube.session import Connector

if TYPE_CHECKING:
    from devenv.tui.app import DevenvApp

MODE: Final = "cluster"


async def arrive(app: DevenvApp, connector: Connector, backend: Backend, control: Control) -> bool:
    """Put the screen for both runtimes on, with all that is known; return whether that is settled.

    It waits while something is open above the screen, while a change runs, and while a filter is set. Where runs of
    tests belong to the screen, it stays, and that is told.
    """
    old = app.main
    if app.screen is not old or old.action_bar.running is not None or old.filter.value:
        return False
    if old.changes.before_leaving:
        old.notify("Open devenv anew to see it: this terminal has run tests without it.", title="a cluster came")
        return True
    new, readers, changers = cluster_screen(backend, control, old.project_hint, connector, wake=app.feed.wake)
    new.adopt(old.store)
    new.verifies, new.loads = old.verifies, old.loads
    row = old.table.selected
    backend.follow_logs(())  # followed anew, they begin with their last lines
    app.main = new
    app.feed.replace((readers, changers))
    # A mode of its own: the screen that an app begins with cannot be switched (Textual 8.2).
    app.add_mode(MODE, lambda: new)
    await app.switch_mode(MODE)
    await old.remove()
    await new.furnish()
    new.take(())
    index = next((index for index, other in enumerate(new.table.rows) if row and other.key == row.key), None)
    if index is not None:
        new.table.select(index)
    return True
