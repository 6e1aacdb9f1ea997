"""Decimals to integers, exactly or not at all."""

from decimal import Decimal

#: Nano-dollars per dollar, and units per price.
NANOS = Decimal(10) ** 9
MILLION = Decimal(10) ** 6
#: What a price may be at most: 18 digits, so that it fits 64 bits with room.
MOST = 10**18


class Inexact(ValueError):
    """A figure that is no whole number of nano-dollars per million units."""


def per_million(dollars):
    """Dollars per million units, as nano-dollars per million units."""
    return _whole(repaired(Decimal(dollars)) * NANOS)


def per_unit(dollars):
    """Dollars per unit, as nano-dollars per million units."""
    return _whole(repaired(Decimal(dollars)) * NANOS * MILLION)


def per_thousand(dollars):
    """Dollars per thousand units, as nano-dollars per million units."""
    return _whole(repaired(Decimal(dollars)) * NANOS * 1000)


def repaired(value):
    """A figure of a source that multiplied in binary floating point, such as 8.900000000000001E-7: the short decimal that
    is within four units of its last place, if there is one; else the figure as it is (a conversion of currencies)."""
    if len(value.as_tuple().digits) < 16:
        return value
    short = Decimal(f"{value:.11E}")
    return short if abs(short - value) <= value * Decimal("9E-16") else value


def _whole(nanos):
    if nanos != nanos.to_integral_value() or not 0 <= nanos <= MOST:
        raise Inexact(str(nanos))
    return int(nanos)
