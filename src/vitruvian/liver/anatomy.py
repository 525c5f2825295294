"""The anatomy of the simulated abdomen: one reference body, bent anew for every patient.

Positions are millimetres in the reference body: x to the patient's left, y to posterior, z to
superior, (0, 0, 0) in the middle of the trunk at mid-liver height. Organs are level sets, painted
one over another. A patient is the reference body scaled, fattened and warped by a free-form
deformation (a lattice of random displacements blended with cubic B-splines).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from vitruvian.liver.level_sets import (
    Canvas,
    Ellipsoid,
    Field,
    Mask,
    Point,
    Positions,
    Segment,
    Shape,
    Space,
    Tissue,
    around,
    draw,
    oval,
    smooth_max,
    smooth_min,
    tree,
    tube,
)

TissueMap = npt.NDArray[np.uint8]
LIVER_TISSUES = (Tissue.LIVER, Tissue.LIVER_VESSEL)
TUMOUR_TISSUES = (Tissue.TUMOUR, Tissue.TUMOUR_CORE)
DOME_MM, TIP_MM = 82.0, -88.0  # the liver lies between these heights, before scale and warp
_CAVITY, _CAVITY_Y = (134.0, 86.0), -12.0  # half-axes (x, y), middle: the back muscles are thick
_WALL = (147.0, 104.0)  # half-axes of the muscular wall
_SPINE_Y = 47.0  # middle of the vertebral bodies
_ENDLESS = 1e4  # half-axis of what runs through the whole scan


@dataclass(frozen=True)
class Patient:
    """What distinguishes one patient from the reference body.

    Attributes:
        scale: size relative to the reference body along (x, y, z).
        fat_mm: thickness of the subcutaneous fat (side, front).
        liver_ml: liver volume aimed at; reached within a few per cent.
        left_tip_mm: how far the left lobe reaches over the midline.
        tumours: number of tumours.
    """

    scale: Point
    fat_mm: tuple[float, float]
    liver_ml: float
    left_tip_mm: float
    tumours: int

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Patient:
        """Draw a patient; one in five has no tumour."""
        build, fatness = draw(rng, 0.94, 1.05), draw(rng, 0.0, 1.0)
        fat = 5.0 + 24.0 * fatness * fatness  # most are slim
        volume = 1600.0 * build * build * build + 2.0 * draw(rng, -280.0, 280.0)
        return cls(
            scale=(build * draw(rng, 0.96, 1.04), build * draw(rng, 0.94, 1.06), build),
            fat_mm=(fat, fat * draw(rng, 0.5, 1.1)),
            liver_ml=min(max(volume, 980.0), 2150.0),
            left_tip_mm=draw(rng, 45.0, 105.0),
            tumours=int(rng.integers(1, 6)) if draw(rng, 0.0, 1.0) > 0.2 else 0,
        )

    @property
    def width_mm(self) -> float:
        """Width of the trunk."""
        return 2.0 * self.scale[0] * (_WALL[0] + self.fat_mm[0])

    @property
    def back_mm(self) -> float:
        """Distance from the trunk's middle to the skin of the back."""
        return self.scale[1] * (_WALL[1] + self.fat_mm[1])


