"""Pictures of the running application, on containers that really run: `make screenshots`.

    python -m tests.e2e.screenshots [FOLDER]

It works on throw-away roots and under a host name of its own (a uts namespace), and takes all of it away.  Each picture is
written as Textual's SVG and, by rsvg-convert, as PNG.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tests.e2e.svg import to_png
from tests.machine import REPOSITORY, Cli, eventually, leftovers, sweep
from tests.tui.screens import SMALL, WIDE, Shown, screen
from tuidock.runtime import syscalls
from tuidock.storage.paths import Roots

MIDDLE = (120, 36)
PIXELS = {WIDE: 1400, MIDDLE: 1050, SMALL: 980}
"""How wide a PNG is, by the size of its screen: sharp enough to read, and far below 400 KB."""
PICTURED = Path(__file__).parent / "pictured"
"""The programs that run in the containers."""
VISITOR = """\
while :; do
  for path in / /visits /about /favicon.ico / /boom; do wget -q -O /dev/null http://localhost$path 2>/dev/null; sleep 0.3; done
done"""


# ------------------------------------------------------------------------------------------- what runs in the pictures


def helloworld(roots: Roots) -> bytes:
    """An archive as `docker save` writes it: the starter image's layers, and the walkthrough's Dockerfile on them."""
    layout = Path(roots.data, "image")

    def blob(digest: str) -> bytes:
        return (layout / "blobs" / digest.replace(":", "/")).read_bytes()

    manifest = json.loads(blob(json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]))
    config = json.loads(blob(manifest["config"]["digest"]))
    layers = [blob(layer["digest"]) for layer in manifest["layers"]]
    programs = {f"app/{path.name}": path.read_bytes() for path in sorted(PICTURED.glob("*.py"))}
    steps: tuple[tuple[str, dict[str, bytes]], ...] = (
        ("/bin/sh -c #(nop) WORKDIR /app", {"app/": b""}),
        ("/bin/sh -c #(nop) ADD dir:5e1c7a09b2f4 in /app", programs),
        ("/bin/sh -c #(nop) EXPOSE 80", {}),
        ("/bin/sh -c #(nop) ENV NAME=World PYTHONDONTWRITEBYTECODE=1", {}),
        ('/bin/sh -c #(nop) CMD ["python3" "app.py"]', {}),
    )
    for created_by, files in steps:
        config["history"].append({"created": config["created"], "created_by": created_by, "empty_layer": not files})
        if files:
            layers.append(tar(files))
            config["rootfs"]["diff_ids"].append(f"sha256:{hashlib.sha256(layers[-1]).hexdigest()}")
    config["config"]["Env"] += ["NAME=World", "PYTHONDONTWRITEBYTECODE=1"]
    config["config"] |= {"Cmd": ["python3", "app.py"], "WorkingDir": "/app", "ExposedPorts": {"80/tcp": {}}}
    names = [f"{number}.tar" for number in range(len(layers))]
    described = [{"Config": "config.json", "RepoTags": ["helloworld:latest"], "Layers": names}]
    documents = {"config.json": json.dumps(config).encode(), "manifest.json": json.dumps(described).encode()}
    return tar({**documents, **dict(zip(names, layers, strict=True))})


def tar(files: dict[str, bytes]) -> bytes:
    """An archive; a name that ends in / is a directory."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.type, entry.mode = (tarfile.DIRTYPE, 0o755) if name.endswith("/") else (tarfile.REGTYPE, 0o644)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()


@contextmanager
def throw_away(name: str) -> Iterator[Roots]:
    """Two roots for the pictures; what they hold is removed as a user would, and nothing may be left."""
    folder = Path(os.environ.get("TUIDOCK_TEST_DIR", "/var/tmp"), name)
    folder.mkdir()
    roots = Roots(str(folder / "tuidock"), str(folder / "run"))
    roots.make()
    try:
        yield roots
        if names := os.listdir(roots.containers):
            Cli(roots)("rm", "--force", "--volumes", *names)
        if not eventually(lambda: not leftovers(roots)):
            left = leftovers(roots)
            sys.exit("left behind:\n  " + "\n  ".join(left))
    finally:
        sweep(roots)
        shutil.rmtree(folder, ignore_errors=True)


