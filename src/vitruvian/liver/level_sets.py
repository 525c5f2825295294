"""Shapes as level sets, and the canvas of tissues they are painted on.

A level set is the depth in mm below a surface, negative outside it; the coordinates are those of
the simulated reference body, see `vitruvian.liver.anatomy`.

Everything is bit-identical on every machine: random draws are rounded when they are made, and from
then on only operations that IEEE 754 fixes to the last bit (+ - * /, square root, minimum, floor)
decide the tissue of a voxel. No sine, no exponential, no matrix product, no summed reduction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Real = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
Positions = Sequence[npt.NDArray[np.float64]]  # of voxels along z, y, x (mm), ascending
Point = tuple[float, float, float]  # (x, y, z) mm
Window = tuple[slice, slice, slice]  # of voxels, along z, y, x
_ALL: Window = (slice(None), slice(None), slice(None))

Tissue = IntEnum(
    "Tissue",
    "TABLE SKIN FAT MUSCLE CARTILAGE CORTICAL_BONE MARROW DISC SPINAL_CANAL LUNG LUNG_VESSEL "
    "HEART HEART_CHAMBER GUT GUT_CONTENT GAS STOMACH_CONTENT PANCREAS SPLEEN RENAL_CORTEX "
    "RENAL_MEDULLA GALLBLADDER AORTA VENA_CAVA PORTAL_VEIN LIVER LIVER_VESSEL TUMOUR TUMOUR_CORE",
)  # 0 is air

WARP_MM = (12.0, 12.0, 6.0)  # the deformation never moves a point further along (x, y, z)
WARP_CELL_MM = 55.0


def draw(rng: np.random.Generator, low: float, high: float) -> float:
    """One uniform draw, rounded so that its last bits cannot differ between machines."""
    return round(float(rng.uniform(low, high)), 4)


def around(rng: np.random.Generator, point: Point, reach_mm: float) -> Point:
    """A point drawn uniformly from the cube of half-width `reach_mm` about `point`."""
    x, y, z = (c + draw(rng, -reach_mm, reach_mm) for c in point)
    return x, y, z


@dataclass(frozen=True)
class Space:
    """Reference-body coordinates (mm) of every voxel of a box, each of shape (z, y, x)."""

    x: Field
    y: Field
    z: Field

    def crop(self, window: Window) -> Space:
        """The same coordinates for a part of the box."""
        return Space(self.x[window], self.y[window], self.z[window])


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid with half-axes `half` (mm) about `centre`."""

    centre: Point
    half: Point

    def bounds(self) -> tuple[Point, Point]:
        """Lowest and highest corner of the enclosing box."""
        (x, y, z), (a, b, c) = self.centre, self.half
        return (x - a, y - b, z - c), (x + a, y + b, z + c)

    def depth(self, s: Space) -> Field:
        """Depth below the surface, exact along the shortest axis."""
        (x0, y0, z0), (a, b, c) = self.centre, self.half
        x, y, z = (s.x - x0) / a, (s.y - y0) / b, (s.z - z0) / c
        gauge = np.sqrt(x * x + y * y + z * z)
        return np.asarray((1.0 - gauge) * min(self.half), np.float32)


@dataclass(frozen=True)
class Segment:
    """A piece of a tube with round ends, tapering from radius `r0` at `start` to `r1` at `end`."""

    start: Point
    end: Point
    r0: float
    r1: float

    def bounds(self) -> tuple[Point, Point]:
        """Lowest and highest corner of the enclosing box."""
        r, ((x, y, z), (u, v, w)) = max(self.r0, self.r1), (self.start, self.end)
        low = min(x, u) - r, min(y, v) - r, min(z, w) - r
        return low, (max(x, u) + r, max(y, v) + r, max(z, w) + r)

    def depth(self, s: Space) -> Field:
        """Depth below the surface."""
        ax, ay, az = (e - b for b, e in zip(self.start, self.end, strict=True))
        x, y, z = s.x - self.start[0], s.y - self.start[1], s.z - self.start[2]
        t = np.clip((x * ax + y * ay + z * az) / (ax * ax + ay * ay + az * az + 1e-6), 0.0, 1.0)
        x, y, z = x - t * ax, y - t * ay, z - t * az
        radius = self.r0 + (self.r1 - self.r0) * t
        return np.asarray(radius - np.sqrt(x * x + y * y + z * z), np.float32)


Shape = Ellipsoid | Segment


def tube(*knots: tuple[float, float, float, float]) -> list[Segment]:
    """A tube through `knots`, each (x, y, z, radius) in mm."""
    return [Segment(a[:3], b[:3], a[3], b[3]) for a, b in pairwise(knots)]


def tree(rng: np.random.Generator, stem: Segment, forks: int) -> list[Segment]:
    """A vessel that forks `forks` times, thinner and shorter at every fork."""
    branches = [stem]
    run = [e - b for b, e in zip(stem.start, stem.end, strict=True)]
    length = math.sqrt(run[0] * run[0] + run[1] * run[1] + run[2] * run[2])
    for _ in range(2 if forks else 0):
        turn = around(rng, (0.0, 0.0, 0.0), 0.8 * length)
        x, y, z = (e + 0.7 * (r + t) for e, r, t in zip(stem.end, run, turn, strict=True))
        branches += tree(rng, Segment(stem.end, (x, y, z), stem.r1, 0.74 * stem.r1), forks - 1)
    return branches