class Body(Canvas):
    """The canvas of one patient.

    Attributes:
        cavity: depth inside the peritoneal and pleural cavity.
        chest: height above the diaphragm.
        grain: fine random structure within ±1.
    """

    def __init__(self, patient: Patient, positions: Positions, rng: np.random.Generator) -> None:
        """Place the cavity and the diaphragm, between which the organs will lie."""
        super().__init__(patient.scale, positions, rng)
        self.patient = patient
        self.cavity = oval(self.space, _CAVITY, _CAVITY_Y, 0.3)
        self.chest = self.space.z - _diaphragm(self.space, rng) + self.field(45.0, 8.0)
        self.grain = self.field(9.0, 1.0)

    @property
    def abdomen(self) -> Field:
        """Depth inside the cavity below the diaphragm, less a layer of fat."""
        return smooth_min(self.cavity - 4.0, -3.0 - self.chest, 8.0)

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in the patient."""
        dz, dy, dx = (float(axis[1] - axis[0]) for axis in self.axes)
        sx, sy, sz = self.patient.scale
        return dz * dy * dx * sx * sy * sz / 1000.0


def dissect(patient: Patient, positions: Positions, rng: np.random.Generator) -> TissueMap:
    """Paint one patient.

    Args:
        patient: scale, fat, liver and tumours.
        positions: where the voxels lie, from the middle of the trunk.
        rng: draws the deformation and the organs' places and shapes.

    Returns:
        (z, y, x) map of `Tissue`, 0 for air.
    """
    body = Body(patient, positions, rng)
    for organ in (_trunk, _ribs, _chest, _spine, _bowel, _left_organs):
        organ(body)
    depth = _liver(body, [_kidneys(body), *_great_vessels(body)])
    _gallbladder(body)
    _liver_vessels(body)
    _tumours(body, depth)
    return body.tissue


def _diaphragm(s: Space, rng: np.random.Generator) -> Field:
    """Height (mm) of two domes, and of the flat under the heart between them."""
    height: Field = np.full_like(s.z, -22.0)  # where it joins the wall
    for dome in ((-62.0, -12.0, 70.0), (58.0, -10.0, 56.0), (0.0, -42.0, 44.0)):
        x, y, top = around(rng, dome, 4.0)
        across, along = (s.x - x) / 86.0, s.y - y
        along = np.maximum(along / 80.0, -along / 105.0)  # steeper behind
        q = across * across + along * along
        height = smooth_max(height, top - 80.0 * q * q, 12.0)
    return height


def _trunk(c: Body) -> None:
    """Skin, subcutaneous fat, the muscular wall, and fat where the organs will lie."""
    s, (side, front) = c.space, c.patient.fat_mm
    furrow = np.where(s.y > 0, 7.0 / (1.0 + (s.x / 14.0) * (s.x / 14.0)), 0.0)
    skin = oval(s, (_WALL[0] + side, _WALL[1] + front), 0.0, 0.45) - furrow
    wall = np.minimum(oval(s, _WALL, 0.0, 0.4), skin - 4.0)
    c.paint(Tissue.SKIN, skin > 0)
    c.paint(Tissue.FAT, skin > 2.2)
    c.paint(Tissue.MUSCLE, wall > 0)
    c.paint(Tissue.FAT, (wall > 2) & (s.y > 20) & (c.grain > 0.42))  # between the back muscles
    c.paint(Tissue.FAT, c.cavity > -1.5)


def _ribs(c: Body) -> None:
    """Pairs of rings that descend to the front; the lowest are short."""
    s = c.space
    side, back = np.abs(s.x) / _CAVITY[0], (s.y - _CAVITY_Y) / _CAVITY[1]
    turn = 0.5 - 0.5 * back / (np.abs(back) + side + 1e-3)  # 0 at the spine .. 1 at the sternum
    level = s.z + 135.0 * turn
    phase = (level / 27.0 - np.floor(level / 27.0) - 0.5) * (27.0 / 6.0)
    out = (c.cavity + 6.0) / 4.0
    q = np.where((turn > 0.1) & (turn < 0.35 + 0.0055 * level), phase * phase + out * out, 9.0)
    bony = turn < 0.76
    c.paint(Tissue.CARTILAGE, (q < 1.0) & ~bony & (turn < 0.93))
    c.paint(Tissue.CORTICAL_BONE, (q < 1.0) & bony)
    c.paint(Tissue.MARROW, (q < 0.3) & bony)
    sternum = Ellipsoid((0.0, -103.0, 110.0), (17.0, 6.0, 70.0))
    c.add({Tissue.CORTICAL_BONE: 0.0, Tissue.MARROW: 1.5}, sternum)


def _chest(c: Body) -> None:
    """Diaphragm, lungs, and between them the heart in the fat of the mediastinum."""
    c.paint(Tissue.MUSCLE, (c.cavity > -1.5) & (c.chest > -3.0))
    pleura = smooth_min(c.cavity - 1.0, c.chest, 6.0)
    c.paint(Tissue.LUNG, pleura > 0)
    c.paint(Tissue.LUNG_VESSEL, (pleura > 0) & (c.grain > 0.45))
    c.add({Tissue.FAT: 0.0}, Ellipsoid((6.0, 8.0, 0.0), (24.0, 44.0, _ENDLESS)), within=pleura)
    heart = Ellipsoid(around(c.rng, (18.0, -42.0, 98.0), 6.0), (70.0, 44.0, 56.0))
    layers = {Tissue.FAT: -4.0, Tissue.HEART: 0.0, Tissue.HEART_CHAMBER: 9.0}
    c.add(layers, heart, within=pleura - 2.0)
    oesophagus = tube((8.0, 16.0, 160.0, 8.0), (8.0, 14.0, 65.0, 7.0), (30.0, 0.0, 45.0, 7.0))
    c.add({Tissue.MUSCLE: 0.0}, *oesophagus)


def _spine(c: Body) -> None:
    """Vertebrae 33 mm apart with discs, arches and processes, and the muscles beside them."""
    for side in (-1.0, 1.0):
        erector = Ellipsoid((side * 33.0, 82.0, 0.0), (31.0, 20.0, _ENDLESS))
        c.add({Tissue.FAT: -1.2, Tissue.MUSCLE: 1.2}, erector, over=[Tissue.MUSCLE, Tissue.FAT])
        psoas = tube((side * 20, 44, 20, 4), (side * 30, 46, -60, 15), (side * 42, 40, -150, 22))
        crus = tube((side * 11, 22, 60, 6), (side * 14, 25, -40, 4))
        c.add({Tissue.MUSCLE: 0.0}, *psoas, *crus)
    s = c.space
    phase = s.z / 33.0
    apart = np.abs(phase - np.floor(phase) - 0.5) * 33.0  # mm from the middle of a vertebra
    body = Ellipsoid((0.0, _SPINE_Y, 0.0), (23.0, 17.0, _ENDLESS)).depth(s)
    bone = body - 2.0 + 0.01 * apart * apart  # waisted
    c.paint(Tissue.FAT, body > -4.0)
    c.paint(Tissue.DISC, body > 0.0)
    c.paint(Tissue.CORTICAL_BONE, (bone > 0) & (apart < 13.5))
    c.paint(Tissue.MARROW, (bone > 2.0) & (apart < 11.5))
    arch = Ellipsoid((0.0, 71.0, 0.0), (15.0, 13.0, _ENDLESS)).depth(s)
    wings = Ellipsoid((0.0, 73.0, 0.0), (34.0, 5.0, _ENDLESS)).depth(s) - 0.3 * apart
    process = Ellipsoid((0.0, 86.0, 0.0), (4.5, 17.0, _ENDLESS)).depth(s) - 0.15 * apart
    arch = np.maximum(arch, np.maximum(wings, process))
    c.paint(Tissue.CORTICAL_BONE, arch > 0)
    c.paint(Tissue.MARROW, arch > 2.5)
    c.add({Tissue.SPINAL_CANAL: 0.0}, Ellipsoid((0.0, 70.0, 0.0), (10.0, 8.0, _ENDLESS)))


def _bowel(c: Body) -> None:
    """Loops of small bowel in the fat, and the colon as a frame around them."""
    s, rng = c.space, c.rng
    bag = Ellipsoid((4.0, -38.0, -150.0), (118.0, 54.0, 150.0)).depth(s)
    bag = np.minimum(bag, c.cavity - 5.0)
    loops = smooth_min(c.field(16.0, 60.0) - 1.5, bag, 10.0)
    c.paint(Tissue.GUT, (loops > 0) | ((bag > 0) & (c.grain > 0.5)))  # with mesenteric strands
    c.paint(Tissue.GUT_CONTENT, loops > 4.0)
    c.paint(Tissue.GAS, (loops > 8.0) & (s.y < -45))
    middle = (-30.0, -70.0, draw(rng, -82.0, -62.0), 18.0)
    right = tube((-100, 22, -190, 22), (-100, 18, -100, 23), (-84, -25, -82, 20), middle)
    left = tube(middle, (40, -72, -62, 18), (98, -30, -32, 17), (108, 20, -50, 15))
    left += tube((108, 20, -50, 15), (106, 26, -190, 14))
    c.add({Tissue.GUT: 0.0, Tissue.GUT_CONTENT: 3.0}, *right, *left)
    for x, y, z in (piece.start for piece in right + left):
        bubble = Ellipsoid(around(rng, (x, y - 5.0, z), 5.0), (16.0, 8.0, 14.0))
        c.add({Tissue.GAS: 0.0}, bubble, over=[Tissue.GUT_CONTENT])


def _left_organs(c: Body) -> None:
    """Pancreas, stomach with a gas bubble, spleen."""
    rng, abdomen = c.rng, c.abdomen
    pancreas = tube((-22, -12, -42, 14), (-14, -22, -14, 13), (20, -18, -4, 10), (84, 20, 14, 8))
    c.add({Tissue.PANCREAS: 0.0}, *pancreas)
    x, y, z = around(rng, (60.0, -26.0, 30.0), 8.0)
    fundus = Ellipsoid((x, y, z), around(rng, (42.0, 44.0, 42.0), 7.0))
    antrum = tube((x, y - 18, z - 20, 27), (24, -58, -24, 19), (-16, -45, -22, 11))
    c.add({Tissue.GUT: 0.0, Tissue.STOMACH_CONTENT: 4.5}, fundus, *antrum, within=abdomen)
    gas = (c.tissue == Tissue.STOMACH_CONTENT) & (c.space.y < y - draw(rng, 0.0, 24.0))
    c.paint(Tissue.GAS, gas)  # the patient lies on the back: gas rises to the front
    x, y, z = around(rng, (92.0, 32.0, 20.0), 6.0)
    hilum = Ellipsoid((x - 44.0, y - 30.0, z), (38.0, 38.0, 80.0)).depth(c.space)
    spleen = Ellipsoid((x, y, z), around(rng, (40.0, 46.0, 50.0), 6.0))
    c.add({Tissue.FAT: -2.0, Tissue.SPLEEN: 0.0}, spleen, within=np.minimum(abdomen, -hilum))


def _kidneys(c: Body) -> Segment:
    """Two kidneys in their fat, upper poles towards the spine; returns the right one."""
    for side, height in ((1.0, -40.0), (-1.0, -58.0)):
        x, y, z = around(c.rng, (side * 60.0, 40.0, height), 5.0)
        r, half = draw(c.rng, 25.0, 29.0), draw(c.rng, 22.0, 30.0)
        kidney = Segment((x - side * 5, y + 3, z + half), (x + side * 5, y - 3, z - half), r, r)
        layers = {Tissue.FAT: -4.0, Tissue.RENAL_CORTEX: 0.0, Tissue.RENAL_MEDULLA: 8.0}
        c.add(layers, kidney, within=c.cavity - 4.0)
        sinus = Ellipsoid((x - side * 12.0, y - 6.0, z), (17.0, 9.0, 20.0))
        c.add({Tissue.FAT: 0.0, Tissue.RENAL_MEDULLA: 4.5}, sinus)
    return kidney


def _great_vessels(c: Body) -> list[Segment]:
    """The great vessels; returns the vena cava, in whose groove the liver lies."""
    aorta = tube((24, 30, 160, 12), (20, 27, 70, 12), (10, 20, 20, 11), (6, 17, -190, 9))
    mesenteric = tube((10, 18, -2, 4), (8, 4, -6, 4), (4, -6, -60, 4))
    cava = tube((-22, 18, -190, 11), (-22, 14, 0, 12), (-24, 4, 45, 13), (-18, -8, 84, 13))
    renal = tube((-22, 14, -38, 5), (8, 6, -36, 5), (48, 30, -40, 5))
    portal = tube((85, 15, 12, 4), (40, 2, 0, 5), (0, -10, -10, 6), (-28, -16, 14, 7))
    c.add({Tissue.AORTA: 0.0}, *aorta, *mesenteric)
    c.add({Tissue.VENA_CAVA: 0.0}, *cava, *renal)
    c.add({Tissue.PORTAL_VEIN: 0.0}, *portal)
    return cava


def _liver(c: Body, neighbours: Sequence[Shape]) -> Field:
    """Fill the space under the dome down to the visceral face; returns the depth in the liver.

    The level of that face is chosen so that the liver gets the patient's volume.
    """
    room = smooth_min(c.abdomen, c.space.z - TIP_MM, 8.0)
    spine = Ellipsoid((0.0, _SPINE_Y - 2.0, 0.0), (35.0, 29.0, _ENDLESS))
    for shape in (spine, *neighbours):
        room = smooth_min(room, -1.5 - shape.depth(c.space), 5.0)
    face = _visceral_face(c)
    face -= _level(face[room > 0], c.patient.liver_ml / c.voxel_ml)
    depth = smooth_min(room, face, 8.0)
    c.paint(Tissue.LIVER, _largest(depth > 0))
    return depth


def _visceral_face(c: Body) -> Field:
    """Depth behind the liver's lower surface, up to a constant.

    The surface rises from the tip of the right lobe to the left and to the back, cuts the left
    lobe to a wedge, undulates, and has a fissure for the round ligament.
    """
    s, rng = c.space, c.rng
    slope, back = draw(rng, 0.55, 0.9), draw(rng, 0.15, 0.4)
    x = np.maximum(s.x, -120.0) + 120.0
    edge = slope * np.minimum(x, 110.0) + 0.3 * np.maximum(x - 110.0, 0.0) + back * s.y - 64.0
    steep = 95.0 / (c.patient.left_tip_mm + 20.0)
    wedge = (18.0 - s.y - steep * (s.x + 20.0)) / math.sqrt(1.0 + steep * steep)
    face = smooth_min(0.8 * (s.z - edge), wedge, 18.0) + c.field(34.0, 26.0)
    fissure = np.maximum(1.0 - np.abs(s.x - 4.0 - 0.2 * s.y) / 5.0, 0.0)
    low = np.clip((40.0 - s.z + edge) / 40.0, 0.0, 1.0)
    return np.asarray(face - 12.0 * fissure * low, np.float32)


def _gallbladder(c: Body) -> None:
    """A pear in its bed under the right lobe; some patients have lost theirs."""
    s, rng = c.space, c.rng
    middle = int(np.searchsorted(c.axes[2], draw(rng, -55.0, -30.0)))
    front = int(np.searchsorted(c.axes[1], draw(rng, -55.0, -35.0)))
    liver = np.flatnonzero(c.tissue[:, front, middle] == Tissue.LIVER)
    if len(liver) and draw(rng, 0.0, 1.0) < 0.85:
        at = int(liver[0]), front, middle
        x, y, z = float(s.x[at]), float(s.y[at]), float(s.z[at])
        r = draw(rng, 8.0, 15.0)
        pear = Segment((x + 6.0, y + 14.0, z + 6.0), (x, y - 6.0, z - 14.0), 0.5 * r, r)
        c.add({Tissue.GUT: -1.5, Tissue.GALLBLADDER: 0.0}, pear)


def _level(values: Field, count: float) -> float:
    """The value that `count` of the values exceed."""
    rank = max(len(values) - 1 - int(count), 0)
    return float(np.partition(values, rank)[rank])


def _largest(mask: Mask) -> Mask:
    """The largest 6-connected component."""
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def _liver_vessels(c: Body) -> None:
    """Portal branches from the hilum, hepatic veins from the vena cava."""
    hilum, cava = (-28.0, -16.0, 14.0), (-22.0, -2.0, 56.0)
    portal = ((-62.0, -4.0, 16.0), (4.0, -46.0, 30.0))
    hepatic = ((-66.0, 18.0, 44.0), (-46.0, -36.0, 40.0), (14.0, -42.0, 44.0))
    for root, tips in ((hilum, portal), (cava, hepatic)):
        for tip in tips:
            stem = Segment(root, around(c.rng, tip, 6.0), 7.0, 5.5)
            c.add({Tissue.LIVER_VESSEL: 0.0}, *tree(c.rng, stem, 4), over=[Tissue.LIVER])


def _tumours(c: Body, depth: Field) -> None:
    """Lumps of three fused balls, cut off at the liver's surface."""
    s, rng = c.space, c.rng
    seeds = np.flatnonzero((depth > 5.0) & (c.tissue == Tissue.LIVER))
    for _ in range(c.patient.tumours):
        seed = seeds[rng.integers(len(seeds))]
        at = float(s.x.flat[seed]), float(s.y.flat[seed]), float(s.z.flat[seed])
        size = draw(rng, 0.0, 1.0)
        r = 5.0 + 24.0 * size * size  # most are small
        balls = [
            Ellipsoid(around(rng, at, 0.4 * r), around(rng, (r, r, r), 0.3 * r)) for _ in range(3)
        ]
        layers = {Tissue.TUMOUR: 0.0, Tissue.TUMOUR_CORE: 10.0}
        c.add(layers, *balls, over=[*LIVER_TISSUES, *TUMOUR_TISSUES])
