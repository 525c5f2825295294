"""A MONAI bundle of a liver net: model, metadata, and a workflow that MONAI runs on a NIfTI.

See docs.monai.io, "MONAI Bundle Specification". The model gives probabilities of classes: of whole
volumes for a 2-D net, which is shown its slices inside the model, and of windows for a 3-D one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from vitruvian.core.export_place import BUNDLED
from vitruvian.core.exporting import Inputs, write_torchscript
from vitruvian.core.files import unwritable, write_json, write_text
from vitruvian.core.task import SIMULATED_KEY
from vitruvian.liver.probabilities import Probabilities
from vitruvian.liver.volume import PADDING_HU

if TYPE_CHECKING:
    from vitruvian.liver.segmenter import LiverSegmenter

_LICENSE = """The code that made this bundle, Vitruvian, is licensed under Apache-2.0.

The weights are yours, as far as the data that you trained them on let them be: LiTS and other sets
have licences of their own, some of which forbid commercial use. Read them before you pass this on.
See docs/README.md for the data and for the intended use: this is research software, not a medical
device, and not for diagnosis.
"""


def write_bundle(
    task: LiverSegmenter,
    module: nn.Module,
    trials: Sequence[Inputs],
    target: Path,
    provenance: Mapping[str, Any],
    metadata: Mapping[str, str],
) -> float:
    """Write a bundle; its card, docs/README.md, is written by the engine.

    Args:
        task: the trained task.
        module: from HU to logits.
        trials: for the comparison with torch.
        target: the folder; the files of an earlier bundle there are replaced, others stay.
        provenance: of the run.
        metadata: texts that the model's file carries.

    Returns:
        The largest difference from torch.

    Raises:
        RunError: the model differs from torch, or the folder cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
            made = Path(folder) / "bundle"
            difference = _write_parts(task, module, trials, made, provenance, metadata)
            _settle(made, target)
    except OSError as error:
        raise unwritable(target, error) from error
    return difference


def _settle(made: Path, target: Path) -> None:
    """Move a bundle to its place; MONAI writes predictions into the one there: they stay."""
    if not target.exists():
        made.replace(target)
        return
    for file in [path for path in made.rglob("*") if path.is_file()]:
        place = target / file.relative_to(made)
        place.parent.mkdir(exist_ok=True)
        file.replace(place)


