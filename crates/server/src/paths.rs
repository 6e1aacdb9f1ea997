//! What a path on the data plane asks for.

use http::{HeaderMap, Method, Uri};
use lockgate_dialect::operation::Operation as Of;
use lockgate_dialect::{Dialect, by_name, openai_chat};
use lockgate_engine::Task;
use percent_encoding::percent_decode_str;

/// What is asked for.
pub(crate) enum Operation {
    /// A chat turn in this dialect, with what the path says of it: the model and whether to stream.
    Chat(&'static dyn Dialect, Option<(String, bool)>),
    /// The models that the key may use, in this form.
    Models(Form),
    /// A conversation over a WebSocket.
    Realtime,
    /// The decision of a request, without a call.
    Explain,
    /// What the key that is shown may know of itself.
    Key,
    /// Anything else.
    Simple(Task),
}

/// How models are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    OpenAi,
    Anthropic,
    Gemini,
}

/// SDKs that expect their provider's name in the path.
const SDK_PREFIXES: [&str; 3] = ["/openai", "/anthropic", "/gemini"];
/// Paths that are a dialect's chat turn. The version may be missing: some SDKs leave it to the base address.
const CHATS: [(&str, &str); 4] = [
    ("/chat/completions", openai_chat::NAME),
    ("/messages", "anthropic.messages"),
    ("/responses", "openai.responses"),
    ("/completions", "openai.completions"),
];

/// Operations about a model that is named in the body.
const OPERATIONS: [Of; 10] = [
    Of::Embeddings,
    Of::Rerank,
    Of::Moderations,
    Of::Images,
    Of::ImageEdits,
    Of::ImageVariations,
    Of::Transcriptions,
    Of::Translations,
    Of::Speech,
    Of::CountTokens,
];
/// What providers keep; everything below belongs to it.
const KEPT: [&str; 3] = ["/files", "/batches", "/messages/batches"];
const EXPLAIN: &str = "/route/explain";
const PASSTHROUGH: &str = "/passthrough/";
const REALTIME: &str = "/realtime";
const KEY: &str = "/key";

