"""`train.py` as experiment templates have it: import all libraries, then read the command line."""

from __future__ import annotations

import hydra
import monai
import pytorch_lightning
import torch
from omegaconf import DictConfig, OmegaConf

from vitruvian.core.compose import register_schema
from vitruvian.core.config import config_directory

LIBRARIES = (torch, pytorch_lightning, monai)

register_schema()


@hydra.main(str(config_directory()), "train", "1.3")
def main(config: DictConfig) -> None:
    """Print the composed configuration."""
    print(OmegaConf.to_yaml(config))


if __name__ == "__main__":
    main()