def containers(roots: Roots) -> Cli:
    """A machine in use: what runs, what ended, each in another way."""
    cli = Cli(roots)
    cli.ok("image", "starter")
    loaded = cli("load", input=helloworld(roots))
    assert loaded.status == 0, loaded.err
    greedy = 'list(bytearray(b"x" * (1 << 20)) for _ in range(99))'
    run = ("run", "-d", "--name")
    cli.ok(*run, "migrate", "tuidock/starter", "python3", "-c", "raise SystemExit(3)")
    cli.ok(*run, "hungry", "-m", "32m", "tuidock/starter", "python3", "-c", greedy)
    cli.ok(*run, "backup", "-v", "measured:/data", "tuidock/starter", "sh", "-c", "cp -a /etc /data/")
    cli.ok(*run, "lab", "-it", "-v", "/var/tmp", "tuidock/starter")
    cli.ok(*run, "waves", "--cpus", "0.5", "-m", "96m", "-v", "measured:/data", "helloworld", "python3", "waves.py")
    cli.ok(*run, "web", "-m", "128m", "--pids-limit", "64", "-h", "web", "helloworld")
    cli.ok(*run, "visitor", "--net", "container:web", "tuidock/starter", "sh", "-c", VISITOR)
    return cli


# -------------------------------------------------------------------------------------------------------- the pictures


class Studio:
    """A folder for pictures."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    async def take(self, shown: Shown, name: str) -> None:
        """What is on the screen now."""
        await shown.pilot.pause()
        svg = self.folder / f"{name}.svg"
        svg.write_text(shown.app.export_screenshot(title="tuidock", simplify=True))
        to_png(svg, svg.with_suffix(".png"), PIXELS[shown.app.size])
        print(f"{svg.with_suffix('.png')}  {svg.with_suffix('.png').stat().st_size / 1000:.0f} kB")


@asynccontextmanager
async def of(roots: Roots, container: str, tab: str = "Overview", size: tuple[int, int] = WIDE) -> AsyncIterator[Shown]:
    """The application, with the cursor on a container and a tab of its details open."""
    async with screen(roots, size) as shown:
        row = next(place for place, row in enumerate(shown.listing("containers").rows or ()) if row.name == container)
        await shown.press(*("j" for _ in range(row)))
        await shown.until(lambda: shown.main.subject and shown.main.subject.name == container)
        await shown.press(*("]" for _ in range(TABS.index(tab))))
        yield shown


TABS = ("Overview", "Logs", "Layers", "Namespaces", "Inspect", "Explain")


async def empty(studio: Studio, roots: Roots) -> None:
    async with screen(roots) as shown:
        await shown.waits_for("There is nothing here yet.")
        await studio.take(shown, "empty")


async def busy(studio: Studio, roots: Roots, cli: Cli) -> None:
    async with of(roots, "waves") as shown:
        await shown.waits_for("Processes")
        await asyncio.sleep(32)  # for the charts
        await studio.take(shown, "main")
        await shown.press("T")
        await studio.take(shown, "light")
        await shown.press("T", "question_mark")
        await studio.take(shown, "help")
    async with of(roots, "web", "Logs") as shown:
        await shown.waits_for("/favicon.ico")
        await shown.press("l")
        await studio.take(shown, "logs")
    async with of(roots, "web", "Layers") as shown:
        cli.ok("exec", "web", "touch", "/x")
        await shown.waits_for("+ /x ")
        await studio.take(shown, "layers")
    async with of(roots, "web", "Namespaces") as shown:
        await shown.waits_for("▲ lo")
        await studio.take(shown, "namespaces")
    async with of(roots, "web", "Explain", MIDDLE) as shown:
        await shown.waits_for("fsopen(overlay)")
        await shown.press("l")
        await studio.take(shown, "explain")
    async with of(roots, "waves", size=SMALL) as shown:
        await shown.waits_for("command")
        await asyncio.sleep(12)
        await studio.take(shown, "small")
    async with screen(roots) as shown:
        await shown.press("2", "enter")
        await shown.waits_for("Run a container")
        await shown.type("sh -c 'sleep 60'")
        await studio.take(shown, "run")


def main(folder: Path) -> None:
    if os.geteuid() != 0:
        sys.exit("containers need root")
    syscalls.unshare(syscalls.CLONE_NEWUTS)
    syscalls.sethostname("harbour")
    studio = Studio(folder)
    with throw_away("harbour") as roots:
        asyncio.run(empty(studio, roots))
        cli = containers(roots)
        asyncio.run(busy(studio, roots, cli))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "screenshots")
