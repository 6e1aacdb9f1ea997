use std::sync::Mutex as Lock;
use std::sync::atomic::AtomicUsize;

use http_body_util::Full;
use lockgate_core::port::Answer;

use super::*;

/// A key that was made for tests and opens nothing.
const FILE: &str = include_str!("../../../tests/fixtures/TEST-KEY-service-account.json");

/// The assertion of that key at 1800000000, signed by OpenSSL.
const ASSERTION: &str = include_str!("../../../tests/fixtures/assertion-at-1800000000.jwt");

const USER: &str =
    r#"{"type":"authorized_user","client_id":"me","client_secret":"hid den","refresh_token":"1//x"}"#;

/// Answers in order, the last again and again; after a pause, so that others can come meanwhile.
struct Giver {
    answers: Vec<(u16, &'static str)>,
    calls: AtomicUsize,
    asked: Lock<Vec<String>>,
}

impl Giver {
    fn new(answers: &[(u16, &'static str)]) -> Self {
        Self { answers: answers.to_vec(), calls: AtomicUsize::new(0), asked: Lock::default() }
    }
}

impl Transport for Giver {
    fn call(&self, call: Call) -> Ready<'_, Result<Answer, Error>> {
        Box::pin(async move {
            let nth = self.calls.fetch_add(1, Ordering::SeqCst);
            assert_eq!(call.headers[CONTENT_TYPE], "application/x-www-form-urlencoded");
            self.asked.lock().unwrap().push(String::from_utf8(call.body.join().to_vec()).unwrap());
            tokio::task::yield_now().await;
            let (status, text) = self.answers[nth.min(self.answers.len() - 1)];
            let body =
                http_body_util::BodyExt::map_err(Full::new(Bytes::from_static(text.as_bytes())), |never| {
                    match never {}
                });
            let status = StatusCode::from_u16(status).unwrap();
            Ok(Answer { status, headers: HeaderMap::new(), body: Box::pin(body) })
        })
    }
}

const GOOD: (u16, &str) = (200, r#"{"access_token":"ya29.first","expires_in":3599,"token_type":"Bearer"}"#);
const NEXT: (u16, &str) = (200, r#"{"access_token":"ya29.second","expires_in":3599,"token_type":"Bearer"}"#);
const BAD: (u16, &str) = (400, r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#);
const NOW: u64 = 1_800_000_000_000;

fn tokens() -> Tokens {
    Tokens::of(FILE.as_bytes(), None).unwrap().0
}

#[test]
fn the_assertion_is_signed_as_openssl_signs_it() {
    let (grant, project) = Grant::of(FILE.as_bytes()).unwrap();
    assert_eq!(grant.assertion(1_800_000_000).unwrap(), ASSERTION.trim());
    assert_eq!(project.as_deref(), Some("test-project"));
}

#[tokio::test]
async fn a_token_is_used_until_a_minute_before_its_end() {
    let (tokens, giver) = (tokens(), Giver::new(&[GOOD, NEXT]));
    for (after, token, calls) in [
        (0, "Bearer ya29.first", 1),
        (3_538_999, "Bearer ya29.first", 1),
        (3_539_000, "Bearer ya29.second", 2),
        (3_540_000, "Bearer ya29.second", 2),
    ] {
        let value = tokens.token(NOW + after, &giver).await.unwrap();
        assert_eq!((value.to_str().unwrap(), giver.calls.load(Ordering::SeqCst)), (token, calls), "{after}");
        assert!(value.is_sensitive());
    }
    let asked = giver.asked.lock().unwrap()[0].clone();
    let begins = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=eyJ";
    assert!(asked.starts_with(begins), "{asked}");
}

#[tokio::test]
async fn many_at_once_ask_once() {
    let (tokens, giver) = (Arc::new(tokens()), Arc::new(Giver::new(&[GOOD, BAD])));
    let asking = (0..32).map(|_| {
        let (tokens, giver) = (Arc::clone(&tokens), Arc::clone(&giver));
        tokio::spawn(async move { tokens.token(NOW, &*giver).await.unwrap() })
    });
    for asked in asking.collect::<Vec<_>>() {
        assert_eq!(asked.await.unwrap(), "Bearer ya29.first");
    }
    assert_eq!(giver.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_leaves_while_asking_does_not_lock_the_others_out() {
    let (tokens, giver) = (tokens(), Giver::new(&[GOOD]));
    let mut left = Box::pin(tokens.token(NOW, &giver));
    assert!(poll_fn(|cx| std::task::Poll::Ready(left.as_mut().poll(cx).is_pending())).await);
    drop(left);
    assert_eq!(tokens.token(NOW, &giver).await.unwrap(), "Bearer ya29.first");
}

#[tokio::test]
async fn a_refusal_is_told_to_all_who_waited_and_tried_again_later() {
    let (tokens, giver) = (tokens(), Giver::new(&[BAD, GOOD]));
    for after in [0, 999] {
        let error = tokens.token(NOW + after, &giver).await.unwrap_err();
        assert_eq!(error.kind(), Kind::UpstreamAuth);
        assert!(error.private().unwrap().contains("invalid_grant: Invalid JWT Signature."), "{error:?}");
    }
    assert_eq!(giver.calls.load(Ordering::SeqCst), 1);
    assert_eq!(tokens.token(NOW + 1_000, &giver).await.unwrap(), "Bearer ya29.first");
}

#[tokio::test]
async fn who_waited_for_a_refusal_does_not_ask_again() {
    let (tokens, giver) = (tokens(), Giver::new(&[BAD, GOOD]));
    let (first, waiting) = tokio::join!(tokens.token(NOW, &giver), tokens.token(NOW + 5_000, &giver));
    assert!(first.is_err() && waiting.is_err());
    assert_eq!(giver.calls.load(Ordering::SeqCst), 1);
    assert!(tokens.token(NOW + 5_000, &giver).await.is_ok());
}

#[tokio::test]
async fn answers_without_a_token_are_told_apart() {
    for (answer, kind) in [
        ((503, "<html>"), Kind::UpstreamError),
        ((429, "{}"), Kind::UpstreamRateLimited),
        ((302, ""), Kind::UpstreamAuth),
        ((200, "{}"), Kind::UpstreamAuth),
        ((200, "no JSON"), Kind::UpstreamAuth),
        ((200, r#"{"access_token":"a\nb","expires_in":1}"#), Kind::UpstreamAuth),
    ] {
        let error = tokens().token(NOW, &Giver::new(&[answer])).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{answer:?}");
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_prolong_a_token() {
    let (tokens, giver) = (tokens(), Giver::new(&[GOOD, NEXT]));
    tokens.token(NOW, &giver).await.unwrap();
    assert_eq!(tokens.token(NOW - 3_600_000, &giver).await.unwrap(), "Bearer ya29.second");
}

#[tokio::test]
async fn a_user_asks_with_a_refresh_token() {
    let (tokens, project) = Tokens::of(USER.as_bytes(), None).unwrap();
    let giver = Giver::new(&[GOOD]);
    tokens.token(NOW, &giver).await.unwrap();
    let form = "grant_type=refresh_token&client_id=me&client_secret=hid%20den&refresh_token=1%2F%2Fx";
    assert_eq!((giver.asked.lock().unwrap()[0].as_str(), project), (form, None));
}

#[test]
fn bad_files_are_refused_without_their_secrets() {
    let broken_key = FILE.replace("BEGIN PRIVATE KEY", "BEGIN PRIVATE QUAY");
    for (json, why) in [
        ("{", "no file of Google credentials"),
        (r#"{"type":"service_account","private_key":17}"#, "no file of Google credentials"),
        (r#"{"type":"external_account"}"#, "neither service_account nor authorized_user"),
        (r#"{"type":"service_account"}"#, "private_key is missing"),
        (r#"{"type":"service_account","private_key":"hidden"}"#, "private_key is not a key"),
        (broken_key.as_str(), "private_key is not a key"),
        (
            r#"{"type":"authorized_user","client_id":"a","client_secret":"hidden"}"#,
            "refresh_token is missing",
        ),
        (
            r#"{"type":"authorized_user","client_id":"a","client_secret":"hidden","refresh_token":"b","token_uri":"http://example.com"}"#,
            "token_uri must begin with https",
        ),
        (
            r#"{"type":"authorized_user","client_id":"a","client_secret":"hidden","refresh_token":"b","token_uri":"nowhere"}"#,
            "token_uri is not an address",
        ),
    ] {
        let Err(said) = Tokens::of(json.as_bytes(), None) else { panic!("{json} is fine") };
        assert!(said.contains(why) && !said.contains("hidden"), "{said}");
    }
}
