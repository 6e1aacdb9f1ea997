//! Paths, queries and headers of requests that go on as they came.

use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName};
use lockgate_core::key::PREFIX;
use lockgate_core::{Error, Kind, Speech};
use percent_encoding::percent_decode_str;

/// What belongs to the client's connection, to its way to the gateway, or to its key.
const NOT_ONWARD: [HeaderName; 13] = [
    ACCEPT_ENCODING,
    AUTHORIZATION,
    CONNECTION,
    CONTENT_LENGTH,
    COOKIE,
    EXPECT,
    FORWARDED,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    VIA,
];
const NOT_ONWARD_BY_NAME: [&str; 8] = [
    "api-key",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "x-api-key",
    "x-goog-api-key",
    "x-real-ip",
];

/// The client's headers that go on. What the operator has set for the provider stays as it is: credentials above all.
pub(super) fn headers(headers: &HeaderMap, speech: &Speech) -> HeaderMap {
    let listed: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut onward = HeaderMap::new();
    for (name, value) in headers {
        let text = name.as_str();
        let stays = NOT_ONWARD.contains(name)
            || NOT_ONWARD_BY_NAME.contains(&text)
            || text.starts_with("x-lockgate-")
            || text.starts_with("x-forwarded-")
            || speech.headers.contains_key(name)
            || listed.iter().any(|listed| listed == text);
        if !stays {
            onward.append(name.clone(), value.clone());
        }
    }
    onward
}

/// The query that goes on: without the gateway's own key, where a client has it there as Google's do.
pub(super) fn query(query: &str) -> String {
    let ours = |pair: &&str| pair.strip_prefix("key=").is_some_and(|key| key.starts_with(PREFIX));
    let kept: Vec<&str> = query.split('&').filter(|pair| !ours(pair)).collect();
    kept.join("&")
}

/// A path that stays below the provider's base address.
///
/// # Errors
/// `InvalidRequest` when it leaves that, or could for a reader that decodes it once more.
pub(super) fn path(path: &str) -> Result<&str, Error> {
    let wrong = || {
        Error::client(
            Kind::InvalidRequest,
            "The path must stay below the provider's address: no \"..\", no backslash, no address of its own.",
        )
    };
    if !path.starts_with('/') || path.starts_with("//") {
        return Err(wrong());
    }
    let once: Vec<u8> = percent_decode_str(path).collect();
    let twice: Vec<u8> = percent_encoding::percent_decode(&once).collect();
    for decoded in [&once, &twice] {
        let dots = decoded.split(|byte| matches!(byte, b'/' | b'\\')).any(|part| {
            // Some servers cut a segment at a semicolon.
            let part = part.split(|byte| *byte == b';').next().unwrap_or(part);
            part == b"." || part == b".."
        });
        let odd = decoded.iter().any(|byte| *byte < 0x20 || matches!(byte, b'\\' | 0x7f));
        let absolute = decoded.windows(3).any(|three| three == b"://");
        if dots || odd || absolute {
            return Err(wrong());
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_its_base() {
        for good in ["/files", "/models/a%3Ab:generateContent", "/v1/x..y/...", "/a%20b/"] {
            assert_eq!(path(good).unwrap(), good);
        }
        for wrong in [
            "",
            "files",
            "//evil.example/x",
            "/../x",
            "/a/..",
            "/a/./b",
            "/%2e%2e/x",
            "/a/%2E./b",
            "/a%2f..%2fb",
            "/a%5c..%5cb",
            "/%252e%252e/x",
            "/a/..;x/b",
            "/https://evil.example",
            "/a%0d%0ab",
            "/a\\b",
        ] {
            assert!(path(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_gateways_key_stays_and_the_rest_goes_on() {
        assert_eq!(query("a=1&key=lg-secret&alt=sse"), "a=1&alt=sse");
        assert_eq!(query("key=other&b"), "key=other&b");
        let mut sent = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer lg-x"),
            ("x-api-key", "lg-x"),
            ("connection", "close, X-Own"),
            ("x-own", "1"),
            ("x-lockgate-user", "u"),
            ("x-forwarded-for", "1.2.3.4"),
            ("anthropic-version", "evil"),
            ("openai-beta", "a"),
            ("content-type", "text/plain"),
        ] {
            sent.insert(name, value.parse().unwrap());
        }
        let mut speech = Speech::plain("openai.chat");
        speech.headers.insert("anthropic-version", "2023-06-01".parse().unwrap());
        let onward = headers(&sent, &speech);
        let mut names: Vec<&str> = onward.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "openai-beta"]);
    }
}
