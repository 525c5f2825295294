"""DICOM series and segmentations, written here with pydicom, whole and broken on purpose."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from vitruvian.core.errors import DataError
from vitruvian.liver.labels import LITS, Labels
from vitruvian.liver.layouts import find_cases
from vitruvian.liver.readers import Case, check_case, read_image, read_label, survey

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"

COLUMNS, ROWS, SLICES = 7, 6, 5
AXIAL = (1, 0, 0, 0, 1, 0)
FEET_FIRST = (-1, 0, 0, 0, 1, 0)  # its normal points to the feet
CORONAL = (1, 0, 0, 0, 0, -1)
SAGITTAL = (0, 1, 0, 0, 0, -1)


def base(sop_class: str = CT, series: str = "1.2.3", modality: str = "CT") -> Dataset:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = pydicom.uid.generate_uid()
    data.SeriesInstanceUID, data.Modality, data.SeriesNumber = series, modality, 2
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = ROWS, COLUMNS
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 1
    return data


def write(path: Path, data: Dataset) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    return path


def ct_slice(
    position: Any, orientation: Any = AXIAL, pixels: np.ndarray | None = None, **changes: Any
) -> Dataset:
    """A slice in LPS mm; a change to None leaves the attribute out."""
    data = base(series=changes.pop("SeriesInstanceUID", "1.2.3"))
    data.ImagePositionPatient = [float(v) for v in position]
    data.ImageOrientationPatient = [float(v) for v in orientation]
    data.PixelSpacing, data.SliceThickness = [0.8, 0.7], 9.0
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    stored = np.full((ROWS, COLUMNS), 1024, np.int16) if pixels is None else pixels
    data.PixelData = stored.astype(np.int16).tobytes()
    for name, value in changes.items():
        delattr(data, name) if value is None else setattr(data, name, value)
    return data


def positions(orientation: Any = AXIAL, step: float = 2.5, count: int = SLICES) -> np.ndarray:
    normal = np.cross(orientation[:3], orientation[3:])
    return np.array([[-20.0, 30.0, -110.0] + n * step * normal for n in range(count)])


def series(folder: Path, slices: list[Dataset]) -> Case:
    """Write slices under names that say nothing about their order."""
    names = np.random.default_rng(4).permutation(len(slices))
    paths = [write(folder / f"{n:03d}.dcm", data) for n, data in zip(names, slices, strict=True)]
    return Case(folder.name, tuple(sorted(paths)), (), "dicom", labelled=False)


def plain_series(folder: Path, **changes: Any) -> Case:
    return series(folder, [ct_slice(p, **changes) for p in positions()])


def hu_at(lps: np.ndarray) -> np.ndarray:
    """A value that tells every place in the patient, in mm LPS, from every other."""
    return np.rint(lps @ [7.0, 11.0, 3.0]).astype(np.int16)


def pixel_places(position: Any, orientation: Any) -> np.ndarray:
    """LPS mm of each pixel (row, column) by DICOM PS3.3 C.7.6.2.1.1."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    across, down = np.array(orientation[:3], float), np.array(orientation[3:], float)
    return position + columns[..., None] * across * 0.7 + rows[..., None] * down * 0.8


# --- series --------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", [AXIAL, FEET_FIRST, CORONAL, SAGITTAL])
def test_every_voxel_is_where_its_header_says(tmp_path: Path, orientation: Any) -> None:
    slices = [
        ct_slice(p, orientation, hu_at(pixel_places(p, orientation)) + 1024)
        for p in positions(orientation)
    ]
    image = read_image(series(tmp_path, slices))
    z, y, x = np.indices(image.voxels.shape)
    ras = np.stack([x, y, z, np.ones_like(x)], -1) @ image.grid.canonical_affine.T
    np.testing.assert_array_equal(image.voxels, hu_at(ras[..., :3] * [-1, -1, 1]))
    np.testing.assert_array_equal(np.sign(np.diag(image.grid.canonical_affine)), [-1, -1, 1, 1])


def test_spacing_comes_from_positions_not_from_thickness(tmp_path: Path) -> None:
    image = read_image(plain_series(tmp_path))
    assert image.grid.spacing_mm == pytest.approx((2.5, 0.8, 0.7))
    assert image.grid.shape == (COLUMNS, ROWS, SLICES)


