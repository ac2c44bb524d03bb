"""What all sections of settings share: of the configuration, of a source's file, of the archives."""

from datetime import date
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Base of all sections: immutable, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GridSize(Section):
    """Cells of a global grid."""

    nlat: Positive
    nlon: Positive


class Period(Section):
    """Whole days, both included."""

    start: date
    end: date

    @model_validator(mode="after")
    def _ordered(self):
        if self.start > self.end:
            raise ValueError(f"start {self.start} is after end {self.end}")
        return self

    def overlaps(self, other: "Period") -> bool:
        """Whether the two share a day."""
        return self.start <= other.end and other.start <= self.end


def complaint(error: ValidationError, prefix: str = "") -> str:
    """The first complaint of a validation in one line that names the key and what is allowed."""
    detail = error.errors()[0]
    key = ".".join([prefix, *map(str, detail["loc"])]).strip(".")
    message = detail["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" if key else message


class _UniqueKeys(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None,
                    None,
                    f"key {key.value!r} stands here a second time: keep one of the two",
                    key.start_mark,
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path):
    """What a YAML file holds; :class:`yaml.YAMLError` names the line where it is none or a key is repeated."""
    with Path(path).open() as stream:
        return yaml.load(stream, _UniqueKeys)
