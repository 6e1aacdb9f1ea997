"""Which of two prices is right, and why.

First the rules below, each resting on what a source itself says; then the third sources: whom one of them confirms is
right. What neither settles is `open`: the higher price is taken, so that no money is lost, and the diff says so. A
difference that no rule knows keeps the base's price and is unexplained, which fails the diff.
"""

import re
from collections import namedtuple

#: `ids`: a pattern of ids; `test`: of (ours, theirs); `take`: whose price the catalogue has.
Rule = namedtuple("Rule", "provider ids buckets test take reason")

#: Buckets that a rule may name.
ALL = None


def _near(share):
    return lambda ours, theirs: abs(ours - theirs) <= theirs * share


def _ratio(numerator, denominator):
    return lambda ours, theirs: theirs * denominator == ours * numerator


def _any(ours, theirs):
    return True


RULES = [
    Rule("databricks", r".*", ALL, _near(0.002), "base",
         "Databricks bills in units of 0.07 USD: the base has units times price, the second source rounds that to 0.001"),
    Rule("bedrock", r"^(anthropic|openai|claude)[.-]", ALL, _ratio(11, 10), "second",
         "an id without a prefix is called in its region, where Bedrock adds 10 % to the global price; the base has the global price"),
    Rule("bedrock", r"^us-gov\.", ALL, lambda a, b: a > b, "base",
         "the second source has no prices of GovCloud and matches the id to the commercial regions' record"),
    Rule("bedrock", r"^(eu|apac|jp)\.(amazon|meta)\.", ALL, lambda a, b: a > b, "base",
         "the second source has one record for all regions; the base has the region's own price, which is higher"),
    Rule("azure", r"^(ada|text-embedding-.*)$", ("in",), _ratio(10, 11), "base",
         "the second source has global deployments only, as it says; the base has the regional price, 10 % higher"),
    Rule("xai", r"^grok-code-fast", ALL, _any, "base",
         "retired, and the names are served as grok-build-0.1, whose price the base has; the second source has the retired model's"),
    Rule("mistral", r"^(magistral-(medium|small)-latest|mistral-medium)$", ALL, _any, "base",
         "the alias moved to a newer model (Medium 3.5, Small 4), whose card the base cites; the second source has the deprecated one"),
    Rule("mistral", r"^mistral-large-latest$", ALL, _any, "base",
         "the alias names Large 3 (2512), as model-prices confirms; the second source resolves it to 2407 and 2411"),
    Rule("mistral", r"^mistral-large-4", ALL, _any, "second",
         "the list price was lowered on 2026-10-29: the second source has all three prices with their dates, the base the one before"),
    Rule("deepseek", r"^deepseek-(chat|reasoner)$", ALL, _any, "base",
         "retired on 2026-07-24; the second source still has the discount hours that ended in 2025, the base is newer and cites DeepSeek"),
    Rule("zhipu", r"^glm-5\.3", ALL, _near(0.04), "base",
         "billed in CNY (28 and 2.80 per million): the base converts at 7.00, the second source at 7.25"),
    Rule("ovhcloud", r".*", ALL, _near(0.25), "second",
         "the second source reads the provider's own list of models, and models.dev confirms it where it has the model; the base is lower by 7 to 20 %"),
    Rule("cloudflare", r"clef-flash$", ("in",), _any, "second",
         "the second source has the change of 2026-10-19 with its date; the base has the price before it"),
    Rule("cloudflare", r"^@cf/(meta/llama-3|qwen|zai-org)", ALL, _near(0.02), "base",
         "the second source rounds to three decimals, the base does not"),
    Rule("fireworks", r"deepseek-v4-flash-0731$", ALL, _any, "base",
         "the second source matches the dated model to its predecessor's record"),
    Rule("fireworks", r"deepseek-v4-pro$", ALL, _any, "second",
         "models.dev confirms the second source, but for rounding the cache read to 0.15"),
    Rule("fireworks", r"llama-v3p1-8b-instruct$", ALL, _any, "second",
         "Fireworks' class of 4 to 16 billion parameters costs 0.20, as the base itself has under the class"),
    Rule("fireworks", r"gemma-3-27b-it$", ALL, _any, "base",
         "Fireworks' class above 16 billion parameters costs 0.90, as the base has; the second source says that it assumes its figure"),
    Rule("google", r"^gemini-2\.0-flash-exp", ALL, lambda a, b: a == 0, "base",
         "the experimental model is free; the second source matches it to gemini-2.0-flash"),
    Rule("groq", r"^openai/gpt-oss-safeguard-20b$", ("cr",), _near(0.02), "second",
         "half of 0.075 is 0.0375; the base has it cut to three decimals"),
    Rule("openai", r"^gpt-4(\.1|o)-mini|^gpt-4\.1", ("srch",), _ratio(2, 5), "base",
         "OpenAI has two search tools, web_search at 10 and web_search_preview at 25 USD per thousand; reports of usage do not tell them apart, so the higher is kept"),
    Rule("openai", r"transcribe", ("ain",), lambda a, b: b > a, "second",
         "the base gives audio the price of text; the second source has audio apart, which is higher"),
    Rule("openai", r"^gpt-4o-mini-tts", ("out",), _any, "base",
         "the second source has under output what the base has under audio output"),
    Rule("vertex", r"^gemini-2\.5-flash-lite$", ("ain",), lambda a, b: b == a * 3, "second",
         "the base gives audio in a batch the price of text; the second source has half of the audio price"),
    Rule("vertex", r"^gemini-3\.5-flash-lite$", ("cr",), _any, "base",
         "the second source has the batch price of AI Studio, the base that of Vertex"),
    Rule("together", r"Mixtral-8x7B", ALL, _any, "base",
         "the base has the figure of Together's own list of models; the second source has the class of 41 to 80 billion parameters"),
    Rule("together", r"^meta-llama/Llama-3\.3-70B-Instruct-Turbo$", ALL, _any, "base",
         "the base has the figure of Together's own list of models, and the second source has the same 1.04 for Together behind Hugging Face"),
    Rule("together", r"^Qwen/Qwen3\.(7-Max|8-2\.4T-A95B)$", ALL, _any, "open",
         "the base cites Together's pages, the second source gives no note: not settled, the higher is kept"),
    Rule("novita", r"^mindai/macaron", ALL, _ratio(11, 20), "base",
         "every figure of the second source is 55 % of the base's: a discount, and a discount ends; other sellers list the base's output price, and no third source has Novita's, so the list price is kept, which is the higher"),
    Rule("novita", r"^deepseek/deepseek-v4-pro-0813$", ("cr",), _ratio(1, 3), "base",
         "both cite the same page of Novita; the second source has DeepSeek's own ratio of a hit (a thirtieth of the input), the base a tenth; two sources disagree, no third has it: the higher is kept"),
    Rule("deepseek", r"^deepseek-v3\.2$", ALL, lambda a, b: a > b, "base",
         "no name of DeepSeek's API, listed under it by both sources; DeepSeek's own list of December 2025 had 0.28 and 0.42 for V3.2, which is the base's input and nearest to the base's output"),
]


def settle(row, theirs, card, bucket, thirds):
    """(`base`, `second` or `open`, reason), or `None` where nothing settles the difference."""
    ours, other = row["cards"][card][bucket], theirs["cards"][card][bucket]
    for rule in RULES:
        if rule.provider == row["p"] and re.search(rule.ids, row["id"]) \
                and (rule.buckets is ALL or bucket in rule.buckets) and rule.test(ours, other):
            return rule.take, rule.reason
    for name, third in thirds:
        figure = third(row, card, bucket)
        if figure == ours:
            return "base", f"{name} confirms the base"
        if figure == other:
            return "second", f"{name} confirms the second source"
    return None
