"""What stands where there is nothing to look at: what it is, and the key that brings some."""

from __future__ import annotations

from textual.content import Content

_EMPTY_MACHINE = """\
[bold $heading]There is nothing here yet.[/]

[bold $accent]i[/]  assembles the [bold]starter image[/]
   from this machine: its Python, a
   shell, the common commands.  It takes
   a few seconds and no network.

[bold $accent]⏎[/]  then runs a container of it
[bold $accent]s[/]  opens a shell inside
[bold $accent]?[/]  shows all keys

[$muted]Images also come in from a shell:[/]
[$muted]$[/] tuidock load -i ARCHIVE
[$muted]$[/] tuidock import ROOTFS.tar NAME
[$muted]They appear here by themselves.[/]
"""

_INSTEAD = {
    "containers": """\
[bold $heading]No container yet.[/]

[bold $accent]c[/]  creates one from an image
[bold $accent]2[/]  goes to the images; there
[bold $accent]⏎[/]  runs the one under the cursor
""",
    "images": """\
[bold $heading]No image here.[/]

[bold $accent]i[/]  assembles the starter image
   from this machine
""",
    "volumes": """\
[bold $heading]No volume yet.[/]

A volume is a directory of this machine
that containers mount and that outlives
them.  [$muted]-v NAME:/path[/] of a run makes one.

[bold $accent]c[/]  creates a container; its form has
   a line for volumes
""",
}


_FILTERED = """\
[bold $heading]Nothing matches the filter.[/]

[bold $accent]esc[/]  clears it
[bold $accent]/[/]    changes it
"""


def words(area: str, empty_machine: bool, filtered: bool = False) -> Content:
    """area: the list that has the focus; empty_machine: neither images nor containers; filtered: its filter hides all."""
    if filtered:
        return Content.from_markup(_FILTERED)
    return Content.from_markup(_EMPTY_MACHINE if empty_machine else _INSTEAD[area])
