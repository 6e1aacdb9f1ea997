//! AWS Signature, version 4, of requests to services other than S3.
//!
//! What is signed is what will be sent: the method, the path, the query, host, content type and the body's digest.
//! Other headers may be added or changed on the way without making the signature wrong.

use std::fmt::Write as _;

use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName};
use jiff::Timestamp;
use lockgate_core::port::{Ready, Signer, Transport, Unsigned};
use lockgate_core::{Error, Kind, Secret, Segments};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use ring::{digest, hmac};

use crate::compile::sensitive;

/// Signs with an access key of AWS.
pub(crate) struct SigV4 {
    access_key_id: String,
    secret: Secret,
    session: Option<Secret>,
    region: String,
    service: &'static str,
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const SESSION: HeaderName = HeaderName::from_static("x-amz-security-token");

/// What stands for itself in AWS' encoding.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

// === impl SigV4 ===

impl SigV4 {
    /// # Errors
    /// When a part of the key cannot stand in a header.
    pub(crate) fn new(
        access_key_id: String,
        secret: Secret,
        session: Option<Secret>,
        region: String,
        service: &'static str,
    ) -> Result<Self, String> {
        if access_key_id.is_empty() || !access_key_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err("access_key_id must be letters and digits".into());
        }
        if session.as_ref().is_some_and(|token| sensitive(token.expose()).is_none()) {
            return Err("session_token has characters that no header can carry".into());
        }
        Ok(Self { access_key_id, secret, session, region, service })
    }

    fn headers(&self, unsigned: &Unsigned<'_>) -> Option<HeaderMap> {
        let date =
            i64::try_from(unsigned.wall_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok())?;
        let date = date.strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut signed =
            vec![(CONTENT_TYPE, unsigned.content_type), (HOST, unsigned.authority), (DATE, date.as_str())];
        if let Some(token) = &self.session {
            signed.push((SESSION, token.expose()));
        }
        let path = unsigned.path;
        let authorization = self.authorization(unsigned.method.as_str(), path, &signed, unsigned.body);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, sensitive(&authorization)?);
        headers.insert(DATE, date.parse().ok()?);
        headers.insert(CONTENT_TYPE, unsigned.content_type.parse().ok()?);
        if let Some(token) = &self.session {
            headers.insert(SESSION, sensitive(token.expose())?);
        }
        Some(headers)
    }

    /// The value of `Authorization`. The headers come in the order of their names; one is `x-amz-date`.
    fn authorization(
        &self,
        method: &str,
        path: &str,
        headers: &[(HeaderName, &str)],
        body: &Segments,
    ) -> String {
        let date = headers.iter().find(|(name, _)| *name == DATE).map_or("", |(_, date)| date);
        let day = date.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
        let request = canonical(method, path, headers, &names, body);
        let to_sign = format!("{ALGORITHM}\n{date}\n{scope}\n{}", hex(digest(request.as_bytes()).as_ref()));
        let signature = hex(mac(self.key(day).as_ref(), &to_sign).as_ref());
        format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key_id
        )
    }

    fn key(&self, day: &str) -> hmac::Tag {
        let start = Secret::new(format!("AWS4{}", self.secret.expose()));
        let first = mac(start.expose().as_bytes(), day);
        [self.region.as_str(), self.service, "aws4_request"]
            .iter()
            .fold(first, |key, part| mac(key.as_ref(), part))
    }
}

impl Signer for SigV4 {
    fn sign<'a>(
        &'a self,
        unsigned: Unsigned<'a>,
        _: &'a dyn Transport,
    ) -> Ready<'a, Result<HeaderMap, Error>> {
        let signed = self.headers(&unsigned).ok_or_else(|| {
            Error::upstream(Kind::UpstreamAuth, "The gateway could not sign its request to the provider.")
                .detail("the clock or a header is out of what AWS' signature can say")
        });
        Box::pin(std::future::ready(signed))
    }
}

fn canonical(
    method: &str,
    path: &str,
    headers: &[(HeaderName, &str)],
    names: &str,
    body: &Segments,
) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut text = format!("{method}\n{}\n{}\n", canonical_path(path), canonical_query(query));
    for (name, value) in headers {
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}:{value}");
    }
    let mut hash = digest::Context::new(&digest::SHA256);
    for piece in body.pieces() {
        hash.update(piece);
    }
    let _ = write!(text, "\n{names}\n{}", hex(hash.finish().as_ref()));
    text
}

/// A path as it is sent, without empty and dot segments, and encoded once more: so AWS wants it of all services but S3.
fn canonical_path(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut out = String::with_capacity(path.len() + 16);
    for segment in &kept {
        out.push('/');
        out.extend(percent_encode(segment.as_bytes(), PLAIN));
    }
    if out.is_empty() || path.ends_with('/') {
        out.push('/');
    }
    out
}

