"""Nets of the muscle study. They need torch and nothing else, so a notebook can import them.

Every net is built as `Net(channels, outputs, size, ...)` and maps (n, channels, height, width) to
(n, outputs).
"""

from __future__ import annotations

from vitruvian.muscle.nets.cnn import MuscleCNN
from vitruvian.muscle.nets.physics import PhysicsNet
from vitruvian.muscle.nets.resnet import MuscleResNet
from vitruvian.muscle.nets.separate import SeparateNets
from vitruvian.muscle.nets.siamese import SiamesePair
from vitruvian.muscle.nets.temporal import TemporalNet

__all__ = [
    "MuscleCNN",
    "MuscleResNet",
    "PhysicsNet",
    "SeparateNets",
    "SiamesePair",
    "TemporalNet",
]
