"""EMG and dynamometry of the lower limb of the elderly: a calf's EMG beside its force.

Silva et al., Biomedical Signal Processing and Control 88:105635 (2024), CC0; one workbook for each
participant. There is no ultrasound, so the recordings have no frames.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np

from vitruvian.core.errors import DataError
from vitruvian.muscle.recording import ClockSource, Floats, Recording, Signal

RATE_HZ = 2000.0
Muscle = Literal["VL", "BF", "TA", "LG"]
_COLUMNS: dict[Muscle, int] = {"VL": 1, "BF": 2, "TA": 3, "LG": 4}
_KGF = 9.80665  # N; the load cell is rated in kgf (README of the data, 3.2)
_MICRO = 1e-6  # no unit is given; a skin EMG of +-300 on a 12-bit scale of 2.44 is in microvolts


def read_elderly(path: Path, muscle: Muscle = "LG") -> Recording:
    """Read the contraction of one muscle of one participant.

    In `ID 11.xlsx`, the one workbook that we have, the channel of the lateral gastrocnemius (LG)
    holds the last bits of its converter and drift, but no EMG; the tibialis anterior (TA) is sound.

    Args:
        path: a workbook such as `ID 11.xlsx`.
        muscle: vastus lateralis, biceps femoris, tibialis anterior or lateral gastrocnemius.

    Returns:
        A recording without frames: `emg_v` of the muscle during its own contraction, raw, with the
        offset and drift it has; and `force_n` of the dynamometer.

    Raises:
        DataError: the file is no such workbook.
    """
    emg, force = _sheets(path, _COLUMNS[muscle], f"EMG_{muscle}", "DNM")
    return Recording(
        name=f"{path.stem.replace(' ', '_')}_{muscle}",
        participant=path.stem,
        task="isometric",
        frames=None,
        frame_count=0,
        signals={
            "emg_v": Signal(emg * _MICRO, RATE_HZ, unit="V"),
            "force_n": Signal(force * _KGF, RATE_HZ, unit="N"),
        },
        clock=ClockSource("pulses", times_s=np.zeros(0)),
        sources=(path,),
        notes=("emg_v: the file names no unit; taken as microvolts",),
    )


def _sheets(path: Path, column: int, *names: str) -> list[Floats]:
    """One column of each sheet."""
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            return [_column(book[name], column) for name in names]
        finally:
            book.close()
    except (OSError, BadZipFile, KeyError, ValueError, TypeError, InvalidFileException) as error:
        raise DataError(f"{path}: not a workbook of this study: {error}") from error


def _column(sheet: Any, column: int) -> Floats:
    rows = sheet.iter_rows(min_col=column, max_col=column, values_only=True)
    return np.array([row[0] for row in rows], np.float64)
