//! `alerts`: who is told what goes wrong or gets dear, and how.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use lockgate_core::Secret;
use serde_json::Value as Json;

use crate::context::Context;
use crate::decimal::Dollars;
use crate::declare::{choices, settings};
use crate::diagnostic::Complaint;
use crate::document::Node;
use crate::scalar::warn_if_written;
use crate::setting::{Fields, Place, Setting, Shape};

settings! {
    /// Who is told what goes wrong or gets dear, and how. Takes effect at the next start.
    pub struct Alerts {
        /// What comes within this time of the first goes out as one message; 0 sends each at once.
        digest: Duration = Duration::from_secs(60), within Duration::ZERO..=Duration::from_secs(3_600);
        /// An hour in which less is spent is never called unusual, in dollars.
        anomaly_floor: Dollars = Dollars(1_000_000_000);
        /// Where alerts go, each under a name of yours. Without any there are no alerts.
        channels: Vec<AlertChannel>;
    }
}

settings! {
    /// A way to people.
    pub struct AlertChannel named name by refuse_name, check AlertChannel::check {
        /// What stands at its other end.
        kind as "type": ChannelKind = ChannelKind::Webhook => required;
        /// What it is for.
        topics as "on": Vec<AlertTopic> = AlertTopic::all();
        /// The least grave alerts that it gets.
        severity: AlertSeverity = AlertSeverity::Info;
        /// `webhook`, `slack`: where to post. A secret, as whoever knows it can post there.
        url: Option<SecretUrl> = None, shown "none";
        /// `webhook`: what messages are signed with.
        secret: Option<Secret> = None, shown "none: they are not signed";
        /// `email`: the mail server.
        host: Option<String> = None, shown "none";
        /// `email`: its port; 0 is 587 with `starttls`, 465 with `tls`, 25 with `none`.
        port: u16 = 0;
        /// `email`: how the connection to it is encrypted.
        encryption: MailEncryption = MailEncryption::StartTls;
        /// `email`: a file of certificates in PEM form that are trusted besides the public ones.
        ca: Option<PathBuf> = None, shown "none";
        /// `email`: who logs in there.
        user: Option<String> = None, shown "nobody";
        /// `email`: the password for that.
        password: Option<Secret> = None, shown "none";
        /// `email`: the sender.
        from: Option<String> = None, shown "none";
        /// `email`: the receivers.
        to: Vec<String>;
    }
}

choices! {
    /// What stands at the other end of a channel.
    pub enum ChannelKind {
        /// A server of yours: gets JSON, signed.
        Webhook = "webhook",
        /// Slack, or what takes its incoming webhooks.
        Slack = "slack",
        /// A mail server.
        Email = "email",
    }
}

choices! {
    /// What an alert is about.
    pub enum AlertTopic {
        /// A budget's threshold or soft limit was reached; once a window.
        Budget = "budget",
        /// A budget's limit will be reached before its window ends; once a window.
        Forecast = "forecast",
        /// Far more is spent in this hour than usual; once an hour.
        Anomaly = "anomaly",
        /// No endpoint of a provider is in rotation, or one is again.
        Outage = "outage",
        /// A model was used whose price is not known; once a day.
        UnknownPrice = "unknown_price",
        /// Records are lost, or a store fails for longer than a minute, or works again.
        Sink = "sink",
        /// A node of the ledger gave no sign of life.
        Node = "node",
    }
}

choices! {
    /// How grave an alert is.
    pub enum AlertSeverity {
        /// Good to know.
        Info = "info",
        /// Somebody should look at it in the next hours.
        Warning = "warning",
        /// Somebody should look at it now.
        Critical = "critical",
    }
}

choices! {
    /// How a connection to a mail server is encrypted.
    pub enum MailEncryption {
        /// It begins in the clear and must switch to TLS before anything is said.
        StartTls = "starttls",
        /// TLS from the first byte.
        Tls = "tls",
        /// Not at all: for a server on the same machine.
        None = "none",
    }
}

/// An `http` or `https` address that is a secret as a whole. It may have a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretUrl(Secret);

/// What is wrong with the name of a channel. It becomes a label of metrics and a word of commands.
fn refuse_name(name: &str) -> Option<Complaint> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let good = (1..=64).contains(&name.len()) && name.bytes().all(letter);
    (!good).then(|| {
        Complaint::new("is not a name for a channel")
            .hint("use up to 64 letters, digits, \".\", \"_\" and \"-\"")
    })
}

