"""A small task and small clips for the tests of what lies around the nets."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from vitruvian.spine.data.cases import SpineCase, clean_case
from vitruvian.spine.head.features import Features
from vitruvian.spine.landmarks import Clip, Landmarks
from vitruvian.spine.nets import PoseLSTM
from vitruvian.spine.pose.blazepose import BlazePose
from vitruvian.spine.regressor import SpineRegressor
from vitruvian.spine.track.cleaning import Cleaning
from vitruvian.spine.track.windows import Windows

SGD = partial(torch.optim.SGD, lr=0.01)


def task(net: Any = None, seed: int = 0, length: int = 20, **keys: Any) -> SpineRegressor:
    """A task whose weights follow from the seed."""
    torch.manual_seed(seed)
    features = keys.pop("features", None) or Features()
    windows = keys.pop("windows", None) or Windows(length, length // 2, tail=False)
    net = net or partial(PoseLSTM, embedding=8, hidden=6, dense=5)
    made = SpineRegressor(
        net, features, Cleaning(), windows, BlazePose(), nn.HuberLoss(), SGD, **keys
    )
    return made.eval()


def clip(
    name: str = "p1_walk",
    frames: int = 60,
    seed: int = 0,
    participant: str = "p1",
    rating: float = 70.0,
    hidden: float = 0.0,
    **keys: Any,
) -> Clip:
    """A clip of smooth random motion; a share `hidden` of its landmarks is not visible."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(scale=0.01, size=(frames, 33, 3)).cumsum(axis=0)
    points = (0.5 + steps).astype(np.float32)
    visibility = np.where(rng.random((frames, 33)) < hidden, 0.1, 0.9).astype(np.float32)
    landmarks = Landmarks(np.arange(frames) / 30, points, visibility, points * 2, (1280, 720))
    return Clip(name, participant, keys.pop("exercise", "walk"), landmarks, rating, **keys)


def case(**keys: Any) -> SpineCase:
    """A cleaned clip."""
    return clean_case(clip(**keys), Cleaning())