def test_rounded_positions_do_not_bias_the_spacing(tmp_path: Path) -> None:
    """0.75 mm written with one decimal: steps of 0.7 and 0.8, of which the median is wrong."""
    places = positions(step=0.75, count=9)
    places[:, 2] = np.floor(places[:, 2] * 10 + 0.5) / 10
    case = series(tmp_path, [ct_slice(p) for p in places])
    assert read_image(case).grid.spacing_mm[0] == pytest.approx(0.75, abs=0.01)


def test_each_slice_has_its_own_slope_and_intercept(tmp_path: Path) -> None:
    stored = np.arange(ROWS * COLUMNS, dtype=np.int16).reshape(ROWS, COLUMNS)
    scales = [(1.0, -1024.0), (2.0, 0.0), (0.5, -100.0), (1.0, 3.0), (0.25, 0.25)]
    slices = [
        ct_slice(p, pixels=stored, RescaleSlope=slope, RescaleIntercept=intercept)
        for p, (slope, intercept) in zip(positions(), scales, strict=True)
    ]
    image = read_image(series(tmp_path, slices))
    for found, (slope, intercept) in zip(image.voxels, scales, strict=True):
        np.testing.assert_array_equal(found, np.rint(stored * slope + intercept))


@pytest.mark.parametrize(
    ("representation", "stored", "padding", "bits"),
    [
        (1, -200, -200, "i2"),  # would be fat
        (1, -200, 65336, "u2"),  # signed pixels, but padding written as unsigned
        (0, 63536, 63536, "u2"),
        (1, 3000, 3000, "i2"),  # would be bone
    ],
)
def test_padding_becomes_minus_1024(
    tmp_path: Path, representation: int, stored: int, padding: int, bits: str
) -> None:
    pixels = np.full((ROWS, COLUMNS), 40, "i2" if representation else "u2")
    pixels[0, :3] = stored
    slices = []
    for place in positions():
        data = ct_slice(place, PixelRepresentation=representation, RescaleIntercept=0)
        data.PixelData = pixels.tobytes()
        data.add_new("PixelPaddingValue", "SS" if bits == "i2" else "US", padding)
        slices.append(data)
    found = read_image(series(tmp_path, slices)).voxels[0]
    assert found[0].tolist() == [-1024] * 3 + [40] * 4
    assert (found[1:] == 40).all()


def test_native_compression_is_decoded(tmp_path: Path) -> None:
    slices = [ct_slice(p, pixels=np.full((ROWS, COLUMNS), 1100)) for p in positions()]
    for data in slices:
        data.compress(RLELossless)
    assert (read_image(series(tmp_path, slices)).voxels == 76).all()


def test_a_tilted_gantry_is_noted(tmp_path: Path) -> None:
    tilted = positions() + np.outer(range(SLICES), [0.0, 0.4, 0.0])
    case = series(tmp_path, [ct_slice(p) for p in tilted])
    (note,) = check_case(case)
    assert "tilted gantry" in note
    assert read_image(case).grid.voxel_ml == pytest.approx(0.7 * 0.8 * 2.5 / 1000)


def drop(*numbers: int) -> Callable[[list[Dataset]], list[Dataset]]:
    return lambda slices: [s for n, s in enumerate(slices) if n not in numbers]


def change(number: int, **changes: Any) -> Callable[[list[Dataset]], list[Dataset]]:
    def changed(slices: list[Dataset]) -> list[Dataset]:
        for name, value in changes.items():
            if value is None:
                delattr(slices[number], name)
            else:
                setattr(slices[number], name, value)
        return slices

    return changed


def move(number: int, mm: float, axis: int = 2) -> Callable[[list[Dataset]], list[Dataset]]:
    def moved(slices: list[Dataset]) -> list[Dataset]:
        slices[number].ImagePositionPatient[axis] += mm
        return slices

    return moved