def _write_parts(
    task: LiverSegmenter,
    module: nn.Module,
    trials: Sequence[Inputs],
    made: Path,
    provenance: Mapping[str, Any],
    metadata: Mapping[str, str],
) -> float:
    def whole(net: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
        inference, low = task.inference, float(task.window.limits[0])
        shape = (task.spatial_dims, task.context, task.divisor, max(1, inference.batch_size))
        return torch.jit.script(Probabilities(net, *shape, inference.mirror, low))

    difference = write_torchscript(module, made / BUNDLED, trials, metadata, whole)
    write_json(made / "configs" / "metadata.json", metadata_json(task, provenance))
    write_json(made / "configs" / "inference.json", inference_json(task, provenance))
    write_text(made / "LICENSE", _LICENSE)
    return difference


def metadata_json(task: LiverSegmenter, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What MONAI's schema of metadata asks for, and the window and the spacing besides."""
    import monai
    import numpy as np

    from vitruvian.liver.exporting import CLASSES, DATA, USE

    versions = dict(provenance.get("versions", {}))
    simulated = bool(provenance.get(SIMULATED_KEY))
    low, high = task.window.limits.tolist()
    classes = ", ".join(f"{i} {name}" for i, name in enumerate(CLASSES[: task.classes]))
    title = f"Liver in CT by {type(task.net).__name__}{' (SIMULATED)' if simulated else ''}"
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
        "meta_schema_20240725.json",
        "version": "1.0.0",
        "changelog": {"1.0.0": "exported"},
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__,
        "numpy_version": np.__version__,
        "required_packages_version": {name: _version(name) for name in ("nibabel", "scipy")},
        "name": title,
        "task": "segmentation of the liver in CT",
        "description": f"{title}, trained with Vitruvian {versions.get('vitruvian')}",
        "authors": "whoever trained it, with Vitruvian",
        "copyright": "see LICENSE",
        "data_source": "simulated phantoms" if simulated else "see docs/README.md",
        "data_type": "nifti",
        "image_classes": "one CT scan in HU, in LPS order (axes z, y, x)",
        "label_classes": classes,
        "pred_classes": classes,
        "intended_use": USE,
        "data_licence": DATA,
        "trained_on_simulated": simulated,
        "intensity_window_hu": [low, high],
        "spacing_mm": "as the scan has it: nothing is resampled",
        "vitruvian": {key: provenance.get(key) for key in ("checkpoint_sha256", "versions")},
        "network_data_format": _network_data(task, CLASSES),
    }


def _network_data(task: LiverSegmenter, names: Sequence[str]) -> dict[str, Any]:
    """What the model is given and what it gives, as MONAI's schema says it."""
    windows = task.spatial_dims == 3
    spatial = list(task.inference.patch) if windows else ["*", "*", "*"]
    shared = {"type": "image", "spatial_shape": spatial, "dtype": "float32"}
    image = {
        "format": "hounsfield",
        "modality": "CT",
        "num_channels": 1,
        "value_range": [PADDING_HU, 3071],
        "is_patch_data": windows,
        "channel_def": {"0": "image"},
    }
    pred = {
        "format": "segmentation",
        "num_channels": task.classes,
        "value_range": [0, 1],
        "is_patch_data": windows,
        "channel_def": {str(i): name for i, name in enumerate(names[: task.classes])},
    }
    return {"inputs": {"image": shared | image}, "outputs": {"pred": shared | pred}}


def _version(package: str) -> str:
    from importlib import metadata

    return metadata.version(package)


def inference_json(task: LiverSegmenter, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """A workflow for `python -m monai.bundle run`: read, put in order, infer, put back, write."""
    mark = "_simulated" if provenance.get(SIMULATED_KEY) else ""
    return {
        "imports": [
            "$import numpy as np",
            "$import torch",
            "$from pathlib import Path",
            "$from scipy import ndimage",
        ],
        "bundle_root": ".",
        "image": "scan.nii.gz",
        "output_dir": "$str(@bundle_root) + '/predictions'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "images": "$sorted(str(f) for f in Path(@image).glob('*.nii*')) "
        "if Path(@image).is_dir() else [str(@image)]",
        "network_def": "$torch.jit.load(str(@bundle_root) + '/models/model.ts', "
        "map_location=@device).eval()",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image", "image_only": True},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                # z to the head, y to the back, x to the left: the axes of the net's input
                {"_target_": "Orientationd", "keys": "image", "axcodes": "SPL", "labels": None},
                {"_target_": "EnsureTyped", "keys": "image", "device": "@device"},
            ],
        },
        "inferer": _inferer(task),
        "largest": "$lambda regions: regions == np.bincount(regions.ravel())[1:].argmax() + 1 "
        "if regions.any() else regions > 0",
        "one_liver": "$lambda x: x * torch.as_tensor("
        "@largest(ndimage.label(x[0].cpu().numpy())[0])).to(x.device)",
        "postprocessing": {"_target_": "Compose", "transforms": _after(task, mark)},
        "predict": "$lambda item: {**item, 'pred': "
        "@inferer(item['image'][None].as_tensor(), @network_def)[0]}",
        "run": [
            "$[@postprocessing(@predict(@preprocessing({'image': image}))) for image in @images]"
        ],
    }


def _inferer(task: LiverSegmenter) -> dict[str, Any]:
    if task.spatial_dims == 2:
        return {"_target_": "SimpleInferer"}
    return {
        "_target_": "SlidingWindowInferer",
        "roi_size": list(task.inference.patch),
        "sw_batch_size": task.inference.batch_size,
        "overlap": task.inference.overlap,
        "mode": "gaussian",
        "cval": PADDING_HU,
    }


def _after(task: LiverSegmenter, mark: str) -> list[dict[str, Any]]:
    # MONAI's own transform would need scikit-image
    one_liver = {"_target_": "Lambdad", "keys": "pred", "func": "@one_liver"}
    return [
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
        *([one_liver] if task.inference.largest_component else []),
        {
            "_target_": "Invertd",
            "keys": "pred",
            "transform": "@preprocessing",
            "orig_keys": "image",
            "nearest_interp": True,
            "to_tensor": True,
        },
        {
            "_target_": "SaveImaged",
            "keys": "pred",
            "output_dir": "@output_dir",
            "output_postfix": f"liver{mark}",
            "output_dtype": "uint8",
            "separate_folder": False,
            "resample": False,
        },
    ]
