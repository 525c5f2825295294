"""Vitruvian measures the human body with deep learning."""

__version__ = "0.1.0"