SERIES_FAULTS = {
    "a slice is missing": (drop(2), "slices are missing between it and .*5 mm.*elsewhere 2.5 mm"),
    "only one slice": (drop(0, 1, 2, 3), "the only slice of its series"),
    "a slice twice": (lambda s: [*s, ct_slice(positions()[1])], "same position as"),
    "uneven": (move(3, 1.0), "0.* mm from its place in an even stack of 2.5 mm"),
    "shifted sideways": (move(2, 3.0, axis=0), "3 mm from its place"),
    "another series": (change(1, SeriesInstanceUID="9.9"), "another series"),
    "another orientation": (change(1, ImageOrientationPatient=list(CORONAL)), "its orientation"),
    "another spacing": (change(1, PixelSpacing=[0.8, 0.8]), "pixel spacing in mm, .0.8, 0.8."),
    "another size": (
        change(1, Rows=ROWS - 1, PixelData=bytes(2 * (ROWS - 1) * COLUMNS)),
        r"its size in pixels, \[7, 5\]|its size in pixels, \[7, 6\]",
    ),
    "no position": (change(2, ImagePositionPatient=None), "lacks ImagePositionPatient"),
    "no orientation": (change(2, ImageOrientationPatient=None), "lacks ImageOrientationPatient"),
    "no spacing": (change(2, PixelSpacing=None), "lacks PixelSpacing"),
    "zero spacing": (lambda s: [change(n, PixelSpacing=[0, 0])(s)[n] for n in range(SLICES)],
                     "zero voxel size"),
    "skewed axes": (
        lambda s: [change(n, ImageOrientationPatient=[1, 0, 0, 1, 0, 0])(s)[n] for n in range(5)],
        "not two unit vectors",
    ),
    "colours": (change(2, SamplesPerPixel=3), "colour image"),
    "multi-frame": (change(2, SOPClassUID=ENHANCED_CT), "multi-frame.*dcm2niix"),
}  # fmt: skip


@pytest.mark.parametrize("name", SERIES_FAULTS)
def test_faulty_series_are_refused_from_headers(tmp_path: Path, name: str) -> None:
    breaks, message = SERIES_FAULTS[name]
    case = series(tmp_path / "patient", breaks([ct_slice(p) for p in positions()]))
    with pytest.raises(DataError, match=message) as caught:
        check_case(case)
    assert str(caught.value).startswith(f"case patient: {tmp_path}")


@pytest.mark.parametrize("name", ["RescaleSlope", "RescaleIntercept"])
def test_pixels_without_rescale_are_no_hu(tmp_path: Path, name: str) -> None:
    case = plain_series(tmp_path, **{name: None})
    with pytest.raises(DataError, match=f"lacks {name}"):
        read_image(case)


@pytest.mark.parametrize(
    ("keep", "message"),
    [(0, "cannot be read as DICOM"), (140, "000.dcm"), (-20, "lacks|cut short|cannot be read")],
)
def test_a_slice_cut_short(tmp_path: Path, keep: int, message: str) -> None:
    case = plain_series(tmp_path)
    content = case.images[0].read_bytes()
    case.images[0].write_bytes(content[:keep])
    with pytest.raises(DataError, match=message) as caught:
        check_case(case, voxels=True)
    assert "000.dcm" in str(caught.value)


def test_pixels_cut_short_are_found_without_reading_them(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64), np.int16)
    case = series(tmp_path, [ct_slice(p, pixels=pixels, Rows=64, Columns=64) for p in positions()])
    case.images[2].write_bytes(case.images[2].read_bytes()[:6000])
    with pytest.raises(DataError, match=r"002.dcm: the file is cut short: 6000 bytes.*8192"):
        check_case(case)


@pytest.mark.parametrize(
    ("plugins", "message"),
    [
        (["pyjpegls - requires numpy"], r"JPEG-LS.*install.*\[pyjpegls - requires numpy\]"),
        (None, "JPEG-LS.*nothing here decodes; decompress"),
    ],
)
def test_compression_without_a_decoder_names_the_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plugins: list[str] | None, message: str
) -> None:
    class Missing:
        is_available = False
        missing_dependencies = plugins

        def __init__(self, syntax: str) -> None:
            if plugins is None:
                raise NotImplementedError

    monkeypatch.setattr("pydicom.pixels.get_decoder", Missing)
    slices = [ct_slice(p) for p in positions()]
    for data in slices:
        data.PixelData = pydicom.encaps.encapsulate([b"\0" * 8])
        data.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLSLossless
    with pytest.raises(DataError, match=message):
        check_case(series(tmp_path, slices))


