"""The raw files that a configuration needs: products, segments, days and fields.

Rules and ``fuxiflow fetch`` ask for the same. Nothing here says where files come from.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from functools import cache

from fuxiflow import times
from fuxiflow.channels import Channel, channel_table
from fuxiflow.config import sources
from fuxiflow.config.configuration import Config
from fuxiflow.config.evaluation import is_address, store_product
from fuxiflow.storage.raw_files import Question

INVARIANTS = "invariants"
"""The segment of ERA5 that holds the fields that do not change."""
WHOLE = "store"
"""The segment of a public store of which all that is needed is fetched together."""
NO_DAYS = ("", "")
"""Days of what holds for all: invariants, and a climatology."""
BEST_TRACKS = "ibtracs"
"""The product of best tracks of cyclones, one file of all years."""
PRECIPITATION_FIELD = "total_precipitation"
"""ERA5's hourly precipitation, of which 6-h sums are made."""


@dataclass(frozen=True)
class Need:
    """The days and fields that are needed of one product and segment.

    ``days`` are first and last, in ISO form, and ``forecast_days`` those of GFS forecasts, none
    where it is empty. ``idle`` says that no platform of the source flew: nothing is asked for.
    ``address`` is that of a public store, which is mirrored.
    """

    product: str
    segment: str
    days: tuple[str, str]
    fields: tuple[str, ...] = ()
    forecast_days: tuple[str, ...] = ()
    init_hours: tuple[int, ...] = ()
    max_lead_hours: int = 0
    idle: bool = False
    address: str = ""

    @property
    def is_climatology(self) -> bool:
        """Say whether a public store of means by day of the year and hour is needed."""
        return bool(self.address) and self.days == NO_DAYS

    @property
    def months(self) -> list[str]:
        """The folders of the raw store that hold the segment: calendar months YYYY-MM."""
        if self.segment in (INVARIANTS, WHOLE):
            return [self.segment]
        return times.segments(*map(date.fromisoformat, self.days), months=1)

    @property
    def question(self) -> Question:
        """The days and fields that a file of the segment has to concern."""
        if self.segment == INVARIANTS:
            return Question(self.days)
        if self.segment == WHOLE:
            return Question(self.days, self.variables)
        if PRECIPITATION_FIELD not in self.fields:
            return Question(self.days, self.fields)
        # a sum of 6 h at 00 UTC begins in the evening before
        before = date.fromisoformat(self.days[0]) - timedelta(days=1)
        return Question(self.days, self.fields, ((PRECIPITATION_FIELD, str(before)),))

    @property
    def variables(self) -> tuple[str, ...]:
        """The fields without their levels."""
        return tuple(dict.fromkeys(field.split()[0] for field in self.fields))

    def parameters(self) -> dict:
        """Return all but product, segment and address, as parameters of a rule."""
        values = asdict(self)
        apart = ("product", "segment", "address")
        return {name: values[name] for name in values if name not in apart}


def era5_field(channel: Channel) -> str:
    """Return the name of a channel in ERA5: variable and level in the words of its store."""
    if not channel.analysed:
        return PRECIPITATION_FIELD
    return channel.variable if channel.level is None else f"{channel.variable} {channel.level}"


# the table is the same for all segments
@cache
def era5_fields() -> tuple[str, ...]:
    """Return the names of all channels in ERA5, sorted."""
    return tuple(sorted(map(era5_field, channel_table())))


@cache
def gfs_fields() -> tuple[str, ...]:
    """Return the names of all channels in GFS, sorted."""
    from fuxiflow.archive.gfs import field_name

    return tuple(sorted(map(field_name, channel_table())))


def era5_need(config: Config, segment: str) -> Need:
    """Return what is needed of ERA5 in a segment, or of its invariants."""
    if segment == INVARIANTS:
        return Need("era5", INVARIANTS, NO_DAYS)
    return Need("era5", segment, _states_days(config, segment), era5_fields())


def gfs_need(config: Config, segment: str) -> Need:
    """Return what is needed of GFS in a segment: analyses, and forecasts that are scored."""
    scored = segment in config.scored_segments
    return Need(
        "gfs",
        segment,
        _states_days(config, segment),
        gfs_fields(),
        _texts(config.clip(segment, config.scored_period(segment))) if scored else (),
        tuple(config.cycling.init_hours) if scored else (),
        config.cycling.max_lead_hours if scored else 0,
    )


def source_need(config: Config, name: str, segment: str) -> Need:
    """Return what is needed of a source in a segment: the observed days.

    Parameters
    ----------
    config : Config
        The configuration.
    name : str
        Name of the source.
    segment : str
        A segment of the observation period or of the cycle.

    Returns
    -------
    Need
        It is idle where no platform of the source flew.
    """
    first, last = config.clip(segment, config.observed_period(segment))
    idle = sources.load_source(name).days_flown(first, last) is None
    return Need(name, segment, _texts((first, last)), idle=idle)


