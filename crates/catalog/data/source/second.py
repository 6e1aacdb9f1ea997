"""The second source: the price list of the `genai-prices` wheel (MIT), which is a Python module that only holds data.

It is read without running any other module of the package: names that it would import become plain records.
"""

import datetime
import re
from decimal import Decimal

from . import money, names

PATH = "genai_prices/data.py"

BUCKETS = {
    "input_mtok": "in", "output_mtok": "out", "cache_read_mtok": "cr", "cache_write_mtok": "cw",
    "cache_write_1h_mtok": "cwh", "output_reasoning_mtok": "rs", "input_audio_mtok": "ain", "output_audio_mtok": "aout",
    "input_image_mtok": "iin", "output_image_mtok": "iout",
}
THOUSANDS = {"web_searches_kcount": "srch", "requests_kcount": "req", "input_document_kpages": "page"}
#: What a variant of a price is asked for by, and our tier.
WHEN = {
    ("processing", "batch"): "batch", ("service_tier", "flex"): "flex", ("service_tier", "priority"): "prio",
    ("speed", "fast"): "fast",
}


class Record:
    def __init__(self, kind, fields):
        self.kind = kind
        self.__dict__.update(fields)


class _Names(dict):
    """Any capitalised name is a maker of records."""

    def __missing__(self, name):
        if not name[0].isupper():
            raise KeyError(name)
        return lambda **fields: Record(name, fields)


def read(folder, moment, refused):
    """The models of each of our providers, in the order in which they are matched: (rule, row). Retired ones are among them."""
    with open(f"{folder}/{PATH}", encoding="utf-8") as file:
        text = file.read()
    text = text.replace("from .types import *", "").replace("providers: list[Provider] =", "providers =")
    scope = _Names(datetime=datetime, Decimal=Decimal)
    exec(compile(text, PATH, "exec"), {}, scope)
    found = {}
    for provider in scope["providers"]:
        backend = provider.id.removeprefix("huggingface_") if provider.id.startswith("huggingface_") else None
        if provider.id == "openai-decisions":
            continue
        ours = "huggingface" if backend else names.second(provider.id)
        for model in provider.models:
            identity = f"{model.id}:{backend}" if backend else model.id
            row = _row(ours, identity, model, moment, refused)
            rule = Record("ClauseEquals", {"equals": identity}) if backend else model.match
            found.setdefault(ours, []).append((rule, row))
    return found


def matches(rule, name):
    """Whether a rule of the source matches a model's name."""
    name = name.lower()
    match rule.kind:
        case "ClauseEquals":
            return name == rule.equals.lower()
        case "ClauseStartsWith":
            return name.startswith(rule.starts_with.lower())
        case "ClauseEndsWith":
            return name.endswith(rule.ends_with.lower())
        case "ClauseContains":
            return rule.contains.lower() in name
        case "ClauseRegex":
            return re.search(rule.regex, name) is not None
        case "ClauseOr":
            return any(matches(part, name) for part in rule.or_)
        case "ClauseAnd":
            return all(matches(part, name) for part in rule.and_)
    raise ValueError(rule.kind)


def _row(ours, identity, model, moment, refused):
    row = {
        "p": ours, "id": identity, "var": "", "m": "chat", "in": None, "out": None,
        "ctx": getattr(model, "context_window", None), "dims": None, "mi": "", "mo": "", "cap": "", "dep": None,
        "rel": None, "url": None, "from": "genai-prices", "cards": {}, "win": [], "up": {},
    }
    standard, off_peak = _at(model.prices, moment)
    _card(standard, "", row, refused)
    if off_peak is not None:
        _card(off_peak, "@0", row, refused)
    for variant in getattr(model, "price_variants", ()):
        tier = WHEN.get(next(iter(variant.when.items()))) if len(variant.when) == 1 else None
        constraint = getattr(variant, "constraint", None)
        if tier and (constraint is None or constraint.kind == "StartDateConstraint" and constraint.start_date <= moment):
            _card(variant.prices, tier, row, refused)
    return row


def _at(prices, moment):
    """The price in force on a day at the dearest hour, and the cheaper one of other hours if there is one."""
    if isinstance(prices, Record):
        return prices, None
    always, hours = prices[0].prices, []
    for entry in prices:
        constraint = getattr(entry, "constraint", None)
        if constraint is None or constraint.kind == "StartDateConstraint" and constraint.start_date <= moment:
            always = entry.prices
        elif constraint.kind == "TimeOfDateConstraint":
            hours.append(entry.prices)
    if not hours:
        return always, None
    return max(hours, key=lambda price: price.input_mtok), always


def _card(price, card, row, refused):
    for field, value in price.__dict__.items():
        if field == "kind" or value is None:
            continue
        for extra, figure in [("", value)] if not isinstance(value, Record) else _steps(value):
            _put(row, card + extra, field, figure, refused)


def _steps(tiered):
    return [("", tiered.base)] + [(f">{tier.start}", tier.price) for tier in tiered.tiers]


def _put(row, card, field, value, refused):
    try:
        if field in BUCKETS:
            row["cards"].setdefault(card, {}).setdefault(BUCKETS[field], money.per_million(value))
        elif field in THOUSANDS:
            row["cards"].setdefault(card, {}).setdefault(THOUSANDS[field], money.per_thousand(value))
    except money.Inexact as error:
        refused.append({"id": f"{row['p']}/{row['id']}", "field": field, "value": str(value), "nanos": str(error)})
