"""Claims that need no data, such as the milliseconds of a net: measured here and now.

A claim names a class by `_target_`. What it builds is called once and answers with the number, in
the printed unit, and a few words about how it was found. If something is missing that it needs, it
raises a user error, and the claim waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vitruvian.core.build import build
from vitruvian.core.check import check_node
from vitruvian.core.errors import UserError
from vitruvian.papers.paper import Claim, Paper

Measure = Callable[[], tuple[float, str]]


@dataclass(frozen=True)
class Measurement:
    """What came of a measure.

    Attributes:
        value: the number in the printed unit; None: it could not be measured.
        about: how it was found; or why it could not be.
    """

    value: float | None
    about: str


def measurements(paper: Paper) -> dict[str, Measurement]:
    """Measure everything that a paper claims of kind `measured`, by the key of the claim.

    Raises:
        ConfigError: a measure is described wrongly.
    """
    return {claim.key: _measured(claim) for claim in paper.claims if claim.kind == "measured"}


def _measured(claim: Claim) -> Measurement:
    node, place = dict(claim.measure), f"claims.{claim.key}.measure"
    check_node(node, place)
    measure: Measure = build(node, place)
    try:
        value, about = measure()
    except UserError as error:
        return Measurement(None, str(error))
    return Measurement(value, about)
