"""Which sources have an observation operator."""

from fuxiflow.config import simulation, sources
from fuxiflow.operators.microwave import MicrowaveOperator
from tests.helpers import loaded_by


def test_what_can_be_computed_from_a_state_is_known():
    names = ("noaa20_atms", "ssmis", "iasi", "hirs4", "gnssro", "land_stations", "radiosondes")
    found = {name: simulation.has_operator(sources.load_source(name)) for name in names}
    assert {name for name in names if not found[name]} == {"iasi", "hirs4"}


def test_every_known_instrument_has_an_operator():
    for name in simulation.instruments_with_operator():
        assert MicrowaveOperator.for_instrument(name).channels


def test_planning_needs_no_torch():
    assert "torch" not in loaded_by("fuxiflow.config.simulation")