def smooth_min(a: Real, b: Real | float, blend_mm: float) -> Field:
    """Intersection of two level sets whose common edge is rounded over `blend_mm`."""
    near = np.maximum(blend_mm - np.abs(a - b), 0.0)
    return np.asarray(np.minimum(a, b) - near * near * (0.25 / blend_mm), np.float32)


def smooth_max(a: Real, b: Real | float, blend_mm: float) -> Field:
    """Union of two level sets whose common crease is filled over `blend_mm`."""
    return -smooth_min(-a, -b, blend_mm)


def oval(s: Space, half: tuple[float, float], middle_y: float, squareness: float) -> Field:
    """Depth inside a trunk-like cylinder, between an ellipse (0) and its squarer sister (1)."""
    x, y = s.x * (1.0 + 6e-6 * s.z * s.z), s.y - middle_y  # narrower far from mid-liver
    u, v = (x / half[0]) * (x / half[0]), (y / half[1]) * (y / half[1])
    gauge = np.sqrt(np.sqrt((u + v) * (u + v) - 2.0 * squareness * u * v))  # 1 on the surface
    radius = np.sqrt(x * x + y * y + 1.0) / (gauge + 0.01)
    return np.asarray((1.0 - gauge) * radius, np.float32)


def bspline_field(
    rng: np.random.Generator, shape: Sequence[int], cells: Sequence[int], amplitude: float
) -> Field:
    """A smooth random field of `shape` that never leaves ±`amplitude`.

    Args:
        rng: draws the control lattice, uniform in ±amplitude.
        shape: (z, y, x) of the result.
        cells: lattice cells along (z, y, x); more cells, finer structure.
        amplitude: bound of the values; they are about 0.2 of it on average.
    """
    lattice = rng.uniform(-amplitude, amplitude, [n + 3 for n in cells]).round(4)
    field: Field = lattice.astype(np.float32)
    for axis in (2, 1, 0):  # the last and largest step copies whole slices, which is fast
        field = _blend(field, axis, shape[axis], cells[axis])
    return field


def _blend(lattice: Field, axis: int, n: int, cells: int) -> Field:
    """Refine one axis with the uniform cubic B-spline: positive weights that add up to one."""
    t = np.arange(n) * (cells / n)
    cell = np.floor(t).astype(np.intp)
    u = t - cell
    v = 1.0 - u
    middle_u, middle_v = (w * w * (3.0 * w - 6.0) + 4.0 for w in (u, v))
    column = [-1 if a == axis else 1 for a in range(3)]
    out = np.zeros([n if a == axis else s for a, s in enumerate(lattice.shape)], np.float32)
    for k, weight in enumerate((v * v * v, middle_u, middle_v, u * u * u)):
        share = (weight / 6.0).astype(np.float32).reshape(column)
        out += share * lattice.take(cell + k, axis=axis)
    return out


class Canvas:
    """A map of tissues, and the warped coordinates to paint it by.

    Attributes:
        tissue: (z, y, x) uint8; 0 is air.
        space: the coordinates of the voxels.
        axes: the same along z, y, x without the warp.
    """

    def __init__(self, scale: Point, positions: Positions, rng: np.random.Generator) -> None:
        """Lay a body of `scale` (x, y, z) over the voxels at `positions`."""
        self.rng = rng
        self.axes = [p / s for p, s in zip(positions, scale[::-1], strict=True)]
        self.shape = tuple(len(axis) for axis in self.axes)
        grid = np.meshgrid(*(a.astype(np.float32) for a in self.axes), indexing="ij", sparse=True)
        warps = (self.field(WARP_CELL_MM, mm) for mm in WARP_MM[::-1])
        z, y, x = (g + warp for g, warp in zip(grid, warps, strict=True))
        self.space = Space(x, y, z)
        self.tissue = np.zeros(self.shape, np.uint8)

    def field(self, cell_mm: float, amplitude: float) -> Field:
        """A smooth random field over the whole canvas."""
        cells = [max(1, int((a[-1] - a[0]) / cell_mm)) for a in self.axes]
        return bspline_field(self.rng, self.shape, cells, amplitude)

    def window(self, shape: Shape) -> Window:
        """The voxels that the warp may bring into the box around `shape`."""
        low, high = shape.bounds()
        z, y, x = (
            slice(*np.searchsorted(axis, (low[i] - WARP_MM[i], high[i] + WARP_MM[i])).tolist())
            for axis, i in zip(self.axes, (2, 1, 0), strict=True)
        )
        return z, y, x

    def paint(self, tissue: int, where: Mask, window: Window = _ALL) -> None:
        """Make the voxels `where` (a mask of the window) of `tissue`."""
        self.tissue[window][where] = tissue

    def add(
        self,
        layers: dict[Tissue, float],
        *shapes: Shape,
        within: Field | None = None,
        over: Sequence[Tissue] = (),
    ) -> None:
        """Paint shapes in layers, each from its depth (mm) inwards.

        Args:
            layers: depth at which each tissue begins, outermost first.
            shapes: what to paint; a layer of all of them before the next layer.
            within: a level set that the shapes must not leave.
            over: paint on these tissues only.
        """
        for tissue, start in layers.items():
            for shape in shapes:
                window = self.window(shape)
                depth = shape.depth(self.space.crop(window))
                if within is not None:
                    depth = smooth_min(depth, within[window], 8.0)
                where = depth > start
                if over:
                    where &= np.isin(self.tissue[window], over)
                self.paint(tissue, where, window)