/// What a request asks for; `None` when it is not one of the data plane.
pub(crate) fn operation(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Operation> {
    let path = uri.path();
    // The busiest path first, by one comparison.
    if path == "/v1/chat/completions" && method == Method::POST {
        return Some(Operation::Chat(&openai_chat::OpenAiChat, None));
    }
    if let Some(rest) = path.strip_prefix(PASSTHROUGH) {
        let (provider, _) = rest.split_once('/')?;
        let path = rest.strip_prefix(provider)?.to_owned();
        return Some(Operation::Simple(Task::Passthrough { provider: provider.to_owned(), path }));
    }
    let path = SDK_PREFIXES
        .iter()
        .find_map(|prefix| path.strip_prefix(prefix).filter(|rest| rest.starts_with('/')))
        .unwrap_or(path);
    let behind = |version| path.strip_prefix(version).filter(|rest: &&str| rest.starts_with('/'));
    let (version, rest) = ["/v1beta1", "/v1beta", "/v1alpha", "/v1"]
        .into_iter()
        .find_map(|version| Some((version, behind(version)?)))
        .unwrap_or(("", path));
    if version == "/v1" && is_kept(rest) && [Method::GET, Method::POST, Method::DELETE].contains(method) {
        return Some(Operation::Simple(Task::Kept(rest.to_owned())));
    }
    if *method == Method::GET && rest == REALTIME {
        return Some(Operation::Realtime);
    }
    if version == "/v1" && *method == Method::GET && rest == KEY {
        return Some(Operation::Key);
    }
    if *method == Method::GET {
        let form = match version {
            "/v1beta" | "/v1beta1" | "/v1alpha" => Form::Gemini,
            _ if headers.contains_key("anthropic-version") => Form::Anthropic,
            _ if headers.contains_key("x-goog-api-key") => Form::Gemini,
            _ => Form::OpenAi,
        };
        return (rest == "/models").then_some(Operation::Models(form));
    }
    if *method != Method::POST {
        return None;
    }
    if version == "/v1" && rest == EXPLAIN {
        return Some(Operation::Explain);
    }
    if let Some((_, name)) = CHATS.iter().find(|(path, _)| *path == rest) {
        return Some(Operation::Chat(by_name(name)?, None));
    }
    // Cohere's clients put their own version before it.
    let rest = rest.strip_prefix("/v2").filter(|rest| *rest == Of::Rerank.path()).unwrap_or(rest);
    if let Some(operation) = OPERATIONS.into_iter().find(|operation| operation.path() == rest) {
        return Some(Operation::Simple(Task::Model(operation, None)));
    }
    if let Some((model, action)) = gemini_name(rest).and_then(|rest| rest.rsplit_once(':')) {
        let own = |operation| Some(Operation::Simple(Task::Model(operation, Some(decoded(model)?))));
        let stream = match action {
            "generateContent" => false,
            "streamGenerateContent" => true,
            "embedContent" => return own(Of::GeminiEmbed),
            "batchEmbedContents" => return own(Of::GeminiBatchEmbed),
            "countTokens" => return own(Of::GeminiCountTokens),
            _ => return None,
        };
        return Some(Operation::Chat(by_name("gemini.generateContent")?, Some((decoded(model)?, stream))));
    }
    if let Some((model, action)) = path.strip_prefix("/model/").and_then(|rest| rest.rsplit_once('/')) {
        let stream = match action {
            "converse" => false,
            "converse-stream" => true,
            _ => return None,
        };
        return Some(Operation::Chat(by_name("bedrock.converse")?, Some((decoded(model)?, stream))));
    }
    None
}

fn is_kept(path: &str) -> bool {
    KEPT.iter()
        .any(|kept| path.strip_prefix(kept).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Some clients leave `models/` out before a name with a slash.
fn gemini_name(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix('/')?;
    Some(rest.strip_prefix("models/").unwrap_or(rest))
}

fn decoded(model: &str) -> Option<String> {
    let model = percent_decode_str(model).decode_utf8().ok()?;
    Some(model.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &Method, path: &str, header: Option<&'static str>) -> Option<String> {
        let mut headers = HeaderMap::new();
        if let Some(name) = header {
            headers.insert(name, "x".parse().unwrap());
        }
        Some(match operation(method, &path.parse().unwrap(), &headers)? {
            Operation::Chat(dialect, None) => dialect.name().to_owned(),
            Operation::Chat(dialect, Some((model, stream))) => format!("{} {model} {stream}", dialect.name()),
            Operation::Models(form) => format!("{form:?}"),
            Operation::Realtime => "realtime".to_owned(),
            Operation::Explain => "explain".to_owned(),
            Operation::Key => "key".to_owned(),
            Operation::Simple(task) => match &task {
                Task::Model(_, Some(model)) => format!("{} {model}", task.name()),
                Task::Model(_, None) => task.name().to_owned(),
                Task::Kept(path) => format!("{} {path}", task.name()),
                Task::Passthrough { provider, path } => format!("{provider} {path}"),
            },
        })
    }

    #[test]
    fn every_dialect_has_its_own_paths() {
        let post = |path| asked(&Method::POST, path, None);
        for (path, name) in CHATS.iter().filter(|(_, name)| by_name(name).is_some()) {
            for before in ["/v1", "", "/openai/v1", "/anthropic/v1", "/anthropic"] {
                let path = format!("{before}{path}");
                assert_eq!(asked(&Method::POST, &path, None).as_deref(), Some(*name), "{path}");
            }
        }
        if by_name("gemini.generateContent").is_some() {
            let stream = "/v1beta/models/openai%2Fgpt-4o:streamGenerateContent?alt=sse";
            assert_eq!(post(stream).as_deref(), Some("gemini.generateContent openai/gpt-4o true"));
            let whole = "/gemini/v1beta/models/openai/gpt-4o:generateContent";
            assert_eq!(post(whole).as_deref(), Some("gemini.generateContent openai/gpt-4o false"));
        }
        if by_name("bedrock.converse").is_some() {
            let whole = "/model/anthropic.claude-3%3A0/converse";
            assert_eq!(post(whole).as_deref(), Some("bedrock.converse anthropic.claude-3:0 false"));
        }
        assert_eq!(post("/v1/route/explain").as_deref(), Some("explain"));
        assert_eq!(post("/v1/unheard-of"), None);
        assert_eq!(post("/openaiv1/chat/completions"), None);
        assert_eq!(asked(&Method::GET, "/v1/chat/completions", None), None);
        assert_eq!(asked(&Method::GET, "/openai/v1/realtime?model=m", None).as_deref(), Some("realtime"));
        assert_eq!(post("/v1/realtime"), None);
    }

    #[test]
    fn every_operation_has_its_path() {
        for operation in OPERATIONS {
            for before in ["/v1", "", "/openai/v1", "/anthropic/v1"] {
                let path = format!("{before}{}", operation.path());
                assert_eq!(asked(&Method::POST, &path, None).as_deref(), Some(operation.name()), "{path}");
            }
        }
        let post = |path| asked(&Method::POST, path, None);
        assert_eq!(post("/v2/rerank").as_deref(), Some("rerank"));
        assert_eq!(post("/v2/embeddings"), None);
        for action in ["embedContent", "batchEmbedContents", "countTokens"] {
            let path = format!("/v1beta/models/a%2Fb:{action}?key=x");
            assert_eq!(asked(&Method::POST, &path, None), Some(format!("gemini.{action} a/b")));
        }
    }

    #[test]
    fn what_is_kept_at_a_provider_has_paths_and_methods_of_its_own() {
        let of = |method, path| asked(&method, path, None);
        assert_eq!(of(Method::GET, "/v1/files").as_deref(), Some("files /files"));
        assert_eq!(of(Method::DELETE, "/openai/v1/files/f-1").as_deref(), Some("files /files/f-1"));
        assert_eq!(of(Method::POST, "/v1/batches/b/cancel").as_deref(), Some("batches /batches/b/cancel"));
        assert_eq!(of(Method::GET, "/v1/messages/batches").as_deref(), Some("batches /messages/batches"));
        assert_eq!(of(Method::PUT, "/v1/files"), None);
        assert_eq!(of(Method::GET, "/v1/filesystem"), None);
        assert_eq!(of(Method::PATCH, "/passthrough/openai/a/../b?c").as_deref(), Some("openai /a/../b"));
        assert_eq!(of(Method::GET, "/passthrough/openai"), None);
    }

    #[test]
    fn models_are_listed_as_the_client_knows_them() {
        let get = |path, header| asked(&Method::GET, path, header);
        assert_eq!(get("/v1/models", None).as_deref(), Some("OpenAi"));
        assert_eq!(get("/v1/models", Some("anthropic-version")).as_deref(), Some("Anthropic"));
        assert_eq!(get("/v1beta/models", None).as_deref(), Some("Gemini"));
    }
}
