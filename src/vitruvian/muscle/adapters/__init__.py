"""Thin readers of published recordings, into the form of `vitruvian.muscle.recording`."""
