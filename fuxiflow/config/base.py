"""What all sections of settings share: of the configuration, of a source's file, of the archives."""

from datetime import date
from typing import Annotated

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
