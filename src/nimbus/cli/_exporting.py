"""The work of ``nimbus export``."""

from __future__ import annotations

from pathlib import Path

from nimbus import model as models
from nimbus.model.onnx import TOLERANCE, export_onnx, onnx_difference

from ._whole import written_whole


def exported(model: str, out: Path, *, overwrite: bool) -> str:
    """Write `model` to `out`, compare it with PyTorch, and tell in text what came of it.

    Raises
    ------
    ValueError
        `out` does not end in ``.onnx``; the file gives other probabilities.
    FileExistsError
        `out` is there and is not to be replaced.
    """
    if out.suffix != ".onnx":
        raise ValueError(f"--out {out} must end in .onnx")
    if out.exists() and not overwrite:
        raise FileExistsError(f"--out {out} exists; --overwrite replaces it")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"--out {out}: folder {out.absolute().parent} does not exist")
    loaded = models.load_model(model)
    with written_whole(out) as part:
        export_onnx(loaded.net, loaded.card, part)
        difference = onnx_difference(part, loaded.net, loaded.card)
        if difference > TOLERANCE:
            raise ValueError(
                f"ONNX Runtime gives probabilities that differ by {difference:.1e} from PyTorch's, "
                f"more than {TOLERANCE:g}; nothing was written. Please report this."
            )
        size = part.stat().st_size / 1e6
    return (
        f"wrote {out} ({size:.1f} MB, {loaded.card.name}); largest difference from PyTorch "
        f"{difference:.1e}"
    )
