"""Frames and signals on one clock: triggers, filters, sampling at the times of the frames."""
