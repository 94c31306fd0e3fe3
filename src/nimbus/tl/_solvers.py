"""Which solver trains the map, on which device, and with what options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from nimbus._check import by_name, listed
from nimbus._optional import required_module
from nimbus._types import BoolArray, FloatArray
from nimbus.cluster.assign import Assign, NumpyAssign
from nimbus.cluster.batchmap import NumpyPass, Pass
from nimbus.cluster.codebook import Codebook
from nimbus.cluster.grid import Grid
from nimbus.cluster.minimap import train_minisom
from nimbus.cluster.rows import Rows, gather
from nimbus.cluster.som import Som, SomSettings, train_som

Solver = Literal["batch", "minisom"]


@dataclass(frozen=True, slots=True)
class SolverChoice:
    """How a map is trained and cells are assigned.

    Parameters
    ----------
    name
        The solver.
    options
        Its own.
    device
        Where the batch map runs, or ``None`` for NumPy.
    random_state
        Seed of MiniSom; the batch map has no chance in it.
    """

    name: Solver
    options: Mapping[str, Any]
    device: str | None
    random_state: int

    def train(self, rows: Rows, grid: Grid, importance: FloatArray, kept: BoolArray | None) -> Som:
        """The map, trained on the kept cells."""
        if self.name == "minisom":
            return train_minisom(
                gather(rows, kept).array,
                grid,
                options=self.options,
                importance=importance,
                random_state=self.random_state,
            )
        return train_som(
            rows,
            grid,
            settings=SomSettings(**self.options),
            importance=importance,
            kept=kept,
            make_pass=self._passes()[0],
        )

    def make_assign(self) -> Callable[[Codebook, Grid], Assign]:
        """What assigns cells."""
        return self._passes()[1]

    def record(self) -> dict[str, Any]:
        """Settings to be stored."""
        own = asdict(SomSettings(**self.options)) if self.name == "batch" else self.options
        return {"solver": self.name, "solver_options": own, "device": self.device}

    def _passes(
        self,
    ) -> tuple[Callable[[Codebook], Pass], Callable[[Codebook, Grid], Assign]]:
        if self.device is None:
            return NumpyPass.of, NumpyAssign.of
        torchmap = required_module("nimbus.cluster.torchmap", extra="gpu")
        first, second = torchmap.make_passes(self.device)
        return first, second


def choose_solver(
    solver: Solver, options: Mapping[str, Any] | None, device: str | None, random_state: int
) -> SolverChoice:
    """The solver, or an error for what does not fit it.

    Raises
    ------
    ValueError
        An unknown solver, option or device.
    """
    given = by_name("solver_options", options or {})
    if solver not in get_args(Solver):
        raise ValueError(f"solver {solver!r} is not known; there is: {listed(get_args(Solver))}")
    if solver == "batch":
        names = [field.name for field in fields(SomSettings)]
        for name in given:
            if name not in names:
                raise ValueError(
                    f"solver 'batch' has no option {name!r}; there is: {listed(names)}"
                )
        SomSettings(**given).checked()
    if device is not None:
        device = str(required_module("nimbus.model.device", extra="gpu").choose_device(device))
    return SolverChoice(solver, given, device, random_state)
