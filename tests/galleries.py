"""Figures of a gallery, as tests ask for them."""

from __future__ import annotations

import json
from typing import Any

from vitruvian.core.gallery import Gallery


def spec(gallery: Gallery, name: str) -> dict[str, Any]:
    """The specification of a chart."""
    (figure,) = [one for one in gallery.figures if one.name == name]
    content = json.loads((gallery.folder / figure.file).read_text())
    assert isinstance(content, dict)
    return content