fn canonical_query(query: &str) -> String {
    let encode = |text: &str| {
        let plain: Vec<u8> = percent_decode_str(text).collect();
        percent_encode(&plain, PLAIN).to_string()
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn digest(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn signer(service: &'static str, session: Option<&str>) -> SigV4 {
        let session = session.map(|token| Secret::new(token.into()));
        let (id, region) = ("AKIDEXAMPLE".into(), "us-east-1".into());
        SigV4::new(id, Secret::new(SECRET.into()), session, region, service).unwrap()
    }

    fn body(text: &'static str) -> Segments {
        Segments::one(Bytes::from_static(text.as_bytes()))
    }

    /// The signature of a case of AWS' published suite: all have one key, one date and one host.
    fn of_the_suite(method: &str, path: &str, content_type: Option<&str>, text: &'static str) -> String {
        let mut headers = vec![(HOST, "example.amazonaws.com"), (DATE, "20150830T123600Z")];
        if let Some(value) = content_type {
            headers.insert(0, (CONTENT_TYPE, value));
        }
        let all = signer("service", None).authorization(method, path, &headers, &body(text));
        all.rsplit('=').next().unwrap().to_owned()
    }

    #[test]
    fn signs_as_the_published_suite_says() {
        let form = Some("application/x-www-form-urlencoded");
        for (name, signature, ours) in [
            (
                "get-vanilla",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
                of_the_suite("GET", "/", None, ""),
            ),
            (
                "post-vanilla",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
                of_the_suite("POST", "/", None, ""),
            ),
            (
                "get-vanilla-query-order-key-case",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
                of_the_suite("GET", "/?Param2=value2&Param1=value1", None, ""),
            ),
            (
                "post-x-www-form-urlencoded",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
                of_the_suite("POST", "/", form, "Param1=value1"),
            ),
            (
                "get-relative-relative",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
                of_the_suite("GET", "/example1/example2/../..", None, ""),
            ),
            (
                "get-slashes",
                "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
                of_the_suite("GET", "//example//", None, ""),
            ),
        ] {
            assert_eq!(ours, signature, "{name}");
        }
    }

    fn of_bedrock(path: &str, session: Option<&str>) -> HeaderMap {
        let (signer, body) = (signer("bedrock", session), body(r#"{"messages":[]}"#));
        let unsigned = Unsigned {
            upstream: &std::sync::Arc::new(crate::demo()),
            method: &http::Method::POST,
            authority: "bedrock-runtime.us-east-1.amazonaws.com",
            path,
            content_type: "application/json",
            body: &body,
            wall_ms: 1_795_323_967_000,
        };
        signer.headers(&unsigned).unwrap()
    }

    /// The expected signatures are those of botocore 1.43 for the same requests at 2026-11-22 05:06:07 UTC.
    #[test]
    fn a_path_that_is_encoded_is_encoded_again() {
        let haiku = "/model/us.anthropic.claude-3-5-haiku-20241022-v1%3A0/converse";
        let arn =
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fabc/converse-stream";
        let token = Some("AQoEXAMPLE//token==");
        for (path, session, signature) in [
            (haiku, None, "d3b78efe8ebc15f1afeb9b18ab1da92d63376bb2d1504d5e3040cf5efbeef39f"),
            (arn, None, "17dc5f7feb5336a94c6d0389828bdd5433524b49c9f7f6ea063e44cdfa5eeded"),
            (haiku, token, "29386015ad6ea730eb808f266da2c81d464be726bfca4395c866abce27773453"),
            (arn, token, "f53d965ca7088bed8e038aba14b6b97ad588d9684c05988c3b23ccc77972d259"),
        ] {
            let headers = of_bedrock(path, session);
            assert_eq!(headers[DATE], "20261122T050607Z");
            let authorization = headers[AUTHORIZATION].to_str().unwrap();
            assert!(authorization.ends_with(&format!("Signature={signature}")), "{path}: {authorization}");
        }
    }

    #[test]
    fn what_is_signed_goes_out_as_signed_and_is_not_shown() {
        let headers = of_bedrock("/model/m/converse", Some("AQoEXAMPLE//token=="));
        assert_eq!(headers[CONTENT_TYPE], "application/json");
        assert!(!headers.contains_key(HOST), "the connection says the host");
        let shown = format!("{headers:?}");
        assert!(!shown.contains("AQoEXAMPLE") && !shown.contains("Signature="), "{shown}");
    }

    #[test]
    fn a_body_in_pieces_is_signed_as_one() {
        let mut pieces = body(r#"{"mess"#);
        pieces.push(Bytes::from_static(br#"ages":[]}"#));
        let headers = [(HOST, "h"), (DATE, "20150830T123600Z")];
        let sign = |body: &Segments| signer("bedrock", None).authorization("POST", "/", &headers, body);
        assert_eq!(sign(&pieces), sign(&body(r#"{"messages":[]}"#)));
    }

    #[test]
    fn a_key_that_would_break_the_header_is_refused() {
        let new = |id: &str, session: &str| {
            SigV4::new(
                id.into(),
                Secret::new("s".into()),
                Some(Secret::new(session.into())),
                "r".into(),
                "bedrock",
            )
        };
        assert!(new("AKIA\r\nx: y", "t").is_err());
        let Err(why) = new("AKIA", "hidden\r\n") else { panic!("a line break in a header") };
        assert!(!why.contains("hidden"));
    }
}
