"""The JavaScript that draws charts, as a page embeds it: Vega, Vega-Lite and vega-embed.

`vl-convert` brings it, and takes a second and a half to join it; packed it is a third as large. So
it is made once and kept in the user's cache folder, and pages unpack it (DecompressionStream).
"""

from __future__ import annotations

import base64
import gzip
import os
import zlib
from contextlib import suppress
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from vitruvian.core.errors import RunError
from vitruvian.core.files import write_text

_SNIPPET = "window.vegaEmbed = vegaEmbed;"


@lru_cache(maxsize=1)
def bundle() -> str:
    """The bundle, gzipped and in base64."""
    file = cache_file()
    kept = _kept(file)
    if kept:
        return kept
    import vl_convert

    script = vl_convert.javascript_bundle(_SNIPPET).encode()
    packed = base64.b64encode(gzip.compress(script, 9, mtime=0)).decode("ascii")
    with suppress(RunError):  # a home that cannot be written costs the time again, no more
        write_text(file, packed)
    return packed


def cache_file() -> Path:
    """Where it is kept; another version of `vl-convert` has another one."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    version = metadata.version("vl-convert-python")
    home = named if named.is_absolute() else Path("~/.cache").expanduser()  # as XDG says
    return home / "vitruvian" / f"vega-{version}.js.gz.b64"


def _kept(file: Path) -> str:
    """What was kept, empty where there is nothing whole."""
    try:
        packed = file.read_text(encoding="ascii")
        gzip.decompress(base64.b64decode(packed, validate=True))
    except (OSError, ValueError, EOFError, zlib.error):
        return ""
    return packed
