"""The last steps: zeros, free models, and the form of a line."""

import hashlib
import json
import re

#: Models of these run where the caller pays for the machine, or cost nothing by their owner's word.
FREE_PROVIDERS = {"ollama", "lemonade", "searxng", "duckduckgo"}
#: Free tiers with limits of rate, and no paid door to the same models.
FREE_TIERS = {"github", "nvidia"}
FREE_IDS = re.compile(r"(:free|-free)$|^gemma-|^gemini-2\.0-flash-exp|^glm-4\.[57]-flash$|^omni-moderation")

TOKENS = ("in", "out", "cr", "cw", "cwh", "rs", "ain", "aout", "iin", "iout")
UNITS = ("req", "srch", "srch_lo", "srch_hi", "img_in", "img_out", "sec_in", "sec_out", "chr_in", "chr_out", "page")
DAY = re.compile(r"^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$")
ORDER = {bucket: place for place, bucket in enumerate(TOKENS + UNITS)}


#: No list has a text model dearer than this, in nano-dollars per million tokens; more is a slip of units.
DEAREST_INPUT, DEAREST_OUTPUT = 400 * 10**9, 1_000 * 10**9


def tidy(row, implausible):
    """Takes out zeros that only mean "not known" and prices that cannot be, and marks models that are free. Whether the
    row is worth keeping."""
    if row["id"].startswith("~"):
        return False  # A name of OpenRouter for whatever is newest: it has no price of its own.
    if row["p"] == "xai":
        # xAI's higher price begins at 200,000 tokens, not above them; a threshold here is what must be exceeded.
        row["cards"] = {card.replace(">200000", ">199999"): prices for card, prices in row["cards"].items()}
    if row.get("free"):
        return True
    standard = row["cards"].get("", {})
    nothing = bool(standard) and not any(standard.values())
    if nothing and _free(row):
        row["free"], row["cards"] = True, {}
        return True
    if row["p"] in FREE_PROVIDERS:
        row["free"], row["cards"] = True, {}
        return True
    cards = {card: {b: p for b, p in prices.items() if p} for card, prices in row["cards"].items()}
    if reason := _implausible(cards.get("", {})):
        implausible.append({"id": f"{row['p']}/{row['id']}", "reason": reason, "prices": cards[""]})
        cards = {}
    row["cards"] = {card: prices for card, prices in cards.items() if prices}
    if "" not in row["cards"]:
        # A discount of what has no price says nothing.
        row["cards"] = {}
    _alike(row["cards"])
    for card in list(row["cards"]):
        tier, _, above = card.partition(">")
        if above and tier and tier not in row["cards"]:
            del row["cards"][card]
    row["win"] = row["win"] if "@0" in row["cards"] else []
    if not row["win"]:
        row["cards"].pop("@0", None)
    return bool(row["cards"] or row["in"] or row["out"] or row["ctx"] or row["cap"])


def _implausible(standard):
    into, out = standard.get("in", 0), standard.get("out", 0)
    if into > DEAREST_INPUT or out > DEAREST_OUTPUT:
        return "dearer than any model of any list: a slip of units"
    if into and out and out * 20 < into:
        return "output at less than a twentieth of input: a slip of the point"
    return None


def _alike(cards):
    """Where reasoning, audio or images cost what text of their direction costs, they do so on every tier and length."""
    standard = cards.get("", {})
    for bucket, text in (("rs", "out"), ("aout", "out"), ("iout", "out"), ("ain", "in"), ("iin", "in")):
        if bucket in standard and standard[bucket] == standard.get(text):
            for prices in cards.values():
                if text in prices:
                    prices.setdefault(bucket, prices[text])


def _free(row):
    return row["p"] in FREE_TIERS or FREE_IDS.search(row["id"]) is not None


def guess_mode(row):
    """What a model of a source without modes is for."""
    name, priced = row["id"].lower(), row["cards"].get("", {})
    for pattern, mode in (
        (r"rerank", "rerank"), (r"embed|bge-|gte-|^e5-|voyage-(?!.*rerank)|uae-large", "embedding"), (r"moderation|guard", "moderation"),
        (r"whisper|transcri|-asr|parakeet|scribe", "transcription"), (r"tts|aura-|orpheus|speech", "speech"),
        (r"\bsora|veo|video|-t2v|-i2v|kling", "video"),
    ):
        if re.search(pattern, name) and not (mode == "moderation" and "out" in priced):
            return mode
    if row["mo"] and "t" not in row["mo"]:
        return {"i": "image", "a": "speech", "v": "video"}.get(row["mo"][0], "other")
    if re.search(r"flux|dall-e|imagen|gpt-image|flash-image|pro-image|stable-diffusion|seedream", name):
        return "image"
    return "chat"


class Sources:
    """The places that prices were read from, each under a short key that does not change when others come or go."""

    def __init__(self, packages, day):
        self.packages = {letter: [name, version] for name, (version, letter, *_) in packages.items()}
        self.letters = {name: letter for letter, (name, _) in self.packages.items()}
        self.day, self.urls = day, {}

    def key(self, url):
        if not url or not url.startswith("https://") or not url.isascii():
            return None
        for length in range(3, 40):
            key = hashlib.sha256(url.encode()).hexdigest()[:length]
            if self.urls.setdefault(key, url) == url:
                return key
        raise ValueError(url)

    def header(self):
        return {"format": 1, "day": str(self.day), "packages": self.packages, "sources": dict(sorted(self.urls.items()))}


def line(row, sources):
    """One row as a line of JSON; what is not known is not there."""
    out = {"p": row["p"], "id": row["id"]}
    if row["var"]:
        out["var"] = row["var"]
    out["m"] = row["m"]
    for field in ("ctx", "in", "out", "dims", "mi", "mo", "cap", "rel", "dep"):
        if row[field] and (field not in ("rel", "dep") or DAY.match(row[field])):
            out[field] = row[field]
    if row.get("free"):
        out["free"] = True
    for card, prices in sorted(row["cards"].items(), key=_card_order):
        out["$" + card] = dict(sorted(prices.items(), key=lambda item: ORDER[item[0]]))
    if row["win"]:
        out["win"] = row["win"]
    if row["up"]:
        out["up"] = row["up"]
    out["by"] = sources.letters[row["from"]]
    if key := sources.key(row["url"]):
        out["src"] = key
    if row.get("at"):
        out["at"] = row["at"]
    return json.dumps(out, separators=(",", ":"), ensure_ascii=False)


def _card_order(item):
    tier, _, above = item[0].partition(">")
    return (tier, int(above or 0))
