"""ST-GCN: who listens to whom, and how channels are laid out."""

from __future__ import annotations

import pytest
import torch

from vitruvian.spine.nets.stgcn import STGCN, GraphConv, partitions
from vitruvian.spine.skeletons import BLAZEPOSE, KINECT, Skeleton, skeleton_named


def test_partitions_by_hand() -> None:
    arms = Skeleton(
        "arms",
        ("neck", "left hand", "right hand"),
        bones=((0, 1), (0, 2)),
        mirror=(0, 2, 1),
    )
    itself, bones, mirror = partitions(arms)
    assert itself.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert bones.tolist() == [[0, 0.5, 0.5], [1, 0, 0], [1, 0, 0]]
    assert mirror.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("skeleton", [BLAZEPOSE, KINECT, skeleton_named("joints4x2")])
def test_weights_of_each_joint_sum_to_one(skeleton: Skeleton) -> None:
    for part in partitions(skeleton):
        torch.testing.assert_close(part.sum(1), torch.ones(len(skeleton)))


def test_a_joint_hears_those_that_its_graph_names() -> None:
    graph = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 0, 0]]])  # joint 1 listens to joint 0
    layer = GraphConv(1, 1, graph)
    torch.nn.init.ones_(layer.mix.weight)
    x = torch.tensor([5.0, 7.0, 11.0]).view(1, 1, 3, 1)
    assert layer(x).flatten().tolist() == [0, 5, 0]


def test_channels_are_joint_by_joint() -> None:
    """What a joint's channel changes in the first layer stays with that joint's neighbours."""
    chain = skeleton_named("joints5x2")
    net = STGCN(10, chain, widths=[3], strides=[1]).eval()
    seen: list[torch.Tensor] = []
    net.blocks[0].space.register_forward_hook(lambda _, args, y: seen.append(y))
    x = torch.zeros(1, 4, 10)
    net(x)
    x[0, :, 2 * 2 + 1] = 1.0  # joint 2, its second coordinate
    net(x)
    changed = (seen[1] - seen[0]).abs().sum((0, 1, 3)).nonzero().flatten()
    assert changed.tolist() == [1, 2, 3]
