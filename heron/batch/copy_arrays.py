"""The arrays of a world's state, of which rows go to the physics and come back."""

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from heron.batch.counter_random import IndexArray, Rows
from heron.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

State = TypeVar("State", bound="DataclassInstance")
"""State of a world: a dataclass whose fields are arrays ``(num_envs, ...)``."""


class CopyArrays(Generic[State]):
    """Arrays of a world's state, with a row for each copy.

    Args:
        state: The state to begin with; its arrays are copied.
        num_envs: Number of copies.

    Attributes:
        arrays: Field -> ``(num_envs, ...)``.

    Raises:
        ConfigurationError: If it is no dataclass of such arrays.
    """

    def __init__(self, state: State, num_envs: int) -> None:
        if not is_dataclass(state) or isinstance(state, type):
            raise ConfigurationError(f"a world's state must be a dataclass of arrays, got {state!r:.200}")
        self._type: type[State] = type(state)
        self.arrays: dict[str, npt.NDArray[Any]] = {}
        for field in fields(state):
            array = getattr(state, field.name)
            if not isinstance(array, np.ndarray) or array.shape[:1] != (num_envs,) or array.dtype.hasobject:
                raise ConfigurationError(
                    f"{self._name(field.name)} must be an array of numbers with {num_envs} rows, one for each copy, "
                    f"got {_kind(array)}"
                )
            self.arrays[field.name] = np.array(array, order="C")

    def rows(self, rows: Rows) -> State:
        """Return these copies' state as new arrays."""
        return self._type(**{name: np.array(array[rows]) for name, array in self.arrays.items()})

    def read_only(self, rows: Rows) -> State:
        """Return these copies' state as arrays that cannot be written."""
        seen = {name: array[rows] for name, array in self.arrays.items()}
        for array in seen.values():
            array.flags.writeable = False
        return self._type(**seen)

    def write(self, rows: Rows, state: State) -> None:
        """Take over these copies' state.

        Raises:
            TypeError: If it is of another class, or an array of another kind.
            ValueError: If an array has the wrong shape.
        """
        if type(state) is not self._type:
            raise TypeError(f"expected a state of class {self._type.__name__}, got {state!r:.200}")
        for name, array in self.arrays.items():
            self._write_field(name, array[rows].shape, getattr(state, name), rows)

    def set_field(self, name: str, values: Any, indices: IndexArray) -> None:
        """Set one field of these copies; errors are those of ``write``."""
        self._write_field(name, (len(indices), *self.arrays[name].shape[1:]), np.asarray(values), indices)

    def _write_field(self, name: str, shape: tuple[int, ...], value: Any, rows: Rows) -> None:
        array = self.arrays[name]
        if not isinstance(value, np.ndarray) or value.shape != shape:
            raise ValueError(f"{self._name(name)} must have shape {shape}, got {_kind(value)}")
        if value.dtype != array.dtype and not np.can_cast(value.dtype, array.dtype, "same_kind"):
            raise TypeError(f"{self._name(name)} must have dtype {array.dtype}, got {value.dtype}")
        array[rows] = value

    def _name(self, field: str) -> str:
        return f"{self._type.__name__}.{field}"


def _kind(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else f"{value!r:.200}"
