"""What every study's data module shares: cases by subject, splits, and a place to resume from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl

from vitruvian.core.errors import DataError
from vitruvian.core.examination import Examined
from vitruvian.core.sampling import BatchDataset, EpochOrder, TrainBatches, shard_cases
from vitruvian.core.splits import Splits

Part = Literal["train", "val", "test", "all"]


class Cases:
    """Cases to evaluate one by one (Lightning would take a plain list for several loaders)."""

    def __init__(self, cases: Sequence[Any]) -> None:
        self._cases = list(cases)

    def __len__(self) -> int:
        """Number of cases."""
        return len(self._cases)

    def __iter__(self) -> Iterator[Any]:
        """Yield the cases."""
        return iter(self._cases)


@dataclass(frozen=True)
class Batching:
    """How training items come together.

    Attributes:
        batch_size: items in a batch of one process.
        samples_per_epoch: items of an epoch; None: each once.
        workers: loader processes; 0: a thread.
        pin_memory: copy batches to page-locked memory.
        seed: of the order, and of what is drawn for each item.
    """

    batch_size: int
    samples_per_epoch: int | None
    workers: int
    pin_memory: bool
    seed: int


class DataModule(pl.LightningDataModule):
    """Cases of subjects; a study fills in the abstract methods.

    Attributes:
        position: returns (epoch, batches already done) of the epoch that starts; set by the engine.
        evaluated: the part that `test_dataloader` delivers.
    """

    position: Callable[[], tuple[int, int]]

    def __init__(self) -> None:
        super().__init__()
        self.position = lambda: (0, 0)
        self.evaluated: Part = "test"
        self._splits: Splits | None = None

    # -- what a study writes ------------------------------------------------------------------

    @abstractmethod
    def prepare(self) -> None:
        """Find the cases, check them and convert what is not in the store yet.

        Raises:
            DataError: cases are missing or broken.
        """

    @abstractmethod
    def examine(self, figures: Path | None = None) -> Iterator[Examined]:
        """Look at every case without training: what was understood, what is wrong.

        It does not need `prepare`. A case that cannot be used is yielded with its problems and
        never stops the others.

        Args:
            figures: folder for a picture of each case, where the study draws one; None: none.

        Raises:
            UserError: there is nothing to look at, such as a root that does not exist.
        """

    @property
    @abstractmethod
    def subjects(self) -> list[str]:
        """Every subject that has cases; known after `prepare`."""

    @property
    @abstractmethod
    def simulated(self) -> bool:
        """Whether any of the data comes from a simulator."""

    @property
    def strata(self) -> dict[str, str]:
        """The class of each subject that a split should spread evenly; empty: there are none."""
        return {}

    @property
    def leaky(self) -> str:
        """Why figures on these data flatter, such as one person on several sides; else empty."""
        return ""

    @abstractmethod
    def train_batches(self) -> TrainBatches:
        """Training batches that can start anywhere in an epoch."""

    @abstractmethod
    def cases(self, subjects: Sequence[str]) -> list[Any]:
        """The cases of these subjects, as `Task.evaluate_case` takes them."""

    def ordered(self, dataset: BatchDataset, batching: Batching) -> TrainBatches:
        """This rank's batches of a data set, in an order that can be resumed anywhere."""
        order = EpochOrder(
            len(dataset),
            batching.batch_size,
            batching.seed,
            *self.rank_and_world(),
            samples_per_epoch=batching.samples_per_epoch,
        )
        return TrainBatches(
            dataset,
            order,
            self.position,
            num_workers=batching.workers,
            pin_memory=batching.pin_memory,
        )

    # -- what Lightning asks ------------------------------------------------------------------

    @property
    def splits(self) -> Splits:
        """Who is trained on, validated on and tested on."""
        assert self._splits is not None, "DataModule.use has not been called"
        return self._splits

    def use(self, splits: Splits) -> None:
        """Take the splits that the run directory holds.

        Raises:
            DataError: subjects of the splits are not among the data.
        """
        absent = [s for s in (*splits.train, *splits.val, *splits.test) if s not in self.subjects]
        if absent:
            listed = ", ".join(absent[:8]) + (" ..." if len(absent) > 8 else "")
            raise DataError(
                f"{len(absent)} subjects of the run's splits are not among the data: {listed}; put "
                "them back, or evaluate other data with split=all"
            )
        self._splits = splits

    def part(self, name: Part) -> list[str]:
        """Subjects of one part; `all` is everyone found."""
        if name == "all":
            return self.subjects
        return list(getattr(self.splits, name))

    def train_dataloader(self) -> TrainBatches:
        """As Lightning asks for it."""
        return self.train_batches()

    def val_dataloader(self) -> Cases:
        """This rank's validation cases."""
        return self._shard(self.part("val"))

    def test_dataloader(self) -> Cases:
        """This rank's cases of the part under evaluation."""
        return self._shard(self.part(self.evaluated))

    def _shard(self, subjects: Sequence[str]) -> Cases:
        cases = self.cases(subjects)
        return Cases([cases[i] for i in shard_cases(len(cases), *self.rank_and_world())])

    def rank_and_world(self) -> tuple[int, int]:
        """This process and how many there are."""
        if self.trainer is None:
            return 0, 1
        return int(self.trainer.global_rank), int(self.trainer.world_size)
