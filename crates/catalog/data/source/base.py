"""The base: the price map of the `litellm` wheel (MIT outside `enterprise/`)."""

import json
import re
from decimal import Decimal

from . import money, names
from .windows import weekly

PATH = "litellm/model_prices_and_context_window_backup.json"

#: Fields with a price, and the bucket that each is. All are dollars per unit.
BUCKETS = {
    "input_cost_per_token": "in",
    "output_cost_per_token": "out",
    "cache_read_input_token_cost": "cr",
    "cache_creation_input_token_cost": "cw",
    "cache_creation_input_token_cost_above_1hr": "cwh",
    "cache_creation_input_token_cost_above_12hr": "cwh",
    "output_cost_per_reasoning_token": "rs",
    "input_cost_per_audio_token": "ain",
    "output_cost_per_audio_token": "aout",
    "input_cost_per_image_token": "iin",
    "output_cost_per_image_token": "iout",
    "input_cost_per_image": "img_in",
    "output_cost_per_image": "img_out",
    "input_cost_per_second": "sec_in",
    "input_cost_per_audio_per_second": "sec_in",
    "output_cost_per_second": "sec_out",
    "output_cost_per_video_per_second": "sec_out",
    "input_cost_per_character": "chr_in",
    "output_cost_per_character": "chr_out",
    "input_cost_per_query": "req",
    "input_cost_per_request": "req",
    "ocr_cost_per_page": "page",
}
#: The same price under another name, taken where the first is not there.
AGAIN = {"input_cost_per_token_cache_hit": "cr"}
SEARCH = {"low": "srch_lo", "medium": "srch", "high": "srch_hi"}
TIERS = {"batches": "batch", "flex": "flex", "priority": "prio", "ultrafast": "fast"}
#: Modes of processing that no gateway can ask for in a field of a request yet.
NOT_CARRIED = {"balanced", "decisions"}

FIELD = re.compile(r"^(?P<name>.+?)(?:_above_(?P<k>\d+)k_tokens)?(?:_(?P<tier>batches|flex|priority|ultrafast|balanced|decisions))?$")
#: A price by the size of what is made, as `output_cost_per_second_720p`: a variant of the model.
SIZED = re.compile(r"^(?P<name>output_cost_per_(?:second|image))_(?P<size>\d+(?:\.\d+)?[kKp]?)$")

MODES = {
    "chat": "chat", "responses": "responses", "completion": "completion", "embedding": "embedding",
    "rerank": "rerank", "image_generation": "image", "image_edit": "image_edit", "audio_speech": "speech",
    "audio_transcription": "transcription", "moderation": "moderation", "video_generation": "video",
    "realtime": "realtime", "ocr": "ocr", "search": "search",
}

CAPABILITIES = {
    "supports_function_calling": "t", "supports_parallel_function_calling": "p", "supports_tool_choice": "c",
    "supports_response_schema": "s", "supports_system_messages": "y", "supports_vision": "v",
    "supports_reasoning": "r", "supports_prompt_caching": "k", "supports_web_search": "w",
    "supports_pdf_input": "f", "supports_audio_input": "a", "supports_audio_output": "o",
    "supports_video_input": "d", "supports_computer_use": "u", "supports_assistant_prefill": "x",
}
MODALITIES = {"text": "t", "image": "i", "audio": "a", "video": "v", "pdf": "f", "file": "f", "code": "t"}

#: Entries that stand for no model: classes of size, a template, rules.
NO_MODEL = re.compile(r"^(sample_spec|fallback_generalizations|fireworks-ai-.*|together-ai-.*|azure/container|openai/container|.*/guardrails)$")
QUALITY = re.compile(r"^((?:low|medium|high|standard|hd|auto)/)?((?:\d+|max)-x-(?:\d+|max)/)?((?:\d+|max)-steps/)?(?=.)")
AZURE_ZONE = re.compile(r"^(eu|us|us-gov|global|global-standard|apac|sweden|datazone|in|au|jp|uk)/")
AWS_REGION = re.compile(r"^(\*|[a-z]{2}(?:-gov)?-[a-z]+-\d|claude_platform)/((?:1|6)-month-commitment/)?")


def read(folder, refused):
    """Rows of the base, by (provider, id, variant). What cannot be carried exactly is added to `refused`."""
    with open(f"{folder}/{PATH}", encoding="utf-8") as file:
        entries = json.load(file, parse_float=Decimal)
    rows = {}
    for key, entry in sorted(entries.items(), key=lambda item: (_rank(item), item[0])):
        if NO_MODEL.match(key) or not entry.get("litellm_provider"):
            continue
        row = _row(key, entry, refused)
        identity = (row["p"], row["id"], row["var"])
        if identity not in rows:
            rows[identity] = row
        for size, card in row.pop("sized").items():
            sized = dict(row, var=size, cards={"": card})
            rows.setdefault((row["p"], row["id"], size), sized)
    return rows


def _rank(item):
    """Of two entries of one model the one under its provider's prefix is kept, and Azure OpenAI's before Foundry's."""
    key, entry = item
    provider = entry.get("litellm_provider", "")
    return (provider == "azure_ai", not key.startswith(provider.split("-")[0] + "/"))


