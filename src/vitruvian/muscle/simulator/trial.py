"""One simulated trial: its signals, its frames, and the truth about both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import starmap
from typing import Any

import numpy as np

from vitruvian.core.sampling import generator
from vitruvian.muscle.recording import ClockSource, Floats, Image, Mask, Recording, Signal
from vitruvian.muscle.simulator.clocks import SIGNAL_HZ, Clocks
from vitruvian.muscle.simulator.person import Person
from vitruvian.muscle.simulator.physiology import Shape, activation, emg, shape, torque
from vitruvian.muscle.simulator.protocol import TASKS, Design, Effort, Task, effort, multisine
from vitruvian.muscle.simulator.render import Picture, Probe, Renderer

_TRIAL = 2  # stream of chance, with one for each of these:
_CLOCK, _EFFORT, _EMG, _SENSOR, _PROBE, _FRAMES = range(6)
_ANGLE_NOISE_DEG = 0.02
_TORQUE_NOISE_NM = 0.15
_MOVING = ((0.6, 0.02), (0.2, 0.008), (0.35, 0.01))  # slide, press, tilt: drift and tremor


@dataclass(frozen=True)
class SimulatedTrial:
    """A trial of somebody; the same arguments give the same trial.

    Attributes:
        person: who.
        task: what is done.
        frames: number of images.
        rate_hz: that the scanner claims.
        design: how angle and activity are related.
    """

    person: Person
    task: Task
    frames: int
    rate_hz: float = 25.0
    design: Design = "independent"

    @property
    def name(self) -> str:
        """As recording, such as P01_passive."""
        return f"{self.person.name}_{self.task}"

    @cached_property
    def clocks(self) -> Clocks:
        """Of the scanner and of the acquisition."""
        return Clocks.drawn(self.frames, self.rate_hz, self._random(_CLOCK))

    @cached_property
    def _times_s(self) -> Floats:
        """Of everything that happens: the signals, and frames after their end."""
        seconds = max(self.clocks.samples / SIGNAL_HZ, float(self.clocks.times_s[-1])) + 0.01
        return np.arange(round(seconds * SIGNAL_HZ) + 1) / SIGNAL_HZ

    @cached_property
    def _effort(self) -> Effort:
        return effort(self.task, self._times_s, self._random(_EFFORT), self.design)

    @cached_property
    def _activity(self) -> Floats:
        return activation(self._effort.excitation, SIGNAL_HZ)

    def signals(self) -> dict[str, Signal]:
        """angle_deg, torque_nm, raw emg_v and the trigger, by name, as the sensors give them."""
        sensor, samples = self._random(_SENSOR), self.clocks.samples
        angle, excitation = (values[:samples] for values in self._effort)
        moment = torque(self.person.strength, angle, self._activity[:samples])
        moment = moment + _TORQUE_NOISE_NM * sensor.standard_normal(samples)
        angle = angle + _ANGLE_NOISE_DEG * sensor.standard_normal(samples)
        muscle = emg(self.person.electrode, excitation, SIGNAL_HZ, self._random(_EMG))
        return {
            "angle_deg": Signal(angle, SIGNAL_HZ, unit="deg"),
            "torque_nm": Signal(moment, SIGNAL_HZ, unit="Nm"),
            "emg_v": Signal(muscle, SIGNAL_HZ, unit="V"),
            "trigger": Signal(self.clocks.trigger(), SIGNAL_HZ, unit="V"),
        }

    def states(self) -> tuple[Floats, Floats]:
        """(frames,) true angle in deg and true activity when each frame is taken."""
        return self._at_frames(self._effort.angle_deg), self._at_frames(self._activity)

    def _at_frames(self, values: Floats) -> Floats:
        return np.interp(self.clocks.times_s, self._times_s, values)

    def shapes(self) -> Shape:
        """The muscle's shape in each frame: arrays of (frames,)."""
        return shape(self.person.muscle, self.person.strength, *self.states())

    def probes(self) -> list[Probe]:
        """How the probe lies in each frame: it drifts, and trembles a little."""
        times, random = self.clocks.times_s, self._random(_PROBE)

        def moving(drift: float, tremor: float) -> Floats:
            slow = multisine(times, random.uniform(0.01, 0.08, 3), random)
            quick = multisine(times, random.uniform(6.0, 10.0, 3), random)
            return drift * slow + tremor * quick

        return list(starmap(Probe, zip(*(moving(*sizes) for sizes in _MOVING), strict=True)))

    def pictures(self) -> Iterator[Picture]:
        """Yield frame and mask, in order."""
        renderer, random = Renderer(self.person), self._random(_FRAMES)
        shapes = starmap(Shape, zip(*self.shapes(), strict=True))
        for one, probe in zip(shapes, self.probes(), strict=True):
            yield renderer.picture(one, probe, random)

    def recording(self, masks: Mask | None = None) -> Recording:
        """The trial as a recording whose frames are rendered each time they are asked for."""
        person, pixel = self.person, self.person.scanner.mm_per_pixel
        return Recording(
            name=self.name,
            participant=person.name,
            task=self.task,
            frames=SimulatedFrames(self),
            frame_count=self.frames,
            signals=self.signals(),
            clock=ClockSource("pulses", "trigger", rate_hz=self.rate_hz),
            mm_per_pixel=(pixel, pixel),
            masks=masks,
            emg_mvc_v=person.electrode.mvc_v,
            person={"sex": "F" if person.female else "M", "age": person.age},
            simulated=True,
        )

    def rendered(self) -> tuple[list[Image], Recording]:
        """All images, and the recording with the masks that belong to them."""
        pictures = list(self.pictures())
        masks = np.stack([picture.mask for picture in pictures])
        return [picture.image for picture in pictures], self.recording(masks)

    def truth(self) -> dict[str, Any]:
        """What is so, to test against: clocks, and the state and the shape in each frame."""
        angle, activity = self.states()
        clocks, shapes = self.clocks, self.shapes()
        return {
            "simulated": True,
            "design": self.design,
            "rate_hz": clocks.rate_hz,
            "offset_s": clocks.offset_s,
            "dropped": list(clocks.dropped),
            "doubled": list(clocks.doubled),
            "times_s": _rounded(clocks.times_s, 6),
            "angle_deg": _rounded(angle),
            "activity": _rounded(activity),
            "torque_nm": _rounded(torque(self.person.strength, angle, activity)),
            "fascicle_angle_deg": _rounded(shapes.pennation_deg),
            "thickness_mm": _rounded(shapes.thickness_mm),
        }

    def _random(self, stream: int) -> np.random.Generator:
        task = TASKS.index(self.task)
        return generator(self.person.seed, _TRIAL, self.person.number, task, stream)


@dataclass(frozen=True)
class SimulatedFrames:
    """The images of a simulated trial, as `Frames`.

    Attributes:
        trial: whose images they are.
    """

    trial: SimulatedTrial

    @property
    def count(self) -> int:
        """Number of frames."""
        return self.trial.frames

    @property
    def claimed_rate_hz(self) -> float | None:
        """Nominal rate, which the scanner does not quite keep."""
        return self.trial.rate_hz

    def __iter__(self) -> Iterator[Image]:
        """Render the frames in order."""
        return (picture.image for picture in self.trial.pictures())


def _rounded(values: Floats, digits: int = 4) -> list[float]:
    return [round(float(value), digits) for value in values]
