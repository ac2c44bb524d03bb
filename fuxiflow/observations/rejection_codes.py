"""Rejection codes: the reasons for which a footprint or a file is not used, in one place."""

from enum import IntEnum


class Reason(IntEnum):
    """A code with its meaning.

    Codes below 50 are of footprints and stand in the column ``rejected``. Those from 50 are of
    single values, those from 100 of whole files or messages, and those from 200 are remarks on what
    is used nevertheless; all these stand in the ledger alone. The first reason met is the one
    recorded: readers give 1 to 3 and 9, quality control gives the others below 50. The cycle of an
    experiment gives :attr:`FIRST_GUESS`, in a ledger of its own.
    """

    def __new__(cls, code: int, description: str):
        """Make a member that has a description."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.description = description
        return member

    USED = 0, "passed every check"
    LOCATION = 1, "latitude, longitude or satellite zenith angle is missing or out of range"
    TIME = 2, "observation time is missing or outside the nominal period of its file"
    MISSING = 3, "no channel holds a value"
    SEGMENT = 4, "observed outside the days of the segment"
    DUPLICATE = (
        5,
        "same platform, time and scan position, or same station and time, as an earlier footprint",
    )
    RANGE = 6, "no channel within the valid range"
    OUTLIER = 7, "no channel within the bi-weight limits of its latitude band"
    TRACK = (
        8,
        "so far from where its station or scan was before that its time or place is wrong",
    )
    QUALITY = 9, "called unusable by its producer's quality flags"
    DENIED = 10, "only channels that had died on the platform by config/denials.csv"
    WITHHELD = 11, "passed every check, and is left to verification by verification.withheld"

    HEIGHT = 50, "measured at a height or depth that does not stand for the quantity"
    STATISTIC = 51, "an extreme or another statistic, no observation of the moment"
    IMPOSSIBLE = 52, "a value that the quantity cannot have"
    FLAGGED = 53, "a single value that its producer calls unusable"
    TWICE = 54, "given twice, so that it cannot be told which one is right"
    FIRST_GUESS = 55, "farther from the first guess of an experiment's cycle than is to be expected"

    NO_FILE = 100, "no file of the source in the directory: an outage"
    NAME = 101, "file name does not fit the source's file_pattern and its reader"
    EMPTY = 102, "file of zero bytes or without a scan"
    UNREADABLE = 103, "file is truncated, damaged or lacks a data set"
    PARTNER = 104, "granule lacks its geolocation or its data file, or that one is not usable"
    MISMATCH = 105, "data and geolocation differ in shape or period"
    PLATFORM = 106, "file is of another platform"
    SUPERSEDED = 107, "another version of the same granule or occultation is used"
    INSTRUMENT = 108, "file or message is of another instrument"
    FORMAT = 109, "file is of another format"

    HEADER_DATE = 200, "used with a date or part of it that the message's header alone has"
    BODY_DATE = 201, "used with the date of its body, as the message's header has none"

    @property
    def label(self) -> str:
        """The name of the reason in the ledger."""
        return self.name.lower()
