"""From one project or docker context to another in the same terminal: what is offered and refused, where it opens."""

from __future__ import annotations

from msgspec.structs import replace

from devenv.control.protocol import Place
from devenv.core.model import Action, Phase, Project
from tests.terminal.conftest import Opening
from tests.terminal.scripted import shop

BOOKS = Place("books", "2 containers up, /srv/books", Project("books", "/srv/books", (), ()))
REMOTE = Place("remote", "ssh://build")


async def test_projects_and_contexts_are_completed(opened: Opening) -> None:
    async with opened() as terminal:
        terminal.control.known_places = {
            "project": (BOOKS, Place("shop")),
            "docker context": (Place("default"), Place("remote", "ssh://far")),
        }
        await terminal.live(*shop())
        await terminal.press("colon", *"project ")
        await terminal.sees("project books  project shop")
        await terminal.press("s", "tab")
        line = terminal.main.command_line
        assert line is not None
        await terminal.until(lambda: line.input.value == "project shop")
        line.input.value = "docker-context "
        await terminal.sees("docker-context default  docker-context remote")


async def test_a_project_is_chosen_of_those_of_the_engine(opened: Opening) -> None:
    async with opened() as terminal:
        terminal.control.known_places = {"project": (BOOKS, Place("shop"))}
        await terminal.live(*shop())
        await terminal.press("colon", *"project", "enter")
        await terminal.sees("Which project?", "books  2 containers up, /srv/books", "● shop")
        await terminal.press(*"boo", "enter")
        await terminal.until(lambda: not terminal.app.is_running)
        assert terminal.control.next_place == BOOKS
        assert terminal.app.return_value == 0


async def test_a_name_that_is_typed_is_gone_to_and_another_one_is_not(opened: Opening) -> None:
    async with opened() as terminal:
        terminal.control.known_places = {"docker context": (Place("default"), REMOTE)}
        await terminal.live(*shop())
        await terminal.press("colon", *"docker-context nowhere", "enter")
        await terminal.sees("There is no docker context nowhere")
        assert terminal.control.next_place is None
        await terminal.press("colon", *"docker-context remote", "enter")
        await terminal.until(lambda: terminal.control.next_place == REMOTE)


async def test_while_a_change_runs_the_terminal_stays(opened: Opening) -> None:
    async with opened() as terminal:
        terminal.control.known_places = {"project": (BOOKS,)}
        await terminal.live(*shop())
        action = Action(1, "build", ("web",), Phase.RUNNING, 0.0)
        terminal.control.emit(action)
        await terminal.sees("build web")
        await terminal.press("colon", *"project books", "enter")
        await terminal.sees("build web is still running")
        assert terminal.control.next_place is None
        terminal.control.emit(replace(action, phase=Phase.DONE))
