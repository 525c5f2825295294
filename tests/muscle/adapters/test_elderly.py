"""EMG of the elderly: its envelope goes with the force, whatever its offset and drift."""

from __future__ import annotations

import numpy as np
import pytest

from vitruvian.core.errors import DataError
from vitruvian.muscle.adapters.elderly import read_elderly
from vitruvian.muscle.recording import Signal
from vitruvian.muscle.sync.emg import EmgEnvelope
from vitruvian.muscle.sync.faults import faults
from vitruvian.muscle.sync.torque import TorqueFilter

INNER = slice(1000, -1000)


@pytest.fixture(scope="module")
def workbook(real_data):
    return real_data / "emg_dynamometry_elderly" / "ID 11.xlsx"


@pytest.fixture(scope="module")
def tibialis(workbook):
    return read_elderly(workbook, "TA")


def _r(emg, force):
    return np.corrcoef(emg.values[INNER], force.values[INNER])[0, 1]


@pytest.mark.real_data
def test_the_envelope_goes_with_the_force(tibialis):
    emg, force = tibialis.signals["emg_v"], tibialis.signals["force_n"]
    smooth = TorqueFilter().apply(force)
    assert _r(EmgEnvelope(lowpass_hz=2).apply(emg), smooth) > 0.9  # measured: 0.93
    assert _r(EmgEnvelope().apply(emg), smooth) > 0.8
    assert abs(_r(emg, force)) < 0.1
    assert faults("emg_v", emg) == []


@pytest.mark.real_data
def test_offset_and_drift_do_not_matter(tibialis):
    emg = tibialis.signals["emg_v"]
    drifting = Signal(emg.values + 1e-3 + np.linspace(0, 5e-4, len(emg.values)), emg.rate_hz)
    plain, shifted = (EmgEnvelope().apply(s).values[INNER] for s in (emg, drifting))
    np.testing.assert_allclose(plain, shifted, rtol=1e-3, atol=1e-8)


@pytest.mark.real_data
def test_the_lateral_gastrocnemius_holds_no_emg(workbook):
    recording = read_elderly(workbook)
    emg = recording.signals["emg_v"]
    assert (len(emg.values), emg.rate_hz, emg.unit) == (20001, 2000.0, "V")
    assert emg.values[0] == pytest.approx(36.6990231990231e-6)
    assert recording.signals["force_n"].values[0] == pytest.approx(13.6230743589743 * 9.80665)
    assert "only 26 levels of its converter" in faults("emg_v", emg)[0]


def _write(path, sheets):
    import openpyxl

    book = openpyxl.Workbook()
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)


ROW = [1, 2, 3, 4]


def test_the_column_of_the_muscle_is_read(tmp_path):
    path = tmp_path / "ID 3.xlsx"
    _write(path, {"DNM": [[1, 2, 3, 4]], "EMG_VL": [[5, 6, 7, 8], [1, 0, 0, 0]]})
    recording = read_elderly(path, "VL")
    assert recording.signals["emg_v"].values == pytest.approx([5e-6, 1e-6])
    assert recording.signals["force_n"].values == pytest.approx([9.80665])
    assert (recording.name, recording.participant) == ("ID_3_VL", "ID 3")


@pytest.mark.parametrize(
    "sheets", [{"DNM": [ROW]}, {"DNM": [ROW], "EMG_LG": [ROW, [1, 2, 3, "four"]]}]
)
def test_other_workbooks_are_refused(tmp_path, sheets):
    path = tmp_path / "ID 3.xlsx"
    _write(path, sheets)
    with pytest.raises(DataError, match=r"ID 3.xlsx: not a workbook of this study"):
        read_elderly(path)


@pytest.mark.parametrize("name", ["ID 3.xlsx", "ID 3.csv"])
def test_other_files_are_refused(tmp_path, name):
    (tmp_path / name).write_text("no workbook")
    with pytest.raises(DataError, match="not a workbook of this study"):
        read_elderly(tmp_path / name)
