"""What stands where there is nothing to look at: what it is, and the key that brings some."""

from __future__ import annotations

from textual.content import Content

_EMPTY_MACHINE = """\
[bold $heading]There is nothing here yet.[/]

[bold $accent] i [/]  assembles the [bold]starter image[/] from this machine:
     its Python, a shell and the common commands,
     with no network.  A few seconds.

Then [bold $accent]⏎[/] runs a container of it, and [bold $accent]s[/] opens a shell inside.


[$muted]Other ways to bring images in, from a shell:[/]

  [$muted]$[/] tuidock load -i FILE     [$muted]an archive of docker save or skopeo[/]
  [$muted]$[/] tuidock import FILE      [$muted]the tar of a root file system[/]

[$muted]They appear here by themselves.  [bold]?[/] shows all keys.[/]
"""

_INSTEAD = {
    "containers": """\
[bold $heading]No container yet.[/]

[bold $accent] c [/]  creates one from an image that is here
[bold $accent] 2 [/]  goes to the images; [bold $accent]⏎[/] runs the one under the cursor
""",
    "images": """\
[bold $heading]No image here.[/]

[bold $accent] i [/]  assembles the starter image from this machine
""",
    "volumes": """\
[bold $heading]No volume yet.[/]

A volume is a directory of this machine that is mounted into
containers and outlives them.  [$muted]-v NAME:/path[/] of a run makes one:

[bold $accent] c [/]  creates a container; its form has a line for volumes
""",
}


def words(area: str, empty_machine: bool) -> Content:
    """area: the list that has the focus; empty_machine: neither images nor containers."""
    return Content.from_markup(_EMPTY_MACHINE if empty_machine else _INSTEAD[area])
