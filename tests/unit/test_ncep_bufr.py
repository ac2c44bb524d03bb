"""NCEP's BUFR, decoded by the tables in the files: miniatures of an encoder of ours."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from fuxiflow.observations.ncep_bufr import NcepReports, RefusedMessage, read_ncep_reports
from tests.support import ncep_files
from tests.support.ncep_files import ELEMENTS, OCCULTATION, SOUNDERS, NcepTables

AMSUA = NcepTables(SOUNDERS["NC021023"])
REAL = Path("../shared/cases/7_unclear_messages/prepbufr/gdas.t12z.sfcshp.prepbufr")


def footprint(i, **other):
    channels = [{"CHNM": c + 1, "TMBR": 200 + c + i} for c in range(15)]
    return {
        "SAID": 209,
        "CLAT": 12.34 + i,
        "CLON": -20.5,
        "FOVN": i + 1,
        "BRITCSTC": channels,
    } | other


def decode(tmp_path, content, names=("SAID", "CLAT", "SAZA", "CHNM", "TMBR", "RPID")):
    path = tmp_path / "gdas.20220701.t12z.1bamua.tm00.bufr_d"
    path.write_bytes(content)
    results = list(read_ncep_reports(path, names))
    reports = [result for result in results if isinstance(result, NcepReports)]
    return reports, [result for result in results if isinstance(result, RefusedMessage)]


def only(tmp_path, content, **kwargs):
    ((_, messages, reports),), refused = decode(tmp_path, content, **kwargs)
    assert not refused
    assert len(messages) == len(np.unique(reports.of))
    return reports


@pytest.mark.parametrize(
    "how",
    [{}, {"compressed": True}, {"counted": False}, {"edition": 4}],
    ids=["counted", "compressed", "chained", "edition 4"],
)
def test_messages_of_all_kinds(tmp_path, how):
    subsets = [footprint(i, SAZA=None if i == 1 else 2.5 * i) for i in range(5)]
    content = AMSUA.messages(edition=how.get("edition", 3))
    content += AMSUA.message(subsets[:3], **how) + AMSUA.message(subsets[3:], **how)
    reports = only(tmp_path, content)
    assert_array_equal(reports.of, [0, 0, 0, 1, 1])
    assert_array_equal(reports.number, [0, 1, 2, 0, 1])
    assert_allclose(reports.first("CLAT"), 12.34 + np.arange(5))
    assert_allclose(reports.first("SAZA"), [0, np.nan, 5, 7.5, 10])
    channels = reports.part("BRITCSTC")
    assert_array_equal(channels.of, np.repeat(np.arange(5), 15))
    assert_array_equal(channels.number, np.tile(np.arange(15), 5))
    expected = [[200 + c + i for c in range(15)] for i in range(5)]
    assert_allclose(channels.values["TMBR"][0].reshape(5, 15), expected)


@pytest.mark.parametrize("how", [{}, {"counted": False}], ids=["counted", "chained"])
def test_repetitions_within_repetitions(tmp_path, how):
    tables = NcepTables(OCCULTATION)
    rays = [
        [
            {
                "CLATH": 10 * j + k,
                "ROSEQ2": [{"MEFR": 0, "BNDA": (0.01 + 0.001 * k, 1e-4)}] * (k % 3),
            }
            for k in range(j * 2)
        ]
        for j in range(4)
    ]
    subsets = [{"SAID": j, "ROSEQ1": rays[j]} for j in range(4)]
    reports = only(
        tmp_path,
        tables.messages() + tables.message(subsets, **how),
        names=["SAID", "CLATH", "MEFR", "BNDA"],
    )
    levels = reports.part("ROSEQ1")
    assert_array_equal(levels.of, np.repeat(np.arange(4), [0, 2, 4, 6]))
    expected = [ray["CLATH"] for profile in rays for ray in profile]
    assert_allclose(levels.values["CLATH"][0], expected)
    inner = reports.part("ROSEQ2")
    counts = [len(ray["ROSEQ2"]) for profile in rays for ray in profile]
    assert_array_equal(inner.of, np.repeat(np.arange(12), counts))
    bending = [0.01 + 0.001 * (k % 6) for k in levels.number[inner.of]]
    assert_allclose(inner.values["BNDA"][0], bending)
    assert_allclose(inner.values["BNDA"][1], 1e-4)
    # the report's own latitude is missing: that of a ray does not take its place
    assert np.isnan(reports.first("CLATH")).all()


def test_elements_are_found_by_mnemonic_in_each_epoch(tmp_path):
    # the same numbers stand for other elements after the tables have changed
    sequences = {"NC021023": "SAID HMSL SAZA"}
    early = NcepTables(sequences, {**ELEMENTS, "HMSL": (2162, 0, 0, 12, "M")})
    late = NcepTables(
        sequences,
        {**ELEMENTS, "SAZA": (2162, 1, -900, 11, "DEGREE"), "HMSL": (2164, 0, 0, 16, "M")},
    )
    first = early.message([{"SAID": 3, "HMSL": 870, "SAZA": 1.25}])
    second = late.message([{"SAID": 4, "HMSL": 30_000, "SAZA": -2.5}])
    content = early.messages() + first + late.messages() + second
    reports, refused = decode(tmp_path, content, names=["SAID", "HMSL", "SAZA"])
    assert not refused
    seen = [(r.first("SAID")[0], r.first("HMSL")[0], r.first("SAZA")[0]) for _, _, r in reports]
    assert seen == [(3, 870, 1.25), (4, 30_000, -2.5)]


def test_tables_closed_in_the_middle_stay_in_force(tmp_path):
    closing = ncep_files.table_message(b"\0\0\0", subsets=0)
    content = AMSUA.messages() + AMSUA.message([footprint(0)]) + closing
    reports = only(tmp_path, content + AMSUA.message([footprint(1)]))
    assert_allclose(reports.first("CLAT"), [12.34, 13.34])


def test_other_reports_and_bytes_between(tmp_path):
    other = NcepTables({"NC021027": "SAID CLAT (RAW)", "RAW": "RPID"}, report=363219, first=361101)
    word = (1234).to_bytes(4)
    pieces = [AMSUA.messages(), other.messages(), AMSUA.message([footprint(0)])]
    pieces.append(other.message([{"SAID": 4, "CLAT": 1.0, "RAW": [{"RPID": "A"}, {"RPID": "BC"}]}]))
    content = b"".join(word + piece + word for piece in pieces)
    reports, refused = decode(tmp_path, content)
    assert not refused
    assert [kind for kind, *_ in reports] == ["NC021023", "NC021027"]
    assert reports[1].reports.part("RAW").values["RPID"][0].tolist() == ["A", "BC"]


def test_operators_act_within_their_sequence(tmp_path):
    sequences = {"NC021241": 'SAID "WIDE"2 CHNM', "WIDE": "201132 CHNM 202129 TMBR"}
    tables = NcepTables(sequences)
    subset = {"SAID": 3, "CHNM": 7, "WIDE": [{"CHNM": 616, "TMBR": 250.123}, {"CHNM": 62}]}
    for compressed in (False, True):
        content = tables.messages() + tables.message([subset] * 2, compressed=compressed)
        reports = only(tmp_path, content)
        assert reports.first("CHNM").tolist() == [7, 7]
        wide = reports.part("WIDE")
        assert wide.values["CHNM"][0].tolist() == [616, 62] * 2
        assert_allclose(wide.values["TMBR"][0], [250.123, np.nan] * 2)


def test_a_truncated_last_message_is_told(tmp_path):
    messages = [AMSUA.message([footprint(i), footprint(i + 1)]) for i in (0, 2)]
    content = AMSUA.messages() + messages[0] + messages[1][:-30]
    ((_, _, reports),), (refused,) = decode(tmp_path, content)
    assert len(reports) == 2
    assert "truncated" in refused.why
    assert refused.message.subsets == 2


def test_what_the_tables_lack_is_named(tmp_path):
    alone = AMSUA.message([footprint(0)])
    assert "no tables" in decode(tmp_path, alone)[1][0].why
    other = NcepTables({"NC021203": "SAID"}, report=363219)
    (refused,) = decode(tmp_path, other.messages() + alone)[1]
    assert refused.why == "report: sequence 3-63-218 is not in the file's tables"
    lacking = AMSUA.messages().replace(b"012163TMBR", b"012164TMBR")
    (refused,) = decode(tmp_path, lacking + alone)[1]
    assert refused.why == "NC021023: element 0-12-163 is not in the file's tables"


def test_damaged_tables_do_not_let_the_old_ones_decode(tmp_path):
    damaged = bytearray(AMSUA.messages(per_message=500))
    place = damaged.index(b"012163TMBR") + 109
    damaged[place : place + 3] = b"xx "
    content = AMSUA.messages() + bytes(damaged) + AMSUA.message([footprint(0)])
    reports, refused = decode(tmp_path, content)
    assert not reports
    assert "its tables cannot be read" in refused[0].why
    assert refused[1].why == "the tables before it are damaged"


def test_tables_that_name_each_other_are_an_error(tmp_path):
    tables = NcepTables({"NC021023": "SAID {A}", "A": "CLAT"})
    tables.sequences["A"] = "{A}"
    (refused,) = decode(tmp_path, tables.messages() + tables.message([{"SAID": 1}]))[1]
    assert "without end" in refused.why


def test_a_damaged_message_does_not_spoil_its_neighbours(tmp_path):
    tables = NcepTables({"NC003010": "SAID {LEVEL}", "LEVEL": "HEIT <MORE>", "MORE": "ARFR"})
    subsets = [
        {"SAID": i, "LEVEL": [{"HEIT": 10 * k, "MORE": [{"ARFR": k}] * (k % 2)} for k in range(i)]}
        for i in range(1, 5)
    ]
    whole = [tables.message(subsets) for _ in range(3)]
    damaged = bytearray(whole[1])
    start = damaged.index(b"7777") - 40
    damaged[start : start + 8] = b"\xff" * 8
    content = tables.messages() + whole[0] + bytes(damaged) + whole[2]
    ((_, messages, reports),), (refused,) = decode(tmp_path, content, ["SAID", "HEIT", "ARFR"])
    assert "not as long as" in refused.why
    assert len(messages) == 2
    assert_array_equal(reports.first("SAID"), [1, 2, 3, 4] * 2)
    assert len(reports.part("LEVEL")) == 20


def test_a_subset_longer_than_its_length_can_say(tmp_path):
    tables = NcepTables({"NC004001": "SAID (LEVEL)", "LEVEL": "RPID"})
    levels = [{"RPID": f"S{i}"} for i in range(9000)]
    content = tables.messages() + tables.message([{"SAID": 5, "LEVEL": levels}])
    reports = only(tmp_path, content)
    assert len(reports.part("LEVEL")) == 9000
    assert reports.part("LEVEL").values["RPID"][0][-1] == "S8999"


ALL = {
    "SIGNED": (12201, 1, -2732, 14, "DEGREE C"),
    "BROAD": (12202, 0, 0, 40, "NUMERIC"),
    "TENS": (10202, -1, -40, 16, "M"),
    "FLAGS": (33202, 0, 0, 24, "FLAG TABLE"),
    "BIT": (33203, 0, 0, 2, "CODE TABLE"),
    "NAME": (1202, 0, 0, 40, ncep_files.CCITT),
}
SHAPES = {
    "REPORT": 'SIGNED NAME HEAD {LEVELS} "TWICE"2 <MAYBE> (MANY)',
    "HEAD": "BIT TENS",
    "LEVELS": "BROAD <MAYBE> [STACK]",
    "MAYBE": "FLAGS",
    "STACK": "SIGNED BIT",
    "TWICE": "TENS NAME",
    "MANY": "BIT",
}


def element(name):
    _, scale, reference, width, unit = ALL[name]
    if unit == ncep_files.CCITT:
        return st.text("ABCxyz019-", max_size=width // 8)
    numbers = st.integers(0, (1 << width) - 2)
    return st.none() | numbers.map(lambda number: (number + reference) / 10.0**scale)


def contents(name):
    """Values of a sequence, repeated ones as lists."""
    values = {}
    for kind, member, detail in NcepTables(SHAPES, ALL).members(name):
        if kind == "element":
            values[member] = element(member)
        elif kind == "sequence":
            values |= contents(member)
        else:
            most = {"<": 1, "{": 4, "[": 3, "(": 5}.get(detail, detail)
            least = detail if kind == "fixed" else 0
            inner = st.fixed_dictionaries(contents(member))
            values[member] = st.lists(inner, min_size=least, max_size=most)
    return values


def gathered(reports, name="REPORT"):
    """Decoded reports as the values that they were made of."""
    tables = NcepTables(SHAPES, ALL)
    rows = [{} for _ in range(len(reports))]

    def collect(sequence):
        for kind, member, _ in tables.members(sequence):
            if kind == "element":
                column = reports.values[member][0]
                for row, value in zip(rows, column.tolist(), strict=True):
                    row[member] = value
            elif kind == "sequence":
                collect(member)
            else:
                for row in rows:
                    row[member] = []
                part = next((part for part in reports.parts if part.name == member), None)
                inner = gathered(part, member) if part else []
                for of, row in zip(part.of if part else [], inner, strict=True):
                    rows[of][member].append(row)

    collect(name)
    return rows


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if one is None:
        return math.isnan(other)
    return one == other if isinstance(one, str) else math.isclose(one, other, abs_tol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    subsets=st.lists(st.fixed_dictionaries(contents("REPORT")), min_size=1, max_size=5),
    counted=st.booleans(),
    split=st.integers(0, 4),
    edition=st.sampled_from([3, 4]),
)
def test_round_trip(tmp_path_factory, subsets, counted, split, edition):
    tables = NcepTables(SHAPES, ALL)
    parts = [part for part in (subsets[:split], subsets[split:]) if part]
    content = tables.messages(edition=edition) + b"".join(
        tables.message(part, counted=counted, edition=edition) for part in parts
    )
    reports = only(tmp_path_factory.mktemp("ncep"), content, names=ALL)
    assert same(subsets, gathered(reports))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), counts=st.lists(st.integers(1, 6), min_size=1, max_size=3))
def test_round_trip_of_compressed_messages(tmp_path_factory, data, counts):
    tables = NcepTables(SHAPES, ALL)
    content, subsets = tables.messages(), []
    for count in counts:
        # all subsets of a message have one structure
        first = data.draw(st.fixed_dictionaries(contents("REPORT")))
        message = [first, *(data.draw(like(first, "REPORT")) for _ in range(count - 1))]
        content += tables.message(message, compressed=True)
        subsets += message
    reports = only(tmp_path_factory.mktemp("ncep"), content, names=ALL)
    assert same(subsets, gathered(reports))


def like(values, name):
    """Other values of the structure of some."""
    made = {
        key: st.tuples(*(like(inner, key) for inner in value)).map(list)
        if isinstance(value, list)
        else element(key)
        for key, value in values.items()
    }
    return st.fixed_dictionaries(made)


@settings(max_examples=150, deadline=None)
@given(
    place=st.integers(0, 10_000), octet=st.integers(0, 255), cut=st.integers(0, 10_000) | st.none()
)
def test_damage_is_refused_or_decoded(tmp_path_factory, place, octet, cut):
    tables = NcepTables(SHAPES, ALL)
    subset = {"SIGNED": 1.5, "LEVELS": [{"BROAD": 3, "STACK": [{"BIT": 1}] * 2}] * 3}
    content = bytearray(tables.messages() + tables.message([subset] * 3))
    content[place % len(content)] = octet
    content = bytes(content[: cut % len(content)] if cut else content)
    reports, refused = decode(tmp_path_factory.mktemp("ncep"), content, names=ALL)
    assert sum(len(entry.reports) for entry in reports) <= 65535
    assert all(entry.why for entry in refused)


@pytest.mark.parametrize("kind", SOUNDERS)
def test_a_second_decoder_finds_the_same(tmp_path, kind):
    earth2bufr = pytest.importorskip("earth2bufr")
    tables = NcepTables(SOUNDERS[kind])
    count, group = {"NC021023": (15, "BRITCSTC"), "NC021027": (5, "BRITCSTC")}.get(
        kind, (22, "ATMSCH")
    )
    draw = np.random.default_rng(3)
    subsets = [
        {
            "SAID": 224,
            "SAZA": round(draw.uniform(0, 60), 2),
            group: [{"TMBR": round(draw.uniform(150, 300), 2)} for _ in range(count)],
        }
        for _ in range(20)
    ]
    subsets[3][group][0]["TMBR"] = None
    path = tmp_path / "file.bufr_d"
    path.write_bytes(tables.messages() + tables.message(subsets))
    ((_, _, reports),) = read_ncep_reports(path, ["SAZA", "TMBR"])
    theirs = [batch for batch in earth2bufr.read_bufr(str(path)) if batch.num_rows]
    names = theirs[0].schema.names
    columns = [theirs[0].column(i) for i, name in enumerate(names) if name == "TMBR"]
    expected = np.stack([np.array(column.to_pylist(), float) for column in columns], axis=1)
    assert_allclose(reports.part(group).values["TMBR"][0].reshape(20, count), expected)
    zenith = np.array(theirs[0].column(names.index("SAZA")).to_pylist(), float)
    assert_allclose(reports.first("SAZA"), zenith)


@pytest.mark.skipif(not REAL.exists(), reason="the real file is not beside this checkout")
def test_a_real_file_has_the_reports_that_a_second_decoder_finds():
    earth2bufr = pytest.importorskip("earth2bufr")
    counts: Counter = Counter()
    for _, _, reports in read_ncep_reports(REAL, ["TYP"]):
        counts.update(reports.first("TYP").tolist())
    theirs: Counter = Counter()
    for batch in earth2bufr.read_bufr(str(REAL), skip_truncated_messages=True):
        theirs.update(batch.column(batch.schema.names.index("TYP")).to_pylist())
    assert counts == theirs
    assert sum(counts.values()) > 1000
