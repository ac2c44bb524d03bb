"""``system``: the data flow that the configuration describes, drawn from its values."""

import re
import textwrap
from dataclasses import asdict, dataclass

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from fuxiflow.figures import style

KINDS = {  # kind of box: face and edge colour
    "data": ("#E8F1F8", style.OKABE_ITO[0]),
    "process": ("#F2F2F2", "0.35"),
    "network": ("#FCE9DD", style.OKABE_ITO[1]),
    "product": ("#E3F3EE", style.OKABE_ITO[2]),
    "truth": ("#FBF3DC", style.OKABE_ITO[4]),
}
WIDTH, HEIGHT = 1.8, 0.95  # of a box, in inches, which are also the coordinates
GAP_X, GAP_Y = 0.42, 0.3
LETTERS = 29  # of a line inside a box
NO_BREAK, HYPHEN = "\u00a0", "\u2011"  # a space and a hyphen that lines are not broken at
SOURCES = 3  # as many have boxes of their own


@dataclass(frozen=True)
class Box:
    """One box of the diagram.

    ``column`` counts from the left, ``row`` from the top (halves allowed).
    """

    id: str
    kind: str
    title: str
    text: str
    column: float
    row: float


@dataclass(frozen=True)
class Arrow:
    """One arrow between boxes; ``dashed`` marks what feeds training or scoring alone.

    ``route``: ``straight`` between facing sides, or ``corner``, level first and then up or down.
    ``shift`` moves a vertical one to the side, in inches.
    """

    start: str
    end: str
    label: str = ""
    route: str = "straight"
    shift: float = 0.0
    dashed: bool = False


def _window_text(window: list[int]) -> str:
    """Write a window of hours: [−3 h, +5 h)."""
    return f"[{window[0]:+d} h, {window[1]:+d} h)".replace("-", "−")


def _start_hours_text(hours: list[int]) -> str:
    """Write start hours of the day: 00 and 12 UTC."""
    return f"{' and '.join(f'{hour:02d}' for hour in hours)}{NO_BREAK}UTC"


def _names_text(names: list[str]) -> str:
    """List the short names of references or baselines."""
    return ", ".join(style.short_name(name) for name in names)


def _source_boxes(settings: dict) -> dict[str, tuple[str, str]]:
    """Return title and text of the boxes of the sources, by id.

    There is a box for each source, or for each kind where they are more than :data:`SOURCES`.
    """
    sources = settings["sources"]
    if len(sources) <= SOURCES:
        return {
            name: (s["long_name"], f"{s['channels']} channels\nwindow {_window_text(s['window'])}")
            for name, s in sources.items()
        }
    kinds = {}
    for source in sources.values():
        kinds.setdefault(source["kind"], []).append(source)
    texts = {}
    for kind, members in kinds.items():
        names = [
            re.sub(r" on .*", "", s["long_name"]).replace(" ", NO_BREAK).replace("-", HYPHEN)
            for s in members
        ]
        texts[kind] = (kind, f"{', '.join(names)}\n{sum(s['channels'] for s in members)} channels")
    return texts


def _inputs(settings: dict) -> tuple[list[Box], list[Arrow]]:
    """Return the left half: observations and states, and the stages that read them."""
    source_boxes = _source_boxes(settings)
    count = len(source_boxes)
    boxes = [
        Box(name, "data", title, text, 1, i)
        for i, (name, (title, text)) in enumerate(source_boxes.items())
    ]
    boxes += [
        Box(
            "era5", "data", "ERA5", f"6-hourly, training on\n{settings['training_days']}", 1, count
        ),
        Box(
            "states",
            "process",
            "states",
            f"{settings['channels']} channels, {settings['grid']} cells, "
            "statistics and climatology",
            2,
            count + 0.5,
        ),
    ]
    if count:
        text = "footprints, quality control, sparse hourly grids"
        boxes.append(Box("observations", "process", "observations", text, 2, (count - 1) / 2))
    archives = ["era5"]
    if "gfs" in settings["baselines"]:
        archives.append("gfs")
        boxes.append(
            Box(
                "gfs",
                "data",
                "GFS",
                "analyses and forecasts:\nbaseline, never an input",
                1,
                count + 1,
            )
        )
    arrows = [Arrow(name, "observations") for name in source_boxes]
    arrows += [Arrow(name, "states", dashed=True) for name in archives]
    if settings["world"] != "archive":
        boxes.append(
            Box(
                "nature",
                "truth",
                "nature run",
                "the truth, from which raw files are written",
                0,
                (count + 1) / 2,
            )
        )
        arrows += [
            Arrow("nature", name, dashed=name in archives) for name in (*source_boxes, *archives)
        ]
    return boxes, arrows


