"""Base of all sections of settings: common types, YAML files, and mistakes in plain words."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, ClassVar, Literal, Union, get_args, get_origin

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


def _no_number(value):
    """Refuse a number as a date: Pydantic takes 20220201 for seconds since 1970."""
    if isinstance(value, int | float):
        raise ValueError(f"{value}, allowed: a date, YYYY-MM-DD")
    return value


Day = Annotated[date, BeforeValidator(_no_number)]


PLAIN_TYPES = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "text",
    "a valid boolean": "true or false",
    "a valid date or datetime": "a date, YYYY-MM-DD",
    "a valid date in the format YYYY-MM-DD": "a date, YYYY-MM-DD",
    "a valid list": "a list",
    "a valid tuple": "a list",
}
"""Pydantic's words for types, and ours."""


class Section(BaseModel):
    """Base of all sections: immutable, no unknown keys, each key described below its name."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
    may_repeat: ClassVar[frozenset[str]] = frozenset()
    """Keys of lists in which a value may stand more than once."""

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value, info: ValidationInfo):
        """Refuse true and false as numbers, and values that stand twice in a list."""
        number = _number_asked(cls, info.field_name)
        if number and (truths := [entry for entry in _entries(value) if isinstance(entry, bool)]):
            raise ValueError(f"{str(truths[0]).lower()}, allowed: {number}")
        if info.field_name not in cls.may_repeat and _is_list(cls, info.field_name):
            lists = value if isinstance(value, dict) else {"": value}
            for key, entries in lists.items():
                for entry in _repeated(entries):
                    place = f"{key}: " if key else ""
                    raise ValueError(f"{place}{entry!r} given more than once, allowed: each once")
        return value


def _parts(annotation: object) -> Iterator[object]:
    """Yield the types that an annotation is made of: those of lists and of mappings, and theirs."""
    if get_origin(annotation) is Literal:
        yield from {type(value) for value in get_args(annotation)}
        return
    yield get_origin(annotation) or annotation
    arguments = get_args(annotation)
    for kind in arguments[:1] if get_origin(annotation) is Annotated else arguments:
        yield from _parts(kind)


@cache
def _number_asked(model: type[BaseModel], key: str) -> str:
    """Say which kind of number a key holds, alone or in a list; empty where not numbers alone."""
    kinds = set(_parts(model.model_fields[key].annotation))
    if bool in kinds or not kinds & {int, float}:
        return ""
    return "a number" if float in kinds else "a whole number"


@cache
def _is_list(model: type[BaseModel], key: str) -> bool:
    """Say whether a key holds a list, or lists by name."""
    return list in set(_parts(model.model_fields[key].annotation))


def _entries(value: object) -> list:
    """Return a value as the only entry of a list, or the entries of a list or a mapping."""
    if isinstance(value, dict):
        return [*value.values()]
    return [*value] if isinstance(value, list | tuple) else [value]


def _repeated(entries: object) -> list:
    """Return the plain values that a list holds more than once."""
    if not isinstance(entries, list):
        return []
    plain = [entry for entry in entries if isinstance(entry, str | int | float | date)]
    return [entry for entry in dict.fromkeys(plain) if plain.count(entry) > 1]


class GridSize(Section):
    """Numbers of cells of a global grid."""

    nlat: Positive
    """Rows of cells, from north to south."""
    nlon: Positive
    """Cells in a row, eastwards from 0 degrees east."""


class Period(Section):
    """Whole days in UTC, both ends included."""

    start: Day
    """First day, YYYY-MM-DD."""
    end: Day
    """Last day, YYYY-MM-DD."""

    @model_validator(mode="after")
    def _ordered(self):
        if self.start > self.end:
            raise ValueError(
                f"start {self.start} is after end {self.end}, allowed: start up to end"
            )
        return self

    def overlaps(self, other: "Period") -> bool:
        """Return whether the two share a day."""
        return self.start <= other.end and other.start <= self.end


class _UniqueKeys(yaml.SafeLoader):
    """A loader that refuses a repeated key.

    PyYAML takes the last of two equal keys without a word, as does Snakemake.
    """

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
    """Read a YAML file; :class:`yaml.YAMLError` names the line of a fault or a repeated key."""
    with Path(path).open(encoding="utf-8") as stream:
        return yaml.load(stream, _UniqueKeys)


def lay_over(base: Mapping, override: Mapping) -> dict:
    """Return ``base`` with ``override`` laid over it, section by section."""
    merged = dict(base)
    for key, value in override.items():
        merged[key] = (
            lay_over(base[key], value)
            if isinstance(value, dict) and isinstance(base.get(key), dict)
            else value
        )
    return merged


ALLOWED = ", allowed: "
"""Goes between a value and what is allowed instead."""


def nearest(value: object, allowed: Iterable[object]) -> str | None:
    """Return the one of the allowed names that most resembles a value, None where none does."""
    names = {str(name).lower(): str(name) for name in allowed}
    near = difflib.get_close_matches(str(value).lower(), names, n=1)
    return names[near[0]] if near else None


def did_you_mean(value: object, allowed: Iterable[object]) -> str:
    """Return ``; did you mean 'nearest'?``, nothing where no allowed name resembles the value."""
    near = nearest(value, allowed)
    return "" if near is None else f"; did you mean {near!r}?"


def unknown(key: str, value: object, allowed: Iterable[str]) -> str:
    """Say that a name is not one of those there are.

    Parameters
    ----------
    key : str
        Dotted key of the setting.
    value : object
        The name that was given.
    allowed : iterable of str
        The names there are.

    Returns
    -------
    str
        One line with the key, the value, the allowed names and the nearest of them.
    """
    names = sorted(allowed)
    return f"{key}: unknown {value!r}, allowed: {', '.join(names)}{did_you_mean(value, names)}"


def complaints(error: ValidationError, model: type[BaseModel], prefix: str = "") -> list[str]:
    """Put all mistakes of a validation into words.

    Parameters
    ----------
    error : ValidationError
        What Pydantic raised.
    model : type[BaseModel]
        The model that was validated; its fields are the allowed keys.
    prefix : str
        Dotted key of the validated section.

    Returns
    -------
    list[str]
        One line a mistake: key, value, what is allowed, and the nearest allowed key or value.
    """
    lines: list[str] = []
    for detail in error.errors():
        # neither a mark of a key, nor the alternative of a type that was tried
        place = [part for part in detail["loc"] if not re.search(r"\[.*\]$", str(part))]
        key = ".".join([*([prefix] if prefix else []), *map(str, place)])
        sentence = _sentence(detail, allowed_keys(model, place[:-1]))
        if detail["type"] == "extra_forbidden":
            sentence += _hint(detail, allowed_keys(model, place[:-1]), model, prefix)
        for text in sentence.split("\n"):
            # our own validators name a key of the section that they check
            joint = "." if re.match(r"[a-z_][a-z0-9_.]*: ", text) else ": "
            line = f"{key}{joint}{text}" if key else text
            beginning = line.partition(ALLOWED)[0] + ALLOWED
            if lines and ALLOWED in line and lines[-1].startswith(beginning):
                # the same value, which none of the alternatives takes
                lines[-1] += f", or {line.removeprefix(beginning)}"
            else:
                lines.append(line)
    return lines


def _sentence(detail: dict, keys: list[str]) -> str:
    """Return one of Pydantic's mistakes without its key: value, what is allowed, the nearest."""
    message, value = detail["msg"], _short(detail["input"])
    if detail["type"] == "value_error":
        return message.removeprefix("Value error, ")
    if detail["type"] == "missing":
        return "required, but not given"
    if detail["type"] == "extra_forbidden":
        allowed = f", allowed: {', '.join(keys)}" if keys else ""
        return f"unknown key{allowed}"
    if detail["type"] == "literal_error":
        expected = detail["ctx"]["expected"]
        names = [name.strip("'") for name in re.split(r", | or ", expected)]
        return f"{value}, allowed: {expected}{did_you_mean(detail['input'], names)}"
    if detail["type"] == "string_pattern_mismatch":
        return f"{value}, allowed: text that matches {detail['ctx']['pattern']}"
    if detail["type"] in ("model_type", "dict_type"):
        return f"{value}, allowed: keys with values"
    if detail["type"] == "invalid_key":
        return f"{value} is no text, allowed: text as key, in quotes where YAML reads another value"
    if detail["type"] == "int_parsing_size":
        return f"{value}, allowed: a whole number"
    if detail["type"] == "date_from_datetime_inexact":
        return f"{value}, allowed: a date, YYYY-MM-DD"
    if length := re.search(r"should have (at (?:least|most) \d+ \w+)", message):
        return f"{value}, allowed: {length[1]}"
    if message.startswith("Input should be "):
        allowed = message.removeprefix("Input should be ").split(",")[0]
        return f"{value}, allowed: {PLAIN_TYPES.get(allowed, allowed)}"
    return f"{value}: {message}"