# --- finding -------------------------------------------------------------------------------------


def fill(folder: Path, uid: str, number: int | None = 2, names: str = "{}.dcm") -> None:
    for n, place in enumerate(positions()):
        data = ct_slice(place, SeriesInstanceUID=uid, SeriesNumber=number)
        write(folder / names.format(n), data)


def ids(root: Path, **options: Any) -> list[str]:
    return [case.id for case in find_cases(root, labelled=False, **options)]


def test_one_folder_for_each_case(tmp_path: Path) -> None:
    for n in (10, 9, 1):
        fill(tmp_path / f"patient{n}", f"1.{n}", names="IM{}")
    cases = find_cases(tmp_path, labelled=False)
    assert [case.id for case in cases] == ["patient1", "patient9", "patient10"]
    assert [len(case.images) for case in cases] == [SLICES] * 3
    assert len(survey(cases).accept()) == 3


def test_several_series_in_one_folder(tmp_path: Path) -> None:
    fill(tmp_path / "p", "1.1", 3, "a{}.dcm")
    fill(tmp_path / "p", "1.2", 4, "b{}.dcm")
    fill(tmp_path / "p", "1.4", None, "c{}.dcm")
    assert ids(tmp_path) == ["p-1.4", "p-3", "p-4"]


def test_repeated_folder_names_become_paths(tmp_path: Path) -> None:
    fill(tmp_path / "a" / "ct", "1.1")
    fill(tmp_path / "b" / "ct", "1.2")
    assert ids(tmp_path) == ["a-ct", "b-ct"]


def test_the_folder_itself_may_be_the_series(tmp_path: Path) -> None:
    fill(tmp_path / "p", "1.1")
    assert ids(tmp_path / "p") == ["p"]


def test_scouts_and_other_modalities_are_left_aside(tmp_path: Path) -> None:
    fill(tmp_path / "p", "1.1")
    write(tmp_path / "p" / "mr.dcm", base(MR, "1.7", "MR"))
    scout = ct_slice((0, 0, 0), SeriesInstanceUID="1.8", ImageType=["ORIGINAL", "", "LOCALIZER"])
    write(tmp_path / "p" / "scout.dcm", scout)
    (tmp_path / "p" / "report.txt").write_text("short")
    (case,) = find_cases(tmp_path, labelled=False)
    assert (case.id, len(case.images)) == ("p", SLICES)


def test_a_folder_without_ct_says_what_it_holds(tmp_path: Path) -> None:
    write(tmp_path / "x", base(MR, "1.7", "MR"))
    with pytest.raises(DataError, match=r"no CT series .*modalities: MR"):
        find_cases(tmp_path)


def test_a_broken_slice_is_a_fault_of_its_case_only(tmp_path: Path) -> None:
    fill(tmp_path / "good", "1.1")
    fill(tmp_path / "bad", "1.2")
    (tmp_path / "bad" / "4.dcm").write_bytes(b"")
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / "0.dcm").write_bytes(b"")
    found = survey(find_cases(tmp_path, labelled=False))
    assert [case.id for case in found.good] == ["good"]
    assert {p.case_id: "cannot be read as DICOM" in p.text for p in found.problems} == {
        "bad": True,
        "lost": True,
    }


# --- masks ---------------------------------------------------------------------------------------


def mask_voxels() -> np.ndarray:
    """Classes (slice, row, column) of a liver with a tumour, empty on the first slice."""
    voxels = np.zeros((SLICES, ROWS, COLUMNS), np.uint8)
    voxels[1:, 1:4, 2:6] = 1
    voxels[2:4, 2, 3:5] = 2
    voxels[3, 5, 0] = 1
    return voxels


def group(**values: Any) -> Sequence:
    data = Dataset()
    for name, value in values.items():
        setattr(data, name, value)
    return Sequence([data])