def _network(sizes: dict) -> str:
    """Write the sizes of a network; one is singular."""
    texts = {
        "patch": "patch {}",
        "width": "width {}",
        "blocks": "{} blocks",
        "heads": "{} heads",
        "scales": "{} scales",
    }
    parts = [texts[key].format(sizes[key]) for key in texts if key in sizes]
    return ", ".join(re.sub(r"^(1 \w+)s$", r"\1", text).replace(" ", NO_BREAK) for text in parts)


def _cycle(settings: dict) -> tuple[list[Box], list[Arrow]]:
    """Return the right half: networks, the cycle, products and scores."""
    count = len(_source_boxes(settings))
    bottom = max(count + 1.0, 2.0)
    top = max(0.0, (count - 1) / 2)
    middle = (top + bottom) / 2
    updates = settings["updates"]
    stages = (
        f"updates: {updates['forecaster']} forecaster,\n{updates['assimilator']} assimilator,\n"
        f"{updates['joint']} joint over {settings['cycles']} cycles"
    )
    if settings["steps"]:
        stages += f",\n{updates['autoregressive']} forecaster over {settings['steps']} steps"
    boxes = [
        Box(
            "assimilator",
            "network",
            "assimilator",
            f"U-Net, {_network(settings['assimilator'])}",
            3,
            top,
        ),
        Box("analysis", "product", "analysis", "every 6 h, with its background", 4, top),
        Box("training", "process", "training", stages, 3, bottom),
        Box(
            "forecaster",
            "network",
            "forecaster",
            f"U-Transformer, {_network(settings['forecaster'])}",
            4,
            middle,
        ),
        Box(
            "forecasts",
            "product",
            "forecasts",
            f"to {settings['max_lead_hours'] / 24:g} days, "
            f"from {_start_hours_text(settings['init_hours'])}",
            5,
            middle,
        ),
        Box(
            "scores",
            "product",
            "scores, figures",
            f"against {_names_text(settings['references'])}; "
            f"beside {_names_text(settings['baselines'])}",
            5,
            bottom,
        ),
    ]
    arrows = [
        Arrow("assimilator", "analysis"),
        Arrow("analysis", "forecaster"),
        Arrow("forecaster", "assimilator", "background", route="corner", shift=0.3),
        Arrow("forecaster", "forecasts"),
        Arrow("states", "training", dashed=True),
        Arrow("training", "assimilator", "weights", shift=-0.45, dashed=True),
        Arrow("training", "forecaster", "weights", route="corner", dashed=True),
        Arrow("forecasts", "scores", dashed=True),
    ]
    if settings["sources"]:
        arrows += [
            Arrow("observations", "assimilator"),
            Arrow("observations", "training", dashed=True),
        ]
    return boxes, arrows


def table(settings: dict) -> pd.DataFrame:
    """Gather boxes and arrows of the diagram from the configuration's values.

    ``settings``: sources {name: {long_name, channels, window, kind}}, channels, grid, world,
    training_days, forecaster and assimilator (sizes), updates {stage: count}, cycles,
    max_lead_hours, init_hours, references, baselines.
    """
    parts = [_inputs(settings), _cycle(settings)]
    boxes = pd.DataFrame([asdict(box) for boxes, _ in parts for box in boxes]).assign(part="box")
    arrows = pd.DataFrame([asdict(arrow) for _, arrows in parts for arrow in arrows]).assign(
        part="arrow"
    )
    names = [
        "part",
        "id",
        "kind",
        "title",
        "text",
        "column",
        "row",
        "start",
        "end",
        "label",
        "route",
        "shift",
        "dashed",
    ]
    return pd.concat([boxes, arrows], ignore_index=True).reindex(columns=names)


Point = tuple[float, float]


