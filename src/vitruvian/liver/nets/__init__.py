"""Networks of the liver study. They need torch and nothing else, so a notebook can import them."""

from __future__ import annotations

from vitruvian.liver.nets.eas_unet import EASUNet
from vitruvian.liver.nets.unet2d import UNet2D
from vitruvian.liver.nets.vnet3d import VNet3D

__all__ = ["EASUNet", "UNet2D", "VNet3D"]
