"""The reference page of the configuration, ``docs/reference/configuration.md``, from the models."""

import json
import re
from collections.abc import Iterator
from datetime import date
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fuxiflow import ROOT
from fuxiflow.config.archives import Archives
from fuxiflow.config.base import GridSize, Period, Section, plain_type
from fuxiflow.config.configuration import Config
from fuxiflow.config.sources import Heights, Source
from fuxiflow.config.training import Optimisation

PAGE = ROOT / "docs" / "reference" / "configuration.md"

HEAD = """\
# Configuration: all keys

Made from the models in `fuxiflow/config` by `make schema`; change it there.
For an introduction see [the guide](../guides/configuration.md).

Dates are whole days in UTC, both ends included. A key without a default has to be given.
"""
NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    date: "date",
    dict: "keys with values",
}
# sections that stand in many places, with their titles: each has one table, at the end
SHARED = {Period: "Period", GridSize: "Grid size", Optimisation: "Training stage"}
FILES = (
    ("A configuration: `config/*.yaml`", Config),
    ("A source: `config/sources/{name}.yaml`", Source),
    ("Archives: `config/archive.yaml`", Archives),
)


def sections(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Return a model and all models that its fields hold, each once, in order of appearance."""
    ordered = {model: None}
    for field in model.model_fields.values():
        for inner in _models_in(field.annotation):
            ordered |= dict.fromkeys(sections(inner))
    if model is Source:
        ordered[Heights] = None  # of a series, which is expanded before it is checked
    return list(ordered)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def reference_page() -> str:
    """Return the reference page as Markdown: a heading for each file, a table for each section."""
    blocks = [HEAD]
    for title, model in FILES:
        blocks.append(f"## {title}\n")
        blocks.extend(_table(place, section) for place, section in _places(model, ""))
    blocks.append("## Shared by several sections\n")
    blocks.extend(_table(name, section) for section, name in SHARED.items())
    return "\n".join(blocks)


def _places(
    model: type[Section], place: str, layout: str = ""
) -> Iterator[tuple[str, type[Section]]]:
    """Yield a section and those below it, each with its dotted key; recursive.

    Parameters
    ----------
    model : type of Section
        The section.
    place : str
        Its dotted key, empty at the top.
    layout : str
        What tells it apart from others that may stand in its place, empty where there are none.

    Yields
    ------
    title : str
        The key, with the layout.
    model : type of Section
        The section.
    """
    yield (f"`{place}`" if place else "") + (layout and f" with `layout: {layout}`"), model
    for key, field in model.model_fields.items():
        annotation, suffix = field.annotation, ""
        while get_args(kind := plain_type(annotation)):
            suffix += ".{name}" if get_origin(kind) is dict else "[]"
            annotation = get_args(kind)[-1]
        for kind in _alternatives(annotation):
            if isinstance(kind, type) and issubclass(kind, Section) and kind not in SHARED:
                told_apart = kind.model_fields.get("layout")
                own_layout = get_args(told_apart.annotation)[0] if told_apart else ""
                yield from _places(kind, f"{place}.{key}{suffix}".lstrip("."), own_layout)
    if model is Source:
        yield "`channels[].heights`", Heights


def _alternatives(annotation: Any) -> list[Any]:
    """Return the types that a value may have, without what ``Annotated`` adds to them."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _alternatives(part)]
    return [annotation]


def _table(title: str, section: type[Section]) -> str:
    """Return the table of one section; keys that it shares with others stand in theirs."""
    heading = f"### {title}\n\n" if title else ""
    base = next((base for base in section.__mro__[1:] if base in SHARED), None)
    inherited = {
        key: field
        for key, field in (base.model_fields if base else {}).items()
        if field.description == section.model_fields[key].description
    }
    rows = [
        f"| `{key}` | {_kind(field)} | {_default(field)} | {_one_line(field.description)} |"
        for key, field in section.model_fields.items()
        if key not in inherited
    ]
    about = _one_line(section.__doc__)
    if inherited:
        about += f" Beside these keys it has those of [{SHARED[base]}](#{_anchor(SHARED[base])})."
    table = "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows])
    return f"{heading}{about}\n\n{table}\n"


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _one_line(text: str) -> str:
    """Return a docstring in one line, without the markup of references to code."""
    text = re.sub(r":(?:mod|class|func|data|attr):`~?([^`]*)`", r"`\1`", text)
    return " ".join(text.replace("``", "`").replace("|", r"\|").split())


def _kind(field: FieldInfo) -> str:
    """Return the type of a field and its limits in words."""
    limits = [text for item in field.metadata if (text := _limit(item))]
    return ", ".join([_type(field.annotation), *limits])


def _limit(constraint: Any) -> str:
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    for name, sign in signs.items():
        if (value := getattr(constraint, name, None)) is not None:
            return f"{sign} {value:g}"
    if multiple := getattr(constraint, "multiple_of", None):
        return f"a multiple of {multiple:g}"
    if least := getattr(constraint, "min_length", None):
        return f"at least {least}"
    if most := getattr(constraint, "max_length", None):
        return f"at most {most}"
    if pattern := getattr(constraint, "pattern", None):
        return "like `" + pattern.replace("|", r"\|") + "`"
    return ""


def _type(annotation: Any) -> str:
    """Return a type in words, with its own limits and those of its entries."""
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return " or ".join(dict.fromkeys(map(_type, kinds)))
    if get_origin(annotation) is Annotated:
        kind, *extras = get_args(annotation)
        items = [item for extra in extras for item in getattr(extra, "metadata", ())]
        return ", ".join([_type(kind), *filter(None, map(_limit, items))])
    arguments, origin = get_args(annotation), get_origin(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is dict:
        return f"by name: {_type(arguments[-1])}"
    if origin is list:
        return f"list of: {_type(arguments[0])}"
    if origin is tuple:
        return f"{len(arguments)} × {_type(arguments[0])}"
    if annotation in SHARED:
        title = SHARED[annotation]
        return f"[{title.lower()}](#{_anchor(title)})"
    return "section" if issubclass(annotation, Section) else NAMES[annotation]


def _default(field: FieldInfo) -> str:
    """Return the default as YAML writes it; empty for a key that has to be given."""
    if field.is_required():
        return "–"
    if field.default is None:
        return "none"
    if isinstance(field.default, Section):
        # the defaults of its keys are in the section's own table
        value = field.default.model_dump(mode="json", exclude_defaults=True)
        return f"`{_yaml(value)}`" if value else "as below"
    value = json.loads(json.dumps(field.default))
    return f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return str(value)