def _hint(detail: dict, keys: list[str], model: type[BaseModel], prefix: str) -> str:
    """Say of an unknown key where it belongs, or which of the allowed ones resembles it.

    Parameters
    ----------
    detail : dict
        One of Pydantic's mistakes.
    keys : list of str
        Keys that are allowed in its place.
    model : type[BaseModel]
        The model that was validated.
    prefix : str
        Dotted key of the validated section.

    Returns
    -------
    str
        The end of a sentence; empty where there is nothing to propose.
    """
    key, value = str(detail["loc"][-1]), detail["input"]
    places = dict(sections_with(model, key))
    if isinstance(value, dict):
        # of several places those whose section has what is given
        fitting = {place: own for place, own in places.items() if {*value} & {*own}}
        places = fitting or places
    if not places:
        return did_you_mean(key, keys)
    names = [".".join(filter(None, (prefix, place))) for place in places]
    more = f" and {len(names) - 3} other sections" if len(names) > 3 else ""
    return f"; it belongs under {' or '.join(names[:3])}{more}"


def sections_with(model: type[BaseModel], key: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the sections below a model that have a key, with the keys of what it holds.

    Parameters
    ----------
    model : type[BaseModel]
        The model.
    key : str
        The key.

    Yields
    ------
    tuple
        Dotted key of the section, ``{name}`` for any name, and keys; none for a plain value.
    """
    for name, field in model.model_fields.items():
        kind = plain_type(field.annotation)
        if get_origin(kind) is dict:
            name, kind = f"{name}.{{name}}", plain_type(get_args(kind)[-1])
        if not _is_section(kind):
            continue
        if key in kind.model_fields:
            inner = plain_type(kind.model_fields[key].annotation)
            yield name, list(inner.model_fields) if _is_section(inner) else []
        for place, keys in sections_with(kind, key):
            yield f"{name}.{place}", keys


def _short(value: object, most: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def allowed_keys(model: type[BaseModel], place: Iterable[str | int]) -> list[str]:
    """Return the keys of the section that lies at ``place`` in a model; none for other values."""
    kind = model
    for part in place:
        if _is_section(kind):
            fields = kind.model_fields
            kind = plain_type(fields[part].annotation) if part in fields else None
        else:
            # of a list or a mapping the last argument is the type of its entries
            kind = plain_type(get_args(kind)[-1]) if get_args(kind) else None
    return list(kind.model_fields) if _is_section(kind) else []


def _is_section(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def plain_type(annotation: object) -> object:
    """Return a type without what ``Annotated`` and ``| None`` add to it."""
    if get_origin(annotation) is Annotated:
        return plain_type(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return plain_type(next(kind for kind in get_args(annotation) if kind is not type(None)))
    return annotation
