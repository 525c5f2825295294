"""What a printed formula of overlap computes, found by working it out on sets of known sizes.

A is the truth, B the prediction; `1 - 2|A∩B|/(|A|+|B|)`, `1 - dice`, `1 - 2AB/(A+B)` and
`100 - dice` are the same to it. Only numbers, the four rules of arithmetic and the sizes of sets
are understood.
"""

from __future__ import annotations

import ast
import itertools
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping

from vitruvian.core.errors import DataError
from vitruvian.report.rules import Line, Remark

_SIZES = ((40, 50, 30), (70, 20, 15), (11, 90, 7))  # of A, of B, of what they share

_KNOWN: dict[str, Callable[[float, float, float], float]] = {
    "Dice": lambda a, b, i: 2 * i / (a + b),
    "Jaccard": lambda a, b, i: i / (a + b - i),
    "1 - Dice": lambda a, b, i: 1 - 2 * i / (a + b),
    "1 - Jaccard": lambda a, b, i: 1 - i / (a + b - i),
    "precision": lambda a, b, i: i / b,
    "recall": lambda a, b, i: i / a,
    "1 - precision": lambda a, b, i: 1 - i / b,
    "1 - recall": lambda a, b, i: 1 - i / a,
}
_OVER = "|A∩B|/|A\N{UNION}B|"
_OFFICIAL = {
    "voe": ("1 - Jaccard", f"1 - {_OVER}"),
    "dice": ("Dice", "2|A∩B|/(|A|+|B|)"),
    "jaccard": ("Jaccard", _OVER),
    "precision": ("precision", "|A∩B|/|B|"),
    "recall": ("recall", "|A∩B|/|A|"),
}
_WORDS = {
    "iou": "jaccard",
    "dsc": "dice",
    "a∩b": "i",
    "b∩a": "i",
    "a\N{UNION}b": "u",
    "b\N{UNION}a": "u",
}
_WORDS |= {"a&b": "i", "a|b": "u", "\N{MULTIPLICATION SIGN}": "*", "·": "*", "\N{MINUS SIGN}": "-"}
_WORDS["%"] = ""  # "x 100 %"
_SHARED = re.compile(r"(?<![a-z])(a\*?b|b\*?a)(?![a-z])")  # the product of two sets
_SIGNS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def judged(text: str, line: Line) -> Iterator[Remark]:
    """Say whether a formula computes what it is printed for.

    Args:
        text: such as `voe:1-dice`.
        line: the row's numbers; its Dice gives an example.

    Raises:
        DataError: the metric has no official formula here, or the formula cannot be read.
    """
    metric, _, formula = (part.strip() for part in text.partition(":"))
    if metric.lower() not in _OFFICIAL or not formula:
        legal = ", ".join(_OFFICIAL)
        raise DataError(f"formula={text!r}: write METRIC:FORMULA, of one of {legal}")
    official, written = _OFFICIAL[metric.lower()]
    meaning = _meaning(formula)
    if meaning == official:
        return
    what = f"this is {meaning}" if meaning else "this is none of the measures of overlap"
    rule = f"official {metric.upper() if metric.lower() == 'voe' else metric}"
    yield Remark(
        f"{metric} by the formula {formula}: {what}, the {rule} is {official} = {written}"
        f"{_example(metric, meaning, official, line)}",
        impossible=False,
    )


def _example(metric: str, meaning: str | None, official: str, line: Line) -> str:
    """Both formulas at the Dice of the row, taken as that of one case."""
    if "dice" not in line or meaning not in ("Dice", "Jaccard", "1 - Dice", "1 - Jaccard"):
        return ""
    if line["dice"].bound != "=":
        return ""
    dice = line["dice"].value
    sizes = (1.0, 1.0, dice)  # two sets of the same size share that much
    named, right = (_KNOWN[name](*sizes) * 100 for name in (meaning, official))
    text = f"; at dice {line['dice']} it gives {named:.2f} %, the official one {right:.2f} %"
    return f"{text}, printed is {line[metric]}" if metric in line else text


def _meaning(formula: str) -> str | None:
    """Which known measure the formula is equal to, as a share or in percent.

    In percent may be what it gives (`100*(1-jaccard)`), what it names (`1-dice/100`) or both.
    """
    for named, given in itertools.product((1, 100), repeat=2):
        found = [_worked_out(formula, *sizes, named) / given for sizes in _SIZES]
        for name, known in _KNOWN.items():
            if all(math.isclose(f, known(*s)) for f, s in zip(found, _SIZES, strict=True)):
                return name
    return None


def _worked_out(formula: str, a: float, b: float, i: float, scale: int) -> float:
    """Its value for sets of these sizes; measures that it names are multiplied by the scale."""
    values = {"a": a, "b": b, "i": i, "u": a + b - i}
    values |= {name.lower(): known(a, b, i) * scale for name, known in _KNOWN.items()}
    try:
        return _value(ast.parse(_plain(formula), mode="eval").body, values)
    except (SyntaxError, ArithmeticError, KeyError, ValueError, RecursionError) as error:
        unknown = f": {error} is no set and no measure" if isinstance(error, KeyError) else ""
        raise DataError(
            f"formula {formula!r} cannot be read{unknown}; write it like 1-2|A∩B|/(|A|+|B|) or "
            "1-dice, A the truth and B the prediction"
        ) from error


def _plain(formula: str) -> str:
    """The formula with plain names and signs."""
    text = re.sub(r"\s+", "", formula.lower())
    for word, name in _WORDS.items():
        text = text.replace(word, name)
    text = re.sub(r"(?<=[a-z])[|][|](?=[a-z])", "|*|", text)  # |A||B| is a product of sizes
    text = _SHARED.sub("i", text).replace("|", "")
    return re.sub(r"(?<=[0-9)])(?=[a-z(])", "*", text)


def _value(node: ast.expr, values: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return values[name]
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _SIGNS:
            return _SIGNS[type(sign)](_value(left, values), _value(right, values))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, values)
    raise ValueError("no arithmetic")
