//! From a provider in the config, or a key in the environment, to an upstream that can be called.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderName};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Uri};
use lockgate_config::{Provider, ProviderType};
use lockgate_core::upstream::{Address, Http2, Reach, StreamUsage, Timeouts};
use lockgate_core::{Quirks, Secret, Speech, Upstream};

use crate::profile::{ALL, Auth, Profile, by_name};

/// The demo provider's name.
pub const DEMO: &str = "demo";

/// Why a provider of the config cannot be called.
#[derive(Debug)]
pub struct CompileError {
    /// The provider's name.
    pub provider: String,
    /// What is wrong.
    pub what: String,
}

/// The longest answer that is read whole, where the config says nothing.
const MAX_ANSWER: usize = 32 << 20;

/// The upstream of a provider in the config. `env` finds the key of a built-in provider that has none in the config;
/// `read` reads certificate files.
///
/// # Errors
/// What is wrong with it, in words for whoever wrote the config.
pub fn compile(
    provider: &Provider,
    env: &dyn Fn(&str) -> Option<String>,
    read: &dyn Fn(&PathBuf) -> std::io::Result<Vec<u8>>,
) -> Result<Upstream, CompileError> {
    let fail = |what: String| CompileError { provider: provider.name.clone(), what };
    let profile = match &provider.kind {
        ProviderType::OpenAiCompatible => &Profile::OPENAI_COMPATIBLE,
        ProviderType::BuiltIn(name) if name == DEMO => {
            return Ok(Upstream { name: provider.name.as_str().into(), ..demo() });
        }
        ProviderType::BuiltIn(name) => {
            by_name(name).ok_or_else(|| fail(format!("there is no built-in provider \"{name}\"")))?
        }
    };
    let key = provider.api_key.clone().or_else(|| {
        // An address of the user's own must not be sent the key of another place.
        let own_place = provider.base_url.is_some();
        if own_place { None } else { key_from(profile, env) }
    });
    if key.is_none() && !profile.keyless && provider.base_url.is_none() && provider.headers.is_empty() {
        return Err(fail(format!(
            "no api_key: set it, or one of {} in the environment",
            profile.env.join(", ")
        )));
    }
    let base = provider.base_url.as_ref().map_or(profile.base_url, |url| url.as_str());
    let mut address = address(base).ok_or_else(|| fail(format!("\"{base}\" is not an address")))?;
    address.http2 = match provider.http2 {
        lockgate_config::Http2::Auto => Http2::Auto,
        lockgate_config::Http2::Never => Http2::Never,
        lockgate_config::Http2::Always => Http2::Always,
    };
    address.insecure = provider.tls.insecure;
    if let Some(path) = &provider.tls.ca {
        let pem = read(path).map_err(|error| fail(format!("{}: {error}", path.display())))?;
        address.ca = Some(pem.into());
    }
    let mut headers = credentials(profile.auth, key.as_ref())
        .ok_or_else(|| fail("api_key has characters that no header can carry".into()))?;
    for (name, value) in provider.headers.iter() {
        let value = sensitive(value.expose())
            .ok_or_else(|| fail(format!("the header {name} has characters that no header can carry")))?;
        headers.insert(name.clone(), value);
    }
    let all = |own: &[String], profile: &[&str]| -> Vec<String> {
        profile.iter().map(|s| (*s).to_owned()).chain(own.iter().cloned()).collect()
    };
    let renames = profile.rename.iter().copied().chain(provider.rename.iter());
    let speech = Speech {
        headers,
        quirks: Quirks {
            stream_usage: match provider.stream_usage {
                lockgate_config::StreamUsage::Auto => profile.stream_usage,
                lockgate_config::StreamUsage::Ask => StreamUsage::Ask,
                lockgate_config::StreamUsage::Always => StreamUsage::Always,
                lockgate_config::StreamUsage::Never => StreamUsage::Never,
            },
            drop: all(&provider.drop, profile.drop),
            rename: renames.map(|(from, to)| (from.to_owned(), to.to_owned())).collect(),
            add: Vec::new(),
        },
        ..Speech::plain(profile.dialect)
    };
    Ok(Upstream {
        name: provider.name.as_str().into(),
        catalog: match &provider.kind {
            ProviderType::BuiltIn(name) => name.as_str().into(),
            ProviderType::OpenAiCompatible => provider.name.as_str().into(),
        },
        speaks: vec![Arc::new(speech)],
        reach: Reach::Network(Box::new(address)),
        timeouts: Timeouts {
            connect: provider.timeouts.connect,
            first_byte: provider.timeouts.first_byte,
            between_bytes: provider.timeouts.between_bytes,
            total: provider.timeouts.total,
        },
        max_answer: usize::try_from(provider.max_answer.bytes()).unwrap_or(usize::MAX),
        models: provider.models.iter().map(|model| model.as_str().into()).collect(),
        claims: profile.claims,
    })
}

