"""From the state of the calf, (angle, activity), to torque, to the muscle's shape, and to EMG.

The state has two parts that vary on their own. The joint's angle slides the aponeuroses past each
other: pennation changes, thickness hardly. Activity does more than that: the fascicles shorten
against the tendon, the muscle thickens and bulges, fascicles curve. So both can be told from one
image of somebody new, at least in principle.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import signal

from vitruvian.muscle.recording import Floats
from vitruvian.muscle.simulator.person import Electrode, Muscle, Strength

EMG_BAND_HZ = (20.0, 450.0)
_DELAY_S = 0.025  # of excitation before the filter of `activation`, which delays it as much again
_FORCE_HZ = 8.0
_TENDON_TOE = 2.5  # curvature of the tendon's stretch against force
_SLACK_DEG = 5.0  # over which a slack muscle is pulled straight


class Shape(NamedTuple):
    """The muscle at one moment, or arrays of it at many; positions in mm, x to the distal end.

    Attributes:
        thickness_mm: between the aponeuroses, in the middle of the image.
        superficial_mm: displacement of the superficial aponeurosis along x.
        deep_mm: of the deep one.
        bulge_mm: of the deep aponeurosis, in its middle; the superficial one bulges half as far.
        bow_mm: displacement of the middle of the fascicles along x.
        wave_mm: amplitude of the waves of the fascicles along x.
        echo_db: change of the brightness of the muscle.
        aside_rad: how far the tissue has left the image's plane, as an angle whose cosine is the
            correlation that is left to its speckle.
        pennation_deg: mean angle of the fascicles to the superficial aponeurosis.
    """

    thickness_mm: Floats
    superficial_mm: Floats
    deep_mm: Floats
    bulge_mm: Floats
    bow_mm: Floats
    wave_mm: Floats
    echo_db: Floats
    aside_rad: Floats
    pennation_deg: Floats


def activation(excitation: Floats, rate_hz: float) -> Floats:
    """Mechanical activity 0..1 that follows the excitation seen by the EMG, about 50 ms later.

    Args:
        excitation: (n,) 0..1.
        rate_hz: samples per second.
    """
    late = round(_DELAY_S * rate_hz)
    delayed = np.concatenate([np.full(late, excitation[0]), excitation[: len(excitation) - late]])
    sections = signal.butter(2, _FORCE_HZ, fs=rate_hz, output="sos")
    settled = signal.sosfilt_zi(sections) * delayed[0]
    return np.clip(signal.sosfilt(sections, delayed, zi=settled)[0], 0.0, 1.0)


def length_curve(strength: Strength, angle_deg: Floats) -> Floats:
    """Share of the maximum that the muscle can bring up at an angle: a bell."""
    return np.exp(-0.5 * ((angle_deg - strength.optimum_deg) / strength.width_deg) ** 2)


def torque(strength: Strength, angle_deg: Floats, activity: Floats) -> Floats:
    """Torque in Nm: a passive exponential spring, and activity times the length curve."""
    passive = strength.passive_nm * np.exp(angle_deg / strength.stiffening_deg)
    return passive + activity * strength.maximum_nm * length_curve(strength, angle_deg)


def shape(muscle: Muscle, strength: Strength, angle_deg: Floats, activity: Floats) -> Shape:
    """The muscle in a state; see the module.

    Args:
        muscle: whose.
        strength: of the same person.
        angle_deg: (n,) of the joint, positive in dorsiflexion, which lengthens the muscle.
        activity: (n,) 0..1.
    """
    force = activity * length_curve(strength, angle_deg)
    stretch = muscle.shortening_mm * _stretch(force)
    passive = muscle.slide_mm_per_deg * angle_deg
    thickness = muscle.thickness_mm + muscle.thickening_mm * _stretch(force) - 0.01 * angle_deg
    slack = 0.5 - 0.5 * np.tanh((angle_deg - muscle.slack_deg) / _SLACK_DEG)
    pennation = np.degrees(np.arctan2(thickness, muscle.run_mm + passive - stretch))
    return Shape(
        thickness_mm=thickness,
        superficial_mm=0.1 * passive + 0.3 * stretch,
        deep_mm=1.1 * passive - 0.7 * stretch,
        bulge_mm=muscle.bulge_mm * activity,
        bow_mm=muscle.bow_mm * activity * (1.0 - angle_deg / 50.0),  # short fascicles bend more
        wave_mm=muscle.wave_mm * slack * np.exp(-activity / 0.08),
        echo_db=0.12 * angle_deg - 2.0 * activity,  # what lies across the beam shines
        aside_rad=0.02 * angle_deg + 0.4 * activity,
        pennation_deg=pennation,
    )


def _stretch(force: Floats) -> Floats:
    """Share of its greatest stretch that the tendon has at a share of the force: soft at first."""
    return np.expm1(-_TENDON_TOE * force) / np.expm1(-_TENDON_TOE)


def emg(
    electrode: Electrode, excitation: Floats, rate_hz: float, random: np.random.Generator
) -> Floats:
    """Raw EMG in volts at the skin: noise from 20 to 450 Hz that the excitation modulates.

    Args:
        electrode: that records it.
        excitation: (n,) 0..1.
        rate_hz: samples per second, above 900.
        random: the only source of chance.
    """
    sections = signal.butter(2, EMG_BAND_HZ, "bandpass", fs=rate_hz, output="sos")
    noise = signal.sosfilt(sections, random.standard_normal(len(excitation)))
    noise /= noise.std()
    rms = electrode.mvc_v * np.sqrt(np.pi / 2.0) * excitation  # of a rectified mean of mvc_v
    hum = electrode.hum_v * np.sin(2.0 * np.pi * 50.0 * np.arange(len(excitation)) / rate_hz)
    floor = electrode.noise_v * random.standard_normal(len(excitation))
    return rms * noise + hum + floor + electrode.offset_v
