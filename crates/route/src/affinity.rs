//! Which requests belong together, so that they meet the prompt cache of their provider again.
//!
//! What says so, the first that does: the gateway's own header, the headers of agents and gateways, members of the body,
//! and at last the beginning of the conversation itself. Sessions of two keys are never one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lockgate_core::record::Target;
use lockgate_core::{Payload, Tick};

use crate::ask::Ask;
use crate::draw;

/// What sessions were served by. Bounded: the least used go first.
#[derive(Debug, Default)]
pub struct Sessions {
    shards: [Mutex<Shard>; SHARDS],
}

/// What is remembered of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What served it last.
    pub target: Target,
    /// When.
    pub at: Tick,
    /// The part of its last input that came from the prompt cache, in millionths.
    pub cached: u32,
}

/// Two halves: what is new goes into the young one; when that is full, the old one is forgotten and the young one is old.
#[derive(Debug, Default)]
struct Shard {
    young: HashMap<u64, Memory>,
    old: HashMap<u64, Memory>,
}

const SHARDS: usize = 16;
/// Sessions of half a shard: 65,536 in all, some 10 MB.
const HALF: usize = 2_048;

/// Headers in which agents and gateways name a session: OpenRouter's and the Vercel SDK's, Codex', Claude Code's,
/// OpenCode's, LiteLLM's, Bifrost's, Helicone's, Portkey's.
const HEADERS: [&str; 11] = [
    "x-session-id",
    "session_id",
    "session-id",
    "conversation_id",
    "x-claude-code-session-id",
    "x-session-affinity",
    "x-opencode-session",
    "x-litellm-session-id",
    "x-bf-session-id",
    "helicone-session-id",
    "x-portkey-trace-id",
];

/// Members that name a session: OpenRouter's, OpenAI's, LiteLLM's.
const MEMBERS: [&str; 4] = ["session_id", "prompt_cache_key", "conversation", "litellm_session_id"];
/// Members that a conversation begins with, and those that it goes on in.
const OPENINGS: [&str; 4] = ["system", "instructions", "systemInstruction", "system_instruction"];
const DIALOGUES: [&str; 3] = ["messages", "contents", "input"];
/// The most bytes of each that count, so that a long prompt costs no more.
const MOST: usize = 16 << 10;

// === impl Sessions ===

impl Sessions {
    /// What is remembered of a session that was used within `keep`.
    pub fn recall(&self, session: u64, now: Tick, keep: impl FnOnce(&Memory) -> Duration) -> Option<Memory> {
        let mut shard = self.shard(session);
        let memory = shard.get(session)?;
        (now.since(memory.at) < keep(&memory)).then_some(memory)
    }

    /// A session was served. `cached` is the part of its input that came from the prompt cache, in millionths; `None`: it
    /// is not known yet, and stays what it was at this target.
    pub fn note(&self, session: u64, target: &Target, now: Tick, cached: Option<u32>) {
        let mut shard = self.shard(session);
        let before = shard.get(session).filter(|memory| memory.target == *target);
        let cached = cached.or(before.map(|memory| memory.cached)).unwrap_or(0);
        shard.put(session, Memory { target: target.clone(), at: now, cached });
    }

    fn shard(&self, session: u64) -> std::sync::MutexGuard<'_, Shard> {
        self.shards[(session >> 60) as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Shard ===

impl Shard {
    fn get(&mut self, session: u64) -> Option<Memory> {
        if let Some(memory) = self.young.get(&session) {
            return Some(memory.clone());
        }
        let memory = self.old.remove(&session)?;
        self.put(session, memory.clone());
        Some(memory)
    }

    fn put(&mut self, session: u64, memory: Memory) {
        if self.young.len() >= HALF && !self.young.contains_key(&session) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(session, memory);
    }
}

// === the session of a request ===

/// Stands for the session of a request.
pub(crate) fn session(ask: &Ask<'_>) -> Option<u64> {
    let of = |kind: &str, name: &[u8]| Some(draw::hash(&[ask.key.id.as_bytes(), kind.as_bytes(), name]));
    if let Some(session) = &ask.attribution.session {
        return of("named", session.as_bytes());
    }
    let header = |name: &&str| ask.headers()?.get(*name).map(http::HeaderValue::as_bytes);
    if let Some(name) = HEADERS.iter().find_map(header).filter(|name| !name.is_empty()) {
        return of("named", name);
    }
    let payload = ask.payload()?;
    if let Some(name) = named(payload) {
        return of("named", name.as_bytes());
    }
    let (opening, first) = beginning(payload)?;
    Some(draw::hash(&[ask.key.id.as_bytes(), ask.model.as_bytes(), opening, first]))
}

/// The name of the session in the body.
fn named(payload: &Payload) -> Option<Cow<'_, str>> {
    let plain = MEMBERS.iter().find_map(|name| payload.text(name)).filter(|name| !name.is_empty());
    plain.or_else(|| {
        let metadata: serde_json::Value = serde_json::from_slice(short(payload.get("metadata")?)?).ok()?;
        let field = |name: &str| metadata.get(name)?.as_str().filter(|text| !text.is_empty());
        if let Some(session) = field("session_id") {
            return Some(Cow::Owned(session.to_owned()));
        }
        // Claude Code sends the account and the session in one: "user_…_account_…_session_UUID", or the same as JSON.
        let user = field("user_id")?;
        let session = user.rsplit_once("_session_").map(|(_, session)| session.to_owned());
        let as_json = || {
            let parts: serde_json::Value = serde_json::from_str(user).ok()?;
            parts.get("session_id")?.as_str().map(str::to_owned)
        };
        session.or_else(as_json).map(Cow::Owned)
    })
}

/// A member that is not too long to be read.
fn short(value: &[u8]) -> Option<&[u8]> {
    (value.len() <= MOST).then_some(value)
}

/// What a conversation begins with: its instructions and its first messages, up to and with the first that is not of the
/// system. Later turns of it begin the same.
fn beginning(payload: &Payload) -> Option<(&[u8], &[u8])> {
    let cut = |value| -> &[u8] { &value[..<[u8]>::len(value).min(MOST)] };
    let opening = OPENINGS.iter().find_map(|name| payload.get(name)).map(cut).unwrap_or_default();
    let dialogue = DIALOGUES.iter().find_map(|name| payload.get(name))?;
    Some((opening, first_messages(dialogue)))
}

fn first_messages(dialogue: &[u8]) -> &[u8] {
    let dialogue = &dialogue[..dialogue.len().min(MOST)];
    let (mut depth, mut start, mut quoted, mut escaped) = (0_u32, 0, false, false);
    for (at, byte) in dialogue.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => {
                depth += 1;
                if depth == 2 {
                    start = at;
                }
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                let message = &dialogue[start..=at];
                let of_system = || {
                    let head = &message[..message.len().min(120)];
                    [&b"\"system\""[..], b"\"developer\""].iter().any(|role| contains(head, role))
                };
                if depth == 1 && !of_system() {
                    return &dialogue[..=at];
                }
            }
            _ => {}
        }
    }
    dialogue
}

