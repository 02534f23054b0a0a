"""Time stamps, as the flags -t to -ttttt ask for them."""

from __future__ import annotations

from analyzer.jit import kernel, wide
from analyzer.render.tcpdump.page import REFERENCE, TIME, Page
from analyzer.render.tcpdump.text import put, put_decimal, put_digits

CLOCK, NO_TIME, UNIX, SINCE_PREVIOUS, DATE_AND_CLOCK, SINCE_FIRST = 0, 1, 2, 3, 4, 5
DAY = 86_400
MILLION = 1_000_000
DAYS_TO_1970 = 719_468  # from 0000-03-01


@kernel
def put_date(page: Page, days: int) -> None:
    """The date ``days`` days behind 1970-01-01, ``YYYY-MM-DD``."""
    days += DAYS_TO_1970
    era = days // 146_097
    day_of_era = days - era * 146_097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * day_of_year + 2) // 153
    year = year_of_era + era * 400 + (1 if month >= 10 else 0)
    put_digits(page, year, 4)
    put(page, b"-")
    put_digits(page, month + 3 if month < 10 else month - 9, 2)
    put(page, b"-")
    put_digits(page, day_of_year - (153 * month + 2) // 5 + 1, 2)


@kernel
def put_clock(page: Page, seconds: int, microseconds: int, dated: bool) -> None:
    """``HH:MM:SS.ffffff`` of a time in seconds since 1970-01-01, with its date before it when ``dated``."""
    days = seconds // DAY
    seconds -= days * DAY
    if dated:
        put_date(page, days)
        put(page, b" ")
    hours = seconds // 3600
    minutes = seconds // 60
    put_digits(page, hours, 2)
    put(page, b":")
    put_digits(page, minutes - hours * 60, 2)
    put(page, b":")
    put_digits(page, seconds - minutes * 60, 2)
    put(page, b".")
    put_digits(page, microseconds, 6)


@kernel
def put_time(page: Page, ts_ns: int, offset_s: int) -> None:
    """The time stamp and the space behind it."""
    state = page.state
    flag = wide(state[TIME])
    if flag == NO_TIME:
        return
    time_us = ts_ns // 1000
    if flag in (SINCE_PREVIOUS, SINCE_FIRST):
        if wide(state[REFERENCE]) == 0:
            state[REFERENCE] = time_us
        since = time_us - wide(state[REFERENCE])
        if flag == SINCE_PREVIOUS:
            state[REFERENCE] = time_us
        if since < 0:
            put(page, b"-")
            since = -since
        else:
            put(page, b" ")
        time_us = since
        offset_s = 0
    seconds = time_us // MILLION
    microseconds = time_us - seconds * MILLION
    if seconds & 0x80000000:
        put(page, b"[Error converting time]")
    elif flag == UNIX:
        put_decimal(page, seconds)
        put(page, b".")
        put_digits(page, microseconds, 6)
    else:
        put_clock(page, seconds + offset_s, microseconds, flag == DATE_AND_CLOCK)
    put(page, b" ")
