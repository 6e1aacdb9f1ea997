//! What a token is asked with: the assertion that a service account signs, or a user's refresh token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lockgate_core::Secret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;

/// Whom a token is asked for.
pub(super) enum Grant {
    /// A service account, which signs an assertion of its own.
    Account { email: String, key_id: Option<String>, key: Box<RsaKeyPair>, uri: String },
    /// A user, who signed in once.
    User { client_id: String, client_secret: Secret, refresh_token: Secret, uri: String },
}

/// The file of credentials.
#[derive(Deserialize)]
struct File {
    #[serde(rename = "type")]
    kind: String,
    project_id: Option<String>,
    private_key_id: Option<String>,
    private_key: Option<String>,
    client_email: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    refresh_token: Option<String>,
    token_uri: Option<String>,
}

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// How long an assertion holds, in seconds; Google takes no longer ones.
const HOLDS: u64 = 3_600;

// === impl Grant ===

impl Grant {
    /// Reads the JSON of credentials; with it comes the project that they belong to, where they name one.
    ///
    /// # Errors
    /// What is wrong with it, without a secret.
    pub(super) fn of(json: &[u8]) -> Result<(Self, Option<String>), String> {
        // The reader's own words could quote a value.
        let file: File = serde_json::from_slice(json).map_err(|error| {
            format!(
                "this is no file of Google credentials (line {}, column {})",
                error.line(),
                error.column()
            )
        })?;
        let uri = file.token_uri.unwrap_or_else(|| TOKEN_URI.to_owned());
        let need = |name: &str, value: Option<String>| {
            value.filter(|value| !value.is_empty()).ok_or_else(|| format!("{name} is missing"))
        };
        let grant = match file.kind.as_str() {
            "service_account" => {
                let pem = Secret::new(need("private_key", file.private_key)?);
                let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose().as_bytes())
                    .map_err(|_| "private_key is not a key in PEM form (PKCS #8)")?;
                let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der())
                    .map_err(|_| "private_key is not an RSA key of 2048 bits or more")?;
                let email = need("client_email", file.client_email)?;
                Self::Account { email, key_id: file.private_key_id, key: Box::new(key), uri }
            }
            "authorized_user" => Self::User {
                client_id: need("client_id", file.client_id)?,
                client_secret: Secret::new(need("client_secret", file.client_secret)?),
                refresh_token: Secret::new(need("refresh_token", file.refresh_token)?),
                uri,
            },
            _ => return Err("its type is neither service_account nor authorized_user".into()),
        };
        Ok((grant, file.project_id))
    }

    /// Where tokens are given.
    pub(super) fn uri(&self) -> &str {
        match self {
            Self::Account { uri, .. } | Self::User { uri, .. } => uri,
        }
    }

    /// The form that asks for a token at a time in Unix seconds; `None` if the key cannot sign.
    pub(super) fn form(&self, now: u64) -> Option<String> {
        Some(match self {
            Self::Account { .. } => form(&[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", &self.assertion(now)?),
            ]),
            Self::User { client_id, client_secret, refresh_token, .. } => form(&[
                ("grant_type", "refresh_token"),
                ("client_id", client_id),
                ("client_secret", client_secret.expose()),
                ("refresh_token", refresh_token.expose()),
            ]),
        })
    }

    /// A JWT, signed with RS256.
    pub(super) fn assertion(&self, now: u64) -> Option<String> {
        let Self::Account { email, key_id, key, uri } = self else { return None };
        let kid = match key_id {
            Some(id) => format!(r#","kid":{}"#, json(id)),
            None => String::new(),
        };
        let header = format!(r#"{{"alg":"RS256","typ":"JWT"{kid}}}"#);
        let claims = format!(
            r#"{{"iss":{},"scope":"{SCOPE}","aud":{},"iat":{now},"exp":{}}}"#,
            json(email),
            json(uri),
            now.saturating_add(HOLDS)
        );
        let mut text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).ok()?;
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        Some(text)
    }
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn form(pairs: &[(&str, &str)]) -> String {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, PLAIN)));
    pairs.collect::<Vec<_>>().join("&")
}