pub(crate) fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http::HeaderMap;
    use lockgate_core::{Attribution, Key, KeyHash};

    use super::*;

    pub(crate) fn key(id: &str) -> Key {
        Key {
            id: id.into(),
            name: "n".into(),
            hint: String::new(),
            hash: KeyHash([0; 32]),
            created_ms: 0,
            expires_ms: None,
            revoked_ms: None,
            models: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }

    fn of(id: &str, headers: &[(&'static str, &str)], body: &str) -> Option<u64> {
        let payload = Payload::parse(body.to_owned().into()).unwrap();
        let mut map = HeaderMap::new();
        headers.iter().for_each(|(name, value)| drop(map.insert(*name, value.parse().unwrap())));
        let (key, attribution) = (key(id), Attribution::default());
        Ask::new("m", &key, &attribution).reads(&payload, 0, &map).session()
    }

    #[test]
    fn whatever_names_a_session_names_the_same_one() {
        let codex = of("k", &[("session_id", "s1")], "{}");
        assert!(codex.is_some());
        assert_eq!(codex, of("k", &[], r#"{"prompt_cache_key":"s1"}"#));
        assert_eq!(codex, of("k", &[], r#"{"metadata":{"user_id":"user_ab_account__session_s1"}}"#));
        assert_eq!(codex, of("k", &[], r#"{"metadata":{"user_id":"{\"session_id\":\"s1\"}"}}"#));
        assert_ne!(codex, of("other", &[("session_id", "s1")], "{}"));
        assert_ne!(codex, of("k", &[("session_id", "s2")], "{}"));
        assert_eq!(of("k", &[], r#"{"metadata":{"user_id":"u7"}}"#), None, "a user is no session");
    }

    #[test]
    fn a_conversation_is_known_by_how_it_begins() {
        let body = |rest: &str| {
            format!(
                r#"{{"messages":[{{"role":"system","content":"Be [brief]. \"}}"}},{{"role":"user","content":"Hi"}}{rest}]}}"#
            )
        };
        let first = of("k", &[], &body(""));
        assert!(first.is_some());
        let later = body(r#",{"role":"assistant","content":"Yes?"},{"role":"user","content":"Go on."}"#);
        assert_eq!(first, of("k", &[], &later));
        assert_ne!(first, of("k", &[], &body("").replace("Hi", "Ho")));
        assert_eq!(of("k", &[], r#"{"prompt":"Hi"}"#), None);
    }

    #[test]
    fn a_session_is_forgotten_in_time_and_in_bounds() {
        let sessions = Sessions::default();
        let target = |model: &str| Target { provider: "p".into(), model: model.into() };
        let keep = |_: &Memory| Duration::from_nanos(100);
        sessions.note(1, &target("a"), Tick(10), Some(400_000));
        sessions.note(1, &target("a"), Tick(20), None);
        let memory = sessions.recall(1, Tick(119), keep).unwrap();
        assert_eq!((memory.cached, memory.at), (400_000, Tick(20)));
        assert_eq!(sessions.recall(1, Tick(120), keep), None);
        sessions.note(1, &target("b"), Tick(120), None);
        assert_eq!(
            sessions.recall(1, Tick(120), keep).map(|memory| memory.cached),
            Some(0),
            "another's cache"
        );
        // All in the shard of session 1, which is used all the while.
        for other in 2..20_000 {
            sessions.note(other, &target("c"), Tick(130), None);
            assert!(other % 1_000 != 0 || sessions.recall(1, Tick(130), keep).is_some());
        }
        assert_eq!(sessions.recall(2, Tick(130), keep), None);
        let shard = sessions.shard(1);
        assert!(shard.young.len() + shard.old.len() <= 2 * HALF);
    }

    proptest::proptest! {
        #[test]
        fn any_dialogue_has_a_beginning(text: Vec<u8>) {
            let first = first_messages(&text);
            proptest::prop_assert!(text.starts_with(first));
        }
    }
}
