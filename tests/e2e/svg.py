"""Textual's SVG to PNG, with the fonts of this machine.

Textual's picture counts on a web font of 12.2 px per cell and on `textLength`, which librsvg does not know: so the local
font is scaled to that advance, and a run of text begins where its first visible letter stands.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

CELL = 12.2
"""Pixels per cell in Textual's picture."""
_FRAME = re.compile(r'<text( [^>]*?\by="([\d.]+)"[^>]*>[\u2500-\u259f&#160;\s]*[\u2500-\u259f][\u2500-\u259f&#160;\s]*</text>)')
"""A run of lines and blocks (Unicode, Box Drawing and Block Elements) and nothing else."""
_STRETCH = 1.07
"""So much higher are these drawn: a line of Textual's picture is higher than the font's glyphs, and frames would have gaps."""
_TEXT = re.compile(r'(<text [^>]*?\bx=")([\d.]+)("[^>]*>)((?:&#160;)+)')


def to_png(svg: Path, png: Path, width: int = 0) -> None:
    """Draw `svg` as `png`, in its own size or `width` pixels wide.  Needs rsvg-convert."""
    text = svg.read_text()
    text = text.replace("Fira Code", "DejaVu Sans Mono").replace("font-size: 20px", "font-size: 20.26px")
    text = _TEXT.sub(lambda found: f"{found[1]}{float(found[2]) + CELL * found[4].count(';'):g}{found[3]}", text)
    text = _FRAME.sub(_stretched, text)
    size = ["-w", str(width)] if width else []
    subprocess.run(["rsvg-convert", *size, "-o", str(png)], input=text.encode(), check=True)


def _stretched(found: re.Match[str]) -> str:
    middle = float(found[2]) - 7
    return f'<text transform="matrix(1 0 0 {_STRETCH} 0 {middle * (1 - _STRETCH):.3f})"{found[1]}'
