"""Nets of the spine study. They need torch and nothing else, so a notebook can import them."""

from __future__ import annotations

from vitruvian.spine.nets.attention import BiLSTMAttention
from vitruvian.spine.nets.base import CausalNet, WindowNet
from vitruvian.spine.nets.lite import LITE
from vitruvian.spine.nets.recurrent import PoseGRU, PoseLSTM, PoseRNN
from vitruvian.spine.nets.rocket import Rocket
from vitruvian.spine.nets.stgcn import STGCN
from vitruvian.spine.nets.tcn import TCN

__all__ = [
    "LITE",
    "STGCN",
    "TCN",
    "BiLSTMAttention",
    "CausalNet",
    "PoseGRU",
    "PoseLSTM",
    "PoseRNN",
    "Rocket",
    "WindowNet",
]