// === impl AlertChannel ===

impl AlertChannel {
    /// Judges what the type decides.
    fn check(&mut self, from: &Fields<'_>, cx: &mut Context<'_>) {
        const POSTED: &[&str] = &["url"];
        const MAILED: &[&str] = &["host", "port", "encryption", "ca", "user", "password", "from", "to"];
        if !from.has("type") {
            return;
        }
        let (word, needed, useless): (_, &[&str], [&[&str]; 2]) = match self.kind {
            ChannelKind::Webhook => ("webhook", POSTED, [MAILED, &[]]),
            ChannelKind::Slack => ("slack", POSTED, [MAILED, &["secret"]]),
            ChannelKind::Email => ("email", &["host", "from", "to"], [POSTED, &["secret"]]),
        };
        for name in needed.iter().filter(|name| !from.has(name)) {
            cx.missing(from.at(name), name);
        }
        for name in useless.into_iter().flatten().filter(|name| from.has(name)) {
            let complaint = Complaint::new(format!("is not a setting of a channel of type {word}"));
            cx.inside(Place::Key((*name).to_owned()), |cx| cx.error(from.at(name), complaint));
        }
        for (name, other) in [("user", "password"), ("password", "user")] {
            if from.has(name) && !from.has(other) {
                cx.missing(from.at(other), other);
            }
        }
        if self.password.is_some() && self.encryption == MailEncryption::None {
            let complaint = Complaint::new("the password goes out in the clear");
            cx.warn(from.at("password"), complaint.hint("use encryption: starttls or tls"));
        }
        if self.kind == ChannelKind::Webhook && self.secret.is_none() && from.has("url") {
            let complaint = Complaint::new("messages are not signed, so anybody can forge them");
            cx.warn(from.at("url"), complaint.hint("add secret: ${NAME} and check x-lockgate-signature"));
        }
        let addresses = [("from", self.from.iter().collect()), ("to", self.to.iter().collect::<Vec<_>>())];
        for (name, given) in addresses {
            if given.iter().any(|address| !is_address(address)) {
                let complaint =
                    Complaint::new("is not an address such as ops@example.com or Ops <ops@example.com>");
                cx.inside(Place::Key(name.to_owned()), |cx| cx.error(from.at(name), complaint));
            }
        }
        if from.has("to") && self.to.is_empty() {
            let complaint = Complaint::new("needs at least one address");
            cx.inside(Place::Key("to".to_owned()), |cx| cx.error(from.at("to"), complaint));
        }
    }
}

/// Whether it may be an address; the mail server knows better.
fn is_address(text: &str) -> bool {
    let inner = text.rsplit_once('<').map_or(Some(text), |(_, rest)| rest.strip_suffix('>'));
    inner.and_then(|inner| inner.rsplit_once('@')).is_some_and(|(user, host)| {
        let plain =
            |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control());
        plain(user) && plain(host) && !text.contains(char::is_control)
    })
}

impl AlertTopic {
    /// Every topic.
    fn all() -> Vec<Self> {
        use AlertTopic::{Anomaly, Budget, Forecast, Node, Outage, Sink, UnknownPrice};
        vec![Budget, Forecast, Anomaly, Outage, UnknownPrice, Sink, Node]
    }
}

// === impl SecretUrl ===

impl SecretUrl {
    /// The address. Call it where it is used, never where it could be stored or shown.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl Setting for SecretUrl {
    fn shape() -> Shape {
        Shape::text("secret URL")
    }

    fn read(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let scalar = cx.text(node, "a URL")?;
        warn_if_written(scalar, node, cx);
        let good = scalar.text.parse::<Uri>().is_ok_and(|uri| {
            let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
            is_http && uri.authority().is_some_and(|it| !it.host().is_empty() && !it.as_str().contains('@'))
        });
        if !good {
            let complaint = Complaint::new("this is not an absolute http or https URL without a user");
            cx.error(node.at, complaint.hint("write it like https://alerts.example.com/lockgate"));
            return None;
        }
        Some(Self(Secret::new(scalar.text.clone())))
    }

    /// A secret is never spelled; none is a default either.
    fn spell(&self) -> Json {
        Json::Null
    }
}