def store_needs(config: Config) -> dict[str, Need]:
    """Return what is needed of public stores that are scored, by product."""
    table = channel_table()
    test, verified = config.periods.test, config.verification_period
    by_product = {}
    for system in config.verification.systems.values():
        for address, end, forecasts in (
            (system.forecasts, test.end, True),
            (system.analyses, verified.end, False),
        ):
            if address is None or not is_address(address):
                continue
            names = config.system_channels if forecasts else config.scored_channels
            channels = table if names is None else table.select(names)
            fields = [field for channel in channels for field in store_fields(channel, forecasts)]
            by_product[store_product(address)] = Need(
                store_product(address),
                WHOLE,
                _texts((test.start, end)),
                tuple(sorted(set(fields))),
                init_hours=tuple(config.cycling.init_hours) if forecasts else (),
                max_lead_hours=config.cycling.max_lead_hours if forecasts else 0,
                address=address,
            )
    address = config.verification.climatology
    if address is not None and is_address(address):
        # which channels it has, and has not, its metadata alone say
        fields = [field for c in table if not is_humidity(c) for field in store_fields(c, True)]
        product = store_product(address)
        by_product[product] = Need(
            product, WHOLE, NO_DAYS, tuple(sorted(set(fields))), address=address
        )
    return by_product


def is_humidity(channel: Channel) -> bool:
    """Say whether a channel is of relative humidity, which public stores do not have as ERA5."""
    return channel.variable == "relative_humidity"


def store_fields(channel: Channel, forecasts: bool) -> list[str]:
    """Return the fields of WeatherBench2's stores that a channel is made of."""
    if not channel.analysed:
        return [channel.variable] if forecasts else []
    variables = (channel.variable,)
    if is_humidity(channel):
        variables = ("specific_humidity", "temperature")
    level = "" if channel.level is None else f" {channel.level}"
    return [f"{variable}{level}" for variable in variables]


def need_of(config: Config, product: str, segment: str) -> Need:
    """Return what is needed of a product in a segment.

    Parameters
    ----------
    config : Config
        The configuration.
    product : str
        ``era5``, ``gfs``, ``ibtracs`` or the name of a source or a public store.
    segment : str
        Label of the segment, ``invariants`` of ERA5, or ``store``.

    Returns
    -------
    Need
        Days and fields.
    """
    if product == "era5":
        return era5_need(config, segment)
    if product == "gfs":
        return gfs_need(config, segment)
    if product == BEST_TRACKS:
        return Need(BEST_TRACKS, WHOLE, NO_DAYS)
    if segment == WHOLE:
        return store_needs(config)[product]
    return source_need(config, product, segment)


def all_needs(config: Config) -> Iterator[Need]:
    """Yield all that a configuration needs of the archives."""
    verified = config.segments(config.verification_period)
    for segment in [*config.segments(config.periods.training), *verified, INVARIANTS]:
        yield era5_need(config, segment)
    for segment in verified if config.needs_gfs else ():
        yield gfs_need(config, segment)
    observed = [
        *config.segments(config.periods.observations),
        *config.segments(config.cycling_period),
    ]
    for name in config.sources:
        for segment in observed:
            yield source_need(config, name, segment)
    yield from store_needs(config).values()
    if config.cyclones and config.cyclones.best_tracks is None:
        yield need_of(config, BEST_TRACKS, WHOLE)


def months_in_runs(months: Iterable[str]) -> str:
    """Return months as runs, such as ``2018-06 to 2018-09, 2019-01``."""
    numbers = [int(month[:4]) * 12 + int(month[5:]) - 1 for month in sorted(months)]
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    texts = [[f"{number // 12:04d}-{number % 12 + 1:02d}" for number in run] for run in runs]
    return ", ".join(first if first == last else f"{first} to {last}" for first, last in texts)


def narrowed(
    needs: Iterable[Need], products: Iterable[str], months: Iterable[str]
) -> Iterator[Need]:
    """Yield the needs of some products and months.

    Parameters
    ----------
    needs : iterable of Need
        All needs.
    products : iterable of str
        ``era5``, ``gfs`` or names of sources; all where it is empty.
    months : iterable of str
        Calendar months YYYY-MM; all where it is empty. A need is kept whole when it touches one.

    Returns
    -------
    Iterator of Need
        Those that are wanted.

    Raises
    ------
    ValueError
        When there is no such product or month among the needs; the text lists those there are.
    """
    needs, products, months = list(needs), [*products], {*months}
    names = list(dict.fromkeys(need.product for need in needs))
    for product in products:
        if product not in names:
            raise ValueError(f"the configuration needs no {product!r}; it needs {', '.join(names)}")
    needs = [need for need in needs if not products or need.product in products]
    there = {month for need in needs for month in (*need.months, need.segment)}
    if unneeded := sorted(months - there):
        of = f" of {', '.join(products)}" if products else ""
        raise ValueError(
            f"the configuration needs no {', '.join(unneeded)}{of}; it needs "
            f"{months_in_runs(there - {INVARIANTS, WHOLE})}, written YYYY-MM"
        )
    for need in needs:
        if not months or months & {*need.months, need.segment}:
            yield need


def _states_days(config: Config, segment: str) -> tuple[str, str]:
    """Return first and last day of a segment of states, of training or from the cold start on."""
    return _texts(config.clip(segment, config.states_period(segment)))


def _texts(days: tuple[date, date]) -> tuple[str, str]:
    first, last = days
    return str(first), str(last)
