"""Times of the week, in minutes from Monday 00:00 UTC."""

DAY, WEEK = 1_440, 10_080
#: Zones without summer time only: anything else has no fixed offset.
OFFSETS = {"UTC": 0, "Asia/Shanghai": 480}


def weekly(windows, zone):
    """Spans `[start, end)` of the week in which a list of hours (UTC) on weekdays (of `zone`) holds."""
    offset = OFFSETS[zone]
    inside = [any(_holds(window, minute, offset) for window in windows) for minute in range(WEEK)]
    return spans(inside)


def spans(inside):
    """The runs of true minutes; none wraps."""
    edges = [m for m in range(WEEK + 1) if (m < WEEK and inside[m]) != (m > 0 and inside[m - 1])]
    return [[start, end] for start, end in zip(edges[::2], edges[1::2])]


def _holds(window, minute, offset):
    weekday = ((minute + offset) % WEEK) // DAY + 1
    if weekday not in window["weekdays"]:
        return False
    hours = window["hours_utc"]
    return any(_within(span, minute % DAY) for span in ([hours] if isinstance(hours, str) else hours))


def _within(span, minute):
    start, end = (_minute(part) for part in span.split("-"))
    end = end or DAY
    return start <= minute < end if start < end else minute >= start or minute < end


def _minute(clock):
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
