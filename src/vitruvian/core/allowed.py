"""Which `_target_` names a config may use.

A config, or the config inside a checkpoint, is data that came from somebody else, and `_target_`
turns data into calls. So a name is refused unless what it leads to is *defined* in an allowed
package: walking through a module's imports (`vitruvian.core.files.os.system`) or through dunder
names leads nowhere. Only the person at the keyboard extends the list:

    VITRUVIAN_ALLOW_TARGETS=mylab.nets,mylab.losses vitruvian-train ...

Classes are the rule, because building objects is all a config is for. A function does its work at
once (`vitruvian.core.files.write_text` writes any file), so outside the few `FACTORIES` it is
refused, our own functions included.
"""

from __future__ import annotations

import os
from typing import Final

from vitruvian.core.errors import ConfigError

VARIABLE: Final = "VITRUVIAN_ALLOW_TARGETS"

# `monai.networks` itself is left out: its `utils` write files and call exporters. So is
# `monai.transforms`: LoadImage(reader="any.dotted.name") imports and calls what the text names.
ALLOWED: Final = (
    "vitruvian",
    "torch.nn",
    "torch.optim",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.trainer.trainer.Trainer",  # where the line above is defined
    "pytorch_lightning.callbacks",
    "pytorch_lightning.loggers",
    "pytorch_lightning.strategies",
    "pytorch_lightning.plugins",
    "pytorch_lightning.profilers",
    "lightning_fabric.plugins",  # where pytorch_lightning.plugins.environments is defined
    "monai.networks.nets",
    "monai.networks.blocks",
    "monai.networks.layers",
    "monai.losses",
    "monai.metrics",
    "monai.inferers",
    "torchmetrics",
    "optuna.samplers",  # of studies, see sweeps/study.py
    "optuna.pruners",
)

# Packages whose functions only compute or only build a network.
FACTORIES: Final = ("torch.nn.functional", "monai.networks.nets")

# Inside the allowed packages, what turns plain text into code.
REFUSED: Final = {
    "monai.inferers.inferer.PatchInferer": "it imports whatever its merger_cls names",
    "monai.losses.perceptual": "it downloads code through torch.hub and runs it",
    "torchmetrics.multimodal": "it runs code that comes with a downloaded model",
}


def permit_name(target: str) -> None:
    """Refuse a `_target_` that is no plain dotted name, or starts outside the allow-list.

    Raises:
        ConfigError: with the allowed packages and how to add one's own.
    """
    parts = target.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ConfigError(f"`{target}` is not a dotted name such as torch.optim.SGD")
    if any(part.startswith("_") for part in parts):
        raise ConfigError(f"{target} names something private, which a config may not reach")
    permit_home(target)


def permit_home(home: str, *, function: bool = False) -> None:
    """Refuse a definition (`module.qualname`) that lies outside the allow-list.

    Args:
        home: where the thing is really defined, whatever name led to it.
        function: it is a function, which only the packages in `FACTORIES` may offer.

    Raises:
        ConfigError: with the reason.
    """
    if within(home, added()):
        return
    if not within(home, ALLOWED):
        packages = ", ".join(dict.fromkeys(prefix.split(".")[0] for prefix in ALLOWED))
        raise ConfigError(
            f"{home} may not be built from a config; allowed are parts of {packages} "
            f"and, with {VARIABLE}=package, a package of your own"
        )
    for refused, reason in REFUSED.items():
        if within(home, (refused,)):
            raise ConfigError(f"{home} may not be built from a config: {reason}")
    if function and not within(home, FACTORIES):
        raise ConfigError(f"{home} is a function; a config builds classes")


def within(name: str, packages: tuple[str, ...]) -> bool:
    """Tell whether a dotted name is one of these packages or lies in one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def added() -> tuple[str, ...]:
    """Read the environment's packages: allowed as they stand, with all they define."""
    entries = (entry.strip() for entry in os.environ.get(VARIABLE, "").split(","))
    return tuple(entry for entry in entries if entry)