def segmentation(
    frames: list[tuple[int, int, np.ndarray]],
    segments: dict[int, str],
    kind: str = "BINARY",
    referred: str | None = "1.2.3",
) -> Dataset:
    """A DICOM-SEG from (segment, slice, pixels): planes per frame, the rest shared."""
    data = base(SEG, "5.5", "SEG")
    data.SegmentationType, data.NumberOfFrames = kind, len(frames)
    data.SegmentSequence = Sequence(
        [group(SegmentNumber=n, SegmentLabel=name)[0] for n, name in segments.items()]
    )
    if referred:
        data.ReferencedSeriesSequence = group(SeriesInstanceUID=referred)
    data.SharedFunctionalGroupsSequence = group(
        PlaneOrientationSequence=group(ImageOrientationPatient=list(AXIAL)),
        PixelMeasuresSequence=group(PixelSpacing=[0.8, 0.7]),
    )
    data.PerFrameFunctionalGroupsSequence = Sequence(
        [
            group(
                PlanePositionSequence=group(ImagePositionPatient=positions()[k].tolist()),
                SegmentIdentificationSequence=group(ReferencedSegmentNumber=n),
            )[0]
            for n, k, _ in frames
        ]
    )
    pixels = np.stack([pixels for _, _, pixels in frames])
    data.PixelRepresentation, data.HighBit = 0, 0 if kind == "BINARY" else 7
    data.BitsAllocated = data.BitsStored = 1 if kind == "BINARY" else 8
    if kind == "BINARY":
        packed = np.packbits(pixels.ravel(), bitorder="little").tobytes()
        data.PixelData = packed + b"\0" * (len(packed) % 2)
    else:
        data.MaximumFractionalValue = 200
        data.PixelData = (pixels * 150 + (1 - pixels) * 90).astype(np.uint8).tobytes()
    return data


def liver_frames() -> list[tuple[int, int, np.ndarray]]:
    """Tumour first, slices backward, empty planes left out."""
    classes = mask_voxels()
    planes = [(n, k, c) for n, c in ((1, classes > 0), (2, classes == 2)) for k in range(SLICES)]
    return [(n, k, c[k]) for n, k, c in reversed(planes) if c[k].any()]


NAMES = {1: "Liver", 2: "Tumor"}


def labelled_series(root: Path, seg: Dataset, name: str = "seg.dcm") -> Case:
    plain_series(root)
    write(root / name, seg)
    (case,) = find_cases(root)
    return case


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
@pytest.mark.parametrize("referred", ["1.2.3", None])
def test_a_segmentation_is_placed_by_position(
    tmp_path: Path, kind: str, referred: str | None
) -> None:
    case = labelled_series(tmp_path, segmentation(liver_frames(), NAMES, kind, referred))
    assert case.masks == (tmp_path / "seg.dcm",)
    assert check_case(case) == []
    image = read_image(case)
    label = read_label(case, image.grid)
    assert label.voxels.dtype == np.uint8
    np.testing.assert_array_equal(label.voxels, mask_voxels())


def test_segments_can_be_chosen_by_number(tmp_path: Path) -> None:
    case = labelled_series(tmp_path, segmentation(liver_frames(), {1: "Heart", 2: "Left lobe"}))
    image = read_image(case)
    found = read_label(case, image.grid, Labels([2], []))
    np.testing.assert_array_equal(found.voxels, mask_voxels() == 2)
    with pytest.raises(DataError, match=r"seg.dcm: none .*\(1: Heart, 2: Left lobe\)"):
        check_case(case, LITS)


def seg_with(**changes: Any) -> Dataset:
    data = segmentation(liver_frames(), NAMES)
    for name, value in changes.items():
        setattr(data, name, value)
    return data


def seg_moved(mm: float, axis: int) -> Dataset:
    data = segmentation(liver_frames(), NAMES)
    for item in data.PerFrameFunctionalGroupsSequence:
        item.PlanePositionSequence[0].ImagePositionPatient[axis] += mm
    return data


