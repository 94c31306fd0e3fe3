"""The work of ``nimbus export``."""

from __future__ import annotations

from pathlib import Path

from nimbus import model as models
from nimbus.model.onnx import TOLERANCE, export_onnx, onnx_difference

from ._newfile import require_file
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
    require_file("--out", out, (".onnx",), overwrite=overwrite)
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
