"""How much memory a large scan takes."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import vitruvian
from tests.integration.runs import SMALL, log_of, train

SIZE, SLICES = 512, 500

# The kernel's own peak of this process; `ru_maxrss` would hold the parent's from before the exec.
PREDICT = """
import sys
from vitruvian.predict import main
try:
    main()
finally:
    (peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    print("peak_kb", peak.split()[1])
"""


def write_scan(path: Path) -> None:
    """A noisy cylinder of liver, flipped against our axes, so that reading has to copy."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((SIZE, SIZE, SLICES))
    header.set_sform(np.diag([0.7, 0.7, 1.0, 1.0]), code=1)
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    plane = np.where(x**2 + y**2 < 150**2, 110, -90).astype(np.int16)
    plane += np.random.default_rng(0).integers(-15, 16, plane.shape, dtype=np.int16)
    with gzip.open(path, "wb", compresslevel=1) as stream:
        header["vox_offset"], header["magic"] = 352, b"n+1"
        stream.write(header.binaryblock + bytes(4))
        for k in range(SLICES):
            stream.write(np.roll(plane, k, axis=0).tobytes())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="asks Linux for the peak")
def test_a_whole_scan_takes_less_than_three_gigabytes(tmp_path: Path) -> None:
    run = tmp_path / "run"
    cache = f"datamodule.cache_dir={tmp_path / 'cache'}"
    net = ("model=liver_unet2d_small", "model.net.width=1", "model.net.depth=1")
    assert train(run, (*SMALL, cache, "debug=step", *net)) == 0, log_of(run)
    write_scan(tmp_path / "scan.nii.gz")
    keys = {"run": run, "input": tmp_path / "scan.nii.gz", "output": tmp_path / "masks"}
    more = ["device=cpu", "model.inference.largest_component=true"]
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, *(f"{k}={v}" for k, v in keys.items()), *more],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(vitruvian.__file__).parents[1])},
    )
    peak_gb = int(done.stdout.split("peak_kb")[1]) / 1e6
    assert 0.5 < peak_gb < 3.0
    found = json.loads((tmp_path / "masks" / "scan_liver_simulated.json").read_text())
    assert found["shape_ijk"] == [SIZE, SIZE, SLICES]
    assert nib.load(tmp_path / "masks" / "scan_liver_simulated.nii.gz").shape == (
        SIZE,
        SIZE,
        SLICES,
    )
    print(f"peak memory: {peak_gb:.2f} GB")