def seg_without(name: str) -> Dataset:
    data = segmentation(liver_frames(), NAMES)
    delattr(data.SharedFunctionalGroupsSequence[0], name)
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: seg_moved(1.0, 2), "does not lie on a slice.*0.4 voxels off"),
        (lambda: seg_moved(0.5, 0), "does not lie on a slice"),
        (lambda: seg_moved(25.0, 2), "of 0 to 4"),
        (lambda: seg_with(Rows=COLUMNS, Columns=ROWS), "frames of 6 x 7 pixels.*7 x 6"),
        (lambda: seg_with(SegmentationType="LABELMAP"), "'LABELMAP' is not read"),
        (lambda: seg_without("PixelMeasuresSequence"), "lacks PixelMeasuresSequence"),
        (lambda: segmentation(liver_frames(), {1: "Spleen"}), "none of its segments is the liver"),
    ],
)
def test_faulty_segmentations_are_refused(
    tmp_path: Path, data: Callable[[], Dataset], message: str
) -> None:
    case = labelled_series(tmp_path, data())
    with pytest.raises(DataError, match=f"seg.dcm: .*{message}"):
        check_case(case)


def test_a_segmentation_of_another_series_is_left_aside(tmp_path: Path) -> None:
    case = labelled_series(tmp_path, segmentation(liver_frames(), NAMES, referred="8.8"))
    with pytest.raises(DataError, match="has no mask beside it"):
        check_case(case)


@pytest.mark.parametrize(
    "name", ["p/segmentation.nii.gz", "segmentation-p.nii", "m/segmentation-p.nii.gz"]
)
@pytest.mark.parametrize("axes", ["RAS", "LPS", "PSL"])
def test_a_nifti_mask_beside_the_series(tmp_path: Path, name: str, axes: str) -> None:
    """Tools that turn DICOM into NIfTI choose their own orientation; the header tells which."""
    plain_series(tmp_path / "p")
    affine = np.diag([-0.7, -0.8, 2.5, 1.0])
    affine[:3, 3] = positions()[0] * [-1, -1, 1]
    image = nib.Nifti1Image(mask_voxels().transpose(2, 1, 0), affine)
    ornt = nib.orientations.ornt_transform(
        nib.io_orientation(affine), nib.orientations.axcodes2ornt(axes)
    )
    (tmp_path / name).parent.mkdir(exist_ok=True)
    nib.save(image.as_reoriented(ornt), tmp_path / name)
    (case,) = find_cases(tmp_path)
    assert check_case(case, voxels=True) == []
    found = read_label(case, read_image(case).grid)
    np.testing.assert_array_equal(found.voxels, mask_voxels())


def test_a_nifti_mask_with_an_unfilled_header_cannot_be_matched(tmp_path: Path) -> None:
    plain_series(tmp_path)
    mask = nib.Nifti1Image(mask_voxels().transpose(2, 1, 0), np.eye(4))
    nib.save(mask, tmp_path / "segmentation.nii.gz")
    (case,) = find_cases(tmp_path)
    with pytest.raises(DataError, match=r"segmentation.nii.gz: the mask's spacing"):
        check_case(case)


# --- real data -----------------------------------------------------------------------------------


def nrrd_voxels(path: Path) -> np.ndarray:
    """Payload of the gzip-encoded little-endian short NRRD files of the data set, (z, y, x)."""
    header, payload = path.read_bytes().split(b"\n\n", 1)
    assert b"encoding: gzip" in header
    return np.frombuffer(gzip.decompress(payload), "<i2").reshape(3, 512, 512)


@pytest.mark.real_data
def test_dcmqi_three_slices(real_data: Path) -> None:
    folder = real_data / "ct_dcmqi_3slice"
    (case,) = find_cases(folder)
    assert case.id == "ct_dcmqi_3slice"
    assert case.label == folder / "liver.dcm"
    assert check_case(case) == []
    image = read_image(case)
    label = read_label(case, image.grid)
    assert image.grid.spacing_mm == pytest.approx((1.0, 0.810547, 0.810547))  # thickness is 1.25
    assert image.voxels.min() == -1024
    assert np.bincount(label.voxels.ravel()).tolist() == [3 * 512 * 512 - 107098, 107098]
    np.testing.assert_array_equal(label.voxels, nrrd_voxels(folder / "liver_seg.nrrd"))
    np.testing.assert_allclose(
        image.grid.affine[:3, 3],
        [235.2, 226.8, -128.69],
        atol=1e-3,  # NRRD's origin, in RAS
    )