def _path(a: Point, b: Point, route: str, shift: float) -> list[Point]:
    """Return the points of an arrow between the sides of two boxes.

    Parameters
    ----------
    a, b : tuple of float
        Centres of the boxes in inches.
    route : str
        ``straight`` or ``corner``, see :class:`Arrow`.
    shift : float
        Inches to the side.

    Returns
    -------
    list of tuple
        Points from ``a`` to ``b``.
    """
    dx = b[0] - a[0]
    dy = b[1] - a[1]
    right = 1 if dx > 0 else -1
    up = 1 if dy > 0 else -1
    if route == "corner":
        x = b[0] + shift
        return [(a[0] + right * WIDTH / 2, a[1]), (x, a[1]), (x, b[1] - up * HEIGHT / 2)]
    if abs(dx) > WIDTH:
        return [(a[0] + right * WIDTH / 2, a[1]), (b[0] - right * WIDTH / 2, b[1])]
    return [(a[0] + shift, a[1] + up * HEIGHT / 2), (b[0] + shift, b[1] - up * HEIGHT / 2)]


def _draw_box(ax, box, centre: Point) -> None:
    """Draw a box with its title and text.

    Parameters
    ----------
    ax : Axes
        Where to draw, in inches.
    box : tuple
        Named row of the table.
    centre : tuple of float
        Centre of the box.
    """
    x, y = centre
    face, edge = KINDS[box.kind]
    ax.add_patch(
        FancyBboxPatch(
            (x - WIDTH / 2 + 0.05, y - HEIGHT / 2 + 0.05),
            WIDTH - 0.1,
            HEIGHT - 0.1,
            boxstyle="round,pad=0.05",
            facecolor=face,
            edgecolor=edge,
            linewidth=1.1,
        )
    )
    text = "\n".join(textwrap.fill(line, LETTERS) for line in box.text.split("\n"))
    ax.text(x, y + 0.29, box.title, ha="center", va="center", fontsize=9, fontweight="bold")
    ax.text(x, y - 0.12, text, ha="center", va="center", fontsize=7.5, linespacing=1.25)


def _draw_arrow(ax, arrow, centre: dict[str, Point]) -> None:
    """Draw an arrow with its label.

    Parameters
    ----------
    ax : Axes
        Where to draw, in inches.
    arrow : tuple
        Named row of the table.
    centre : dict of str to tuple
        Centres of the boxes by their id.
    """
    points = _path(centre[arrow.start], centre[arrow.end], arrow.route, float(arrow.shift))
    dashed = bool(arrow.dashed)
    codes = [Path.MOVETO] + [Path.LINETO] * (len(points) - 1)
    ax.add_patch(
        FancyArrowPatch(
            path=Path(points, codes),
            arrowstyle="-|>",
            mutation_scale=10,
            linewidth=1.0,
            zorder=0,
            color="0.5" if dashed else "0.15",
            linestyle=(0, (4, 3)) if dashed else "-",
        )
    )
    if isinstance(arrow.label, str) and arrow.label:
        (x0, y0), (x1, y1) = points[-2:]
        ax.text(
            (x0 + x1) / 2,
            (y0 + y1) / 2,
            arrow.label,
            ha="center",
            va="center",
            fontsize=7.5,
            color="0.25",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )


def draw(table: pd.DataFrame) -> Figure:
    """Draw boxes in columns from left to right, and the arrows between them.

    Dashed arrows feed training or scoring; full ones run in every cycle.
    """
    boxes = table[table["part"] == "box"]
    arrows = table[table["part"] == "arrow"]
    left = boxes["column"].min()
    centre = {
        box.id: (
            (box.column - left) * (WIDTH + GAP_X) + WIDTH / 2 + 0.05,
            -(box.row * (HEIGHT + GAP_Y) + HEIGHT / 2 + 0.05),
        )
        for box in boxes.itertuples()
    }
    right = max(x for x, _ in centre.values()) + WIDTH / 2 + 0.05
    bottom = min(y for _, y in centre.values()) - HEIGHT / 2 - 0.3
    figure = style.new_figure(right, -bottom)
    ax = figure.add_subplot()
    ax.set(xlim=(0, right), ylim=(bottom, 0), aspect="equal")
    ax.axis("off")
    for box in boxes.itertuples():
        _draw_box(ax, box, centre[box.id])
    for arrow in arrows.itertuples():
        _draw_arrow(ax, arrow, centre)
    ax.text(
        0.05,
        bottom + 0.1,
        "full arrows: every cycle; dashed: training and scoring alone",
        fontsize=7.5,
        color="0.35",
    )
    return figure