def _row(key, entry, refused):
    provider = entry["litellm_provider"]
    ours = names.base(provider)
    identity, variant = _identity(key, provider, ours)
    row = {
        "p": ours, "id": identity, "var": variant, "m": MODES.get(entry.get("mode"), "other"),
        "in": _count(entry.get("max_input_tokens")), "out": _count(entry.get("max_output_tokens")),
        "ctx": None, "dims": _count(entry.get("output_vector_size")),
        "mi": _modalities(entry.get("supported_modalities")), "mo": _modalities(entry.get("supported_output_modalities")),
        "cap": "".join(sorted(letter for flag, letter in CAPABILITIES.items() if entry.get(flag) is True)),
        "dep": entry.get("deprecation_date"), "rel": None, "url": entry.get("source"), "from": "litellm",
        "cards": {}, "sized": {}, "win": [], "up": {},
    }
    _prices(key, entry, row, refused)
    _ladder(key, entry, row, refused)
    _off_peak(key, entry, row, refused)
    _multipliers(entry, row)
    return row


def _identity(key, provider, ours):
    """The id as the provider's API wants it, and which variant of the model's price this is."""
    match = QUALITY.match(key)
    variant, rest = (match.group(0).rstrip("/"), key[match.end():]) if match else ("", key)
    family = "vertex_ai" if ours == "vertex" else "azure" if provider == "azure_text" else provider
    for prefix in (family, family.replace("_", "-"), family.removeprefix("text-completion-"), "bedrock"):
        if rest.startswith(prefix + "/") and len(rest) > len(prefix) + 1:
            rest = rest[len(prefix) + 1:]
            break
    if not variant and (match := QUALITY.match(rest)) and match.group(0):
        variant, rest = match.group(0).rstrip("/"), rest[match.end():]
    zone = {"azure": AZURE_ZONE, "bedrock": AWS_REGION}.get(ours)
    if zone and (match := zone.match(rest)):
        variant, rest = match.group(0).rstrip("/").replace("_", "-"), rest[match.end():]
    return rest, variant


def _prices(key, entry, row, refused):
    for field, value in entry.items():
        if sized := SIZED.match(field):
            _put(row["sized"].setdefault(sized["size"].lower(), {}), BUCKETS[sized["name"]], value, key, field, refused)
            continue
        match = FIELD.match(field)
        bucket = BUCKETS.get(match["name"])
        if bucket is None:
            continue
        if match["tier"] in NOT_CARRIED:
            continue
        card = TIERS.get(match["tier"], "") + (f">{int(match['k']) * 1000}" if match["k"] else "")
        if bucket == "cwh" and "above_12hr" in field and field.replace("12hr", "1hr") in entry:
            continue
        _put(row["cards"].setdefault(card, {}), bucket, value, key, field, refused)
    for field, bucket in AGAIN.items():
        if field in entry and bucket not in row["cards"].get("", {}):
            _put(row["cards"].setdefault("", {}), bucket, entry[field], key, field, refused)
    search = entry.get("search_context_cost_per_query") or {}
    figures = {size: search.get(f"search_context_size_{size}") for size in SEARCH}
    if any(figures.values()):
        same = len(set(figures.values())) == 1
        for size in ["medium"] if same else SEARCH:
            if figures[size] is not None:
                _put(row["cards"].setdefault("", {}), SEARCH[size], figures[size], key, "search", refused)


def _ladder(key, entry, row, refused):
    """`tiered_pricing`: one price below a length of the prompt, others above."""
    steps = [step for step in entry.get("tiered_pricing") or () if "range" in step]
    for step in steps:
        start = int(step["range"][0])
        card = row["cards"].setdefault(f">{start}" if start else "", {})
        for field, value in step.items():
            if bucket := BUCKETS.get(field):
                _put(card, bucket, value, key, field, refused)


def _off_peak(key, entry, row, refused):
    off = entry.get("off_peak_pricing")
    if not off:
        return
    row["win"].append(weekly(off["windows"], off.get("weekday_timezone", "UTC")))
    card = row["cards"].setdefault("@0", {})
    for field, value in off.items():
        if bucket := BUCKETS.get(field):
            _put(card, bucket, value, key, field, refused)


def _multipliers(entry, row):
    """Surcharges: for processing in a region, and for Anthropic's fast mode, which multiplies every token price."""
    special = entry.get("provider_specific_entry") or {}
    fast = special.get("fast")
    if fast:
        tokens = {b: int(p * fast) for b, p in row["cards"].get("", {}).items() if b in ("in", "out", "cr", "cw", "cwh")}
        row["cards"].setdefault("fast", tokens)
    for name, factor in (
        ("us", special.get("us") or entry.get("regional_processing_uplift_multiplier_us")),
        ("eu", entry.get("regional_processing_uplift_multiplier_eu")),
        ("regional", entry.get("regional_endpoint_uplift_multiplier")),
    ):
        if factor:
            row["up"][name] = int(Decimal(factor) * 1000)


def _put(card, bucket, value, key, field, refused):
    if value is None:
        return
    try:
        card.setdefault(bucket, money.per_unit(value))
    except money.Inexact as error:
        refused.append({"id": key, "field": field, "value": str(value), "nanos": str(error)})


def _count(value):
    return int(value) if value and int(value) == value and 0 < value < 2**32 else None


def _modalities(listed):
    return "".join(sorted({MODALITIES[m] for m in listed or () if m in MODALITIES}))
