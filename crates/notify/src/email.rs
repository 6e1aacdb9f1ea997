//! E-mail, handed to a mail server over SMTP.

use std::fmt::Write as _;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport as _};
use lockgate_config::{AlertChannel, MailEncryption};
use lockgate_core::alert::{Alert, Channel};
use lockgate_core::port::Ready;
use lockgate_core::{Digest, Error, Kind};

use crate::post::PATIENCE;
use crate::{Door, unusable};

/// A mail server and who is written to by it.
pub(crate) struct Email {
    door: Door,
    server: SmtpTransport,
    from: Mailbox,
    to: Vec<Mailbox>,
}

/// The longest subject, in characters.
const SUBJECT: usize = 120;

impl Email {
    pub(crate) fn new(door: Door, config: &AlertChannel) -> Result<Self, Error> {
        let mailbox =
            |what: &str, text: &str| text.parse::<Mailbox>().map_err(|wrong| unusable(&door, what, &wrong));
        let from = mailbox("from", config.from.as_deref().unwrap_or_default())?;
        let to = config.to.iter().map(|text| mailbox("to", text)).collect::<Result<Vec<_>, _>>()?;
        let host = config.host.clone().unwrap_or_default();
        let parameters = || -> Result<TlsParameters, Error> {
            let mut tls = TlsParameters::builder(host.clone());
            if let Some(file) = &config.ca {
                let pem = std::fs::read(file).map_err(|wrong| unusable(&door, "ca", &wrong))?;
                let trusted = Certificate::from_pem(&pem).map_err(|wrong| unusable(&door, "ca", &wrong))?;
                tls = tls.add_root_certificate(trusted);
            }
            tls.build().map_err(|wrong| unusable(&door, "host", &wrong))
        };
        let (tls, usual) = match config.encryption {
            MailEncryption::StartTls => (Tls::Required(parameters()?), 587),
            MailEncryption::Tls => (Tls::Wrapper(parameters()?), 465),
            MailEncryption::None => (Tls::None, 25),
        };
        let port = if config.port == 0 { usual } else { config.port };
        let mut server =
            SmtpTransport::builder_dangerous(host.clone()).port(port).tls(tls).timeout(Some(PATIENCE));
        if let (Some(user), Some(password)) = (&config.user, &config.password) {
            server = server.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        let server = server.build();
        Ok(Self { door, server, from, to })
    }

    fn message(&self, digest: &Digest) -> Result<Message, Error> {
        let unwritable = |wrong: &dyn std::fmt::Display| {
            Error::gateway(Kind::Internal, "The mail could not be written.").detail(wrong.to_string())
        };
        let subject: String = format!("[Lockgate] {}", digest.headline())
            .replace(char::is_control, " ")
            .chars()
            .take(SUBJECT)
            .collect();
        let domain = self.from.email.domain();
        let mut message = Message::builder()
            .from(self.from.clone())
            .subject(subject)
            // The same in every try, so that a mail server can tell that it has it.
            .message_id(Some(format!("<{}@{domain}>", digest.id)))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            message = message.to(to.clone());
        }
        message.body(text(digest)).map_err(|wrong| unwritable(&wrong))
    }
}

impl Channel for Email {
    fn name(&self) -> &str {
        &self.door.name
    }

    fn wants(&self, alert: &Alert) -> bool {
        self.door.wants(alert)
    }

    fn send<'a>(&'a self, digest: &'a Digest) -> Ready<'a, Result<String, Error>> {
        Box::pin(async move {
            let message = self.message(digest)?;
            let server = self.server.clone();
            // SMTP is a talk of many turns, each of which may take its time: beside the thread, not in it.
            let sent = tokio::task::spawn_blocking(move || server.send(&message)).await;
            let broken = |detail: String| {
                Error::upstream(Kind::UpstreamError, "The mail server did not take the message.")
                    .detail(detail)
            };
            let response = sent.map_err(|_| broken("the talk with it was broken off".to_owned()))?;
            let response = response.map_err(|wrong| broken(told(&wrong)))?;
            let lines: Vec<&str> = response.message().collect();
            Ok(format!("{} {}", response.code(), lines.join(" ")).trim_end().to_owned())
        })
    }
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    text
}

fn text(digest: &Digest) -> String {
    let mut text = String::new();
    for alert in &digest.alerts {
        let _ = writeln!(text, "{}: {}", alert.gravity.code(), alert.text);
    }
    if digest.left_out > 0 {
        let _ = writeln!(text, "And {} more: lockgate alerts list", digest.left_out);
    }
    let _ = write!(text, "\n-- \nLockgate, {}\n{}\n", digest.node, digest.id);
    text
}
