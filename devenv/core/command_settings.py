"""The `[commands]` table of devenv.toml: acts of your own in the terminal (docs/YOUR_PROJECT.md#commands-of-your-own).

[commands.psql]                  # `:psql`, also in the palette, in the last line and in help
command = ["docker", "exec", "-it", "{container}", "psql", "-U", "{user}"]  # {…} stays within its one argument
key = "Q"                        # by default none
on = "container"                 # the lines that it is for: "service", "container", "pod" or "any", the default
inputs = ["user"]                # asked for one after the other, then {user}
confirm = true                   # it is asked about first; default: false
output = "terminal"              # it is given the terminal; "log": the log pane shows what it writes, the default;
                                 # "silent": only whether it ended well
help = "a shell of the database" # what the palette and help say beside it

[commands.dump]
shell = "pg_dump -h \\"$service\\" | gzip > dump.gz"  # instead of `command`: for /bin/sh; {…} are variables there
"""

from __future__ import annotations

from typing import Literal

from devenv.core.toml import Table, Text

Place = Literal["any", "service", "container", "pod"]
Output = Literal["log", "terminal", "silent"]


class CommandSettings(Table, frozen=True):
    """One table of `[commands]`."""

    command: tuple[Text, ...] = ()
    shell: str = ""
    key: str = ""
    on: Place = "any"
    inputs: tuple[Text, ...] = ()
    confirm: bool = False
    output: Output = "log"
    help: str = ""
