//! Slack, by an incoming webhook: one text with a line for each alert.

use std::fmt::Write as _;
use std::sync::Arc;

use http::HeaderMap;
use lockgate_config::AlertChannel;
use lockgate_core::alert::{Alert, Channel, Gravity};
use lockgate_core::port::{Ready, Transport};
use lockgate_core::{Digest, Error};
use serde_json::json;

use crate::Door;
use crate::post::Post;

/// A channel of Slack, or of what takes the same messages (Mattermost, Rocket.Chat, Discord's `/slack`).
pub(crate) struct Slack {
    door: Door,
    post: Post,
}

/// Alerts that are shown; Slack cuts a text off at 40,000 characters.
const SHOWN: usize = 30;

impl Slack {
    pub(crate) fn new(
        door: Door,
        config: &AlertChannel,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, Error> {
        let post = Post::new(&door, config, transport)?;
        Ok(Self { door, post })
    }
}

impl Channel for Slack {
    fn name(&self) -> &str {
        &self.door.name
    }

    fn wants(&self, alert: &Alert) -> bool {
        self.door.wants(alert)
    }

    fn send<'a>(&'a self, digest: &'a Digest) -> Ready<'a, Result<String, Error>> {
        Box::pin(self.post.send(HeaderMap::new(), json!({ "text": text(digest) }).to_string()))
    }
}

fn text(digest: &Digest) -> String {
    let mut text = format!("*Lockgate* {}", escape(&digest.node));
    for alert in digest.alerts.iter().take(SHOWN) {
        let sign = match alert.gravity {
            Gravity::Info => ":information_source:",
            Gravity::Warning => ":warning:",
            Gravity::Critical => ":rotating_light:",
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{sign} {}", escape(&alert.text));
    }
    let rest = digest.alerts.len().saturating_sub(SHOWN).saturating_add(digest.left_out as usize);
    if rest > 0 {
        let _ = write!(text, "\nand {rest} more: `lockgate alerts list`");
    }
    text
}

/// The three characters that mean something to Slack: names of customers come from requests, and must not call everybody by
/// `<!channel>`.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use lockgate_core::Topic;

    use super::*;

    #[test]
    fn a_name_from_a_request_calls_nobody() {
        let alert = Alert {
            topic: Topic::Budget,
            gravity: Gravity::Critical,
            subject: "b".into(),
            text: "The budget \"b\" of \"<!channel>\" & co".into(),
            facts: serde_json::Map::new(),
            key: String::new(),
            at_ms: 0,
        };
        let alerts = vec![alert; SHOWN + 1];
        let digest = Digest { id: "alt_1".into(), node: "n".into(), at_ms: 0, alerts, left_out: 2 };
        let text = text(&digest);
        assert!(text.contains("of \"&lt;!channel&gt;\" &amp; co") && !text.contains('<'), "{text}");
        assert!(text.ends_with("and 3 more: `lockgate alerts list`"), "{text}");
    }
}
