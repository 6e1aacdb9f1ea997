"""Names of providers: ours on the right. What is not here keeps its name, in lower case, with `-` for `_` and `.`."""

BASE = {
    "ai21": "ai21", "amazon_nova": "nova", "azure_ai": "azure", "azure_text": "azure",
    "bedrock_converse": "bedrock", "bigmodel": "zhipu", "cohere_chat": "cohere", "fireworks_ai": "fireworks",
    "fireworks_ai-embedding-models": "fireworks", "gemini": "google", "jina_ai": "jina", "lambda_ai": "lambda",
    "meta_llama": "llama", "nvidia_nim": "nvidia", "tencent": "hunyuan", "text-completion-codestral": "codestral",
    "text-completion-inception": "inception", "text-completion-openai": "openai", "together_ai": "together",
    "vercel_ai_gateway": "vercel", "xiaomi_mimo": "xiaomi", "aws_polly": "polly", "featherless_ai": "featherless",
    "gradient_ai": "digitalocean",
}

SECOND = {
    "aws": "bedrock", "moonshotai": "moonshot", "voyageai": "voyage", "x-ai": "xai", "zhipuai": "zhipu",
}

MODELS_DEV = {
    "alibaba": "dashscope", "amazon-bedrock": "bedrock", "cloudflare-workers-ai": "cloudflare",
    "fireworks-ai": "fireworks", "friendli": "friendliai", "github-models": "github", "gmicloud": "gmi",
    "google-vertex": "vertex", "google-vertex-anthropic": "vertex", "moonshotai": "moonshot", "novita-ai": "novita",
    "perplexity-agent": "perplexity", "stepfun-ai": "stepfun", "tencent-tokenhub": "hunyuan", "togetherai": "together",
    "zhipuai": "zhipu", "azure-cognitive-services": "azure",
}

METERGRAPH = {"vertex_ai": "vertex", "gemini": "google", "google-ai-studio": "google", "moonshotai": "moonshot"}


def clean(name):
    """A provider's name in lower case, of letters, digits and `-`."""
    return name.lower().replace("_", "-").replace(".", "-")


def base(name):
    """Our name of a provider of the base."""
    if name.startswith("vertex_ai"):
        return "vertex"
    return BASE.get(name) or clean(name)


def second(name):
    """Our name of a provider of the second source."""
    return SECOND.get(name) or clean(name)


def models_dev(name):
    """Our name of a provider of models.dev and of what is made from it."""
    return MODELS_DEV.get(name) or clean(name)