/// The built-in providers whose key is in the environment, in the order of their names.
pub fn discovered(env: &dyn Fn(&str) -> Option<String>) -> Vec<Upstream> {
    ALL.iter()
        .filter_map(|profile| {
            let headers = credentials(profile.auth, Some(&key_from(profile, env)?))?;
            let speech = Speech {
                headers,
                quirks: Quirks {
                    stream_usage: profile.stream_usage,
                    drop: profile.drop.iter().map(|s| (*s).to_owned()).collect(),
                    rename: profile.rename.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
                    add: Vec::new(),
                },
                ..Speech::plain(profile.dialect)
            };
            Some(Upstream {
                name: profile.name.into(),
                catalog: profile.name.into(),
                speaks: vec![Arc::new(speech)],
                reach: Reach::Network(Box::new(address(profile.base_url)?)),
                timeouts: Timeouts::default(),
                max_answer: MAX_ANSWER,
                models: Vec::new(),
                claims: profile.claims,
            })
        })
        .collect()
}

/// The demo provider.
pub fn demo() -> Upstream {
    Upstream {
        name: DEMO.into(),
        catalog: DEMO.into(),
        speaks: vec![Arc::new(Speech::plain(Profile::OPENAI_COMPATIBLE.dialect))],
        reach: Reach::Demo,
        timeouts: Timeouts::default(),
        max_answer: MAX_ANSWER,
        models: lockgate_demo::Demo::models().map(Arc::from).collect(),
        claims: &[],
    }
}

fn key_from(profile: &Profile, env: &dyn Fn(&str) -> Option<String>) -> Option<Secret> {
    profile
        .env
        .iter()
        .find_map(|name| env(name))
        .map(|key| key.trim().to_owned())
        .filter(|key| !key.is_empty())
        .map(Secret::new)
}

fn address(url: &str) -> Option<Address> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme().filter(|s| **s == Scheme::HTTP || **s == Scheme::HTTPS)?.clone();
    let authority: Authority = uri.authority().filter(|a| !a.as_str().contains('@'))?.clone();
    let prefix = uri.path().trim_end_matches('/').to_owned();
    Some(Address { scheme, authority, prefix, http2: Http2::Auto, ca: None, insecure: false })
}

fn credentials(auth: Auth, key: Option<&Secret>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        match auth {
            Auth::Bearer => headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {}", key.expose()))?),
            Auth::Header(name) => headers.insert(HeaderName::from_static(name), sensitive(key.expose())?),
        };
    }
    Some(headers)
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "providers.{}: {}", self.provider, self.what)
    }
}

impl std::error::Error for CompileError {}

#[cfg(test)]
mod tests {
    use lockgate_config::{Known, load};

    use super::*;

    fn compiled(yaml: &str, env: &[(&str, &str)]) -> Result<Upstream, String> {
        let names: Vec<&str> = ALL.iter().map(|p| p.name).chain([DEMO]).collect();
        let (config, found) = load(yaml, &|_| None, &Known { providers: &names });
        let config = config.unwrap_or_else(|| panic!("{found:?}"));
        let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        compile(&config.providers[0], &env, &|_| Ok(Vec::new())).map_err(|error| error.to_string())
    }

    #[test]
    fn a_users_own_provider_needs_only_config() {
        let own = compiled(
            "providers: {mine: {type: openai-compatible, base_url: 'http://127.0.0.1:8000/v1/', models: [a], drop: [seed]}}",
            &[("OPENAI_API_KEY", "sk-elsewhere")],
        )
        .unwrap();
        let Reach::Network(address) = &own.reach else { panic!("not on the network") };
        assert_eq!((address.authority.as_str(), address.prefix.as_str()), ("127.0.0.1:8000", "/v1"));
        assert!(own.speaks[0].headers.is_empty());
        assert_eq!(own.speaks[0].quirks.drop, ["seed"]);
    }

    #[test]
    fn a_key_from_the_environment_goes_only_to_its_own_place() {
        let env = [("OPENAI_API_KEY", "sk-live-1")];
        let built_in = compiled("providers: {openai: {}}", &env).unwrap();
        assert_eq!(built_in.speaks[0].headers[AUTHORIZATION], "Bearer sk-live-1");
        let moved = compiled("providers: {openai: {base_url: 'http://10.0.0.1/v1'}}", &env).unwrap();
        assert!(moved.speaks[0].headers.is_empty());
        assert!(compiled("providers: {openai: {}}", &[]).unwrap_err().contains("OPENAI_API_KEY"));
        assert!(compiled("providers: {ollama: {}}", &[]).is_ok());
    }

    #[test]
    fn a_credential_cannot_be_printed() {
        let upstream = compiled("providers: {groq: {api_key: gsk-hidden}}", &[]).unwrap();
        assert!(!format!("{upstream:?} {:?}", upstream.speaks[0].headers).contains("gsk-hidden"));
    }
}
