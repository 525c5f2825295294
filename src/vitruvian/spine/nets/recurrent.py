"""Recurrent nets: the paper's LSTM, its rival in Table II, and a GRU.

Source: paper 003, sections III.B and III.D, equation 2, Table II.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from vitruvian.spine.nets.base import CausalNet, Head, Output, Pooling, State
from vitruvian.spine.nets.checks import require_count, require_probability
from vitruvian.spine.skeletons import Skeleton


class Recurrent(CausalNet):
    """Embedding -> recurrent layers -> dense block -> one neuron; subclasses give the cell.

    The paper names 193 both as the size of what is embedded and as that of the dense block, but 33
    landmarks of 3 coordinates are 99: a learned embedding makes 193 of them.

    Args:
        channels: of the input; 99 in the paper.
        skeleton: of no use to these nets; every net of the study takes it.
        embedding: neurons of the linear embedding of each frame; None: there is none.
        hidden: units of each recurrent layer; the paper does not give them.
        layers: number of recurrent layers; the paper has "blocks".
        dense: neurons of the dense block, or of several.
        dropout: probability of dropping a feature between recurrent layers and before the dense
            block, in [0, 1).
        output: activation of the last neuron: "leaky_relu" (equation 2), "relu" (as the paper
            calls it), "sigmoid" or "none".
        pooling: "last": the state after the last frame; "mean": of all frames.

    Raises:
        ValueError: an argument is not legal; the message names it and the legal values.
    """

    kind: ClassVar[Callable[..., nn.RNNBase]]
    held: ClassVar[int]  # tensors that a cell carries

    def __init__(
        self,
        channels: int,
        skeleton: Skeleton | None = None,
        *,
        embedding: int | None = 193,
        hidden: int = 128,
        layers: int = 2,
        dense: int | Sequence[int] = 193,
        dropout: float = 0.2,
        output: Output = "leaky_relu",
        pooling: Pooling = "last",
    ) -> None:
        require_count(hidden=hidden, layers=layers)
        require_probability("dropout", dropout)
        super().__init__(channels, Head(hidden, dense, dropout, output), pooling)
        if embedding is not None:
            require_count(embedding=embedding)
        self.embedding = nn.Linear(channels, embedding) if embedding else nn.Identity()
        self.cells = self.kind(
            embedding or channels,
            hidden,
            layers,
            batch_first=True,
            dropout=dropout if layers > 1 else 0.0,  # it acts between layers only, and says so
        )

    @staticmethod
    @abstractmethod
    def cell(x: Tensor, held: State, weights: Sequence[Tensor]) -> State:
        """One layer, one frame: what it carries on; the first tensor is its output."""

    def frames(self, x: Tensor) -> Tensor:
        """Output of the last layer at every frame: (n, T, channels) -> (n, T, hidden)."""
        outputs: Tensor = self.cells(self.embedding(x))[0]
        return outputs

    def before(self, n: int) -> State:
        """Zeros: for each layer the tensors of its cell, (n, hidden)."""
        return self._zeros(n, *[self.cells.hidden_size] * (self.held * self.cells.num_layers))

    def advance(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Output of the last layer at the next frame, (n, channels) -> (n, hidden)."""
        x = self.embedding(x)
        after: list[Tensor] = []
        for layer, weights in enumerate(self.cells.all_weights):
            first = layer * self.held
            after += self.cell(x, state[first : first + self.held], weights)
            x = after[first]
        return x, tuple(after)

    def fold(self) -> None:
        """Multiply the embedding into the first layer, in place, for inference.

        The embedding has no activation, so the values stay the same (within rounding); it was
        there to be trained. A quarter of the work of a frame goes.
        """
        if isinstance(self.embedding, nn.Identity):
            return
        old, embedding = self.cells, self.embedding
        weights = old.state_dict()
        kernel = weights["weight_ih_l0"]
        weights["bias_ih_l0"] = weights["bias_ih_l0"] + kernel @ embedding.bias.detach()
        weights["weight_ih_l0"] = kernel @ embedding.weight.detach()
        self.cells = self.kind(
            self.channels, old.hidden_size, old.num_layers, batch_first=True, dropout=old.dropout
        ).to(kernel)
        self.cells.load_state_dict(weights)
        self.cells.train(self.training)
        self.embedding = nn.Identity()


class PoseLSTM(Recurrent):
    """Paper 003's net: 99 -> embedding 193 -> LSTM 2 x 128 -> dense 193 -> 1.

    341,863 parameters at 99 channels. Its equations 3 to 5 are those of the standard LSTM with
    the numbers of two gates exchanged and the cell's update left out; this is the standard one.
    """

    kind: ClassVar[Callable[..., nn.RNNBase]] = nn.LSTM
    held: ClassVar[int] = 2

    @staticmethod
    def cell(x: Tensor, held: State, weights: Sequence[Tensor]) -> State:
        """One LSTM layer, one frame: its output and its memory."""
        return torch.lstm_cell(x, held, *weights)


class PoseRNN(Recurrent):
    """The rival in paper 003's Table II: the same net with plain tanh cells."""

    kind: ClassVar[Callable[..., nn.RNNBase]] = nn.RNN
    held: ClassVar[int] = 1

    @staticmethod
    def cell(x: Tensor, held: State, weights: Sequence[Tensor]) -> State:
        """One tanh layer, one frame: its output."""
        return (torch.rnn_tanh_cell(x, held[0], *weights),)


class PoseGRU(Recurrent):
    """The same net with gated recurrent units, the recurrent baseline of public benchmarks."""

    kind: ClassVar[Callable[..., nn.RNNBase]] = nn.GRU
    held: ClassVar[int] = 1

    @staticmethod
    def cell(x: Tensor, held: State, weights: Sequence[Tensor]) -> State:
        """One GRU layer, one frame: its output."""
        return (torch.gru_cell(x, held[0], *weights),)
