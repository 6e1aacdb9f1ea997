//! From a provider in the config, or a key in the environment, to an upstream that can be called.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderName};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Uri};
use lockgate_config::{Provider, ProviderType};
use lockgate_core::port::Signer;
use lockgate_core::upstream::{Address, Credential, Http2, Paths, Prefill, Reach, StreamUsage, Timeouts};
use lockgate_core::{Quirks, Secret, Speech, Upstream};

use crate::auth::{self, Proof};
use crate::blanks::Blanks;
use crate::profile::{ALL, Auth, Profile, Spoken, by_name};

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

/// What a provider's making can ask of the world.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    /// The value of an environment variable.
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    /// The content of a file.
    pub(crate) read: &'a dyn Fn(&PathBuf) -> std::io::Result<Vec<u8>>,
}

/// Where a provider is.
struct Site {
    address: Address,
    /// What stands before the paths of dialects that are not behind the address' own prefix; `None` where the
    /// address is the user's own, and one cannot tell.
    root: Option<String>,
}

/// What one credential shows.
enum Shown<'a> {
    Nothing,
    Key(&'a Secret),
    Signer(&'a Arc<dyn Signer>),
}

/// The longest answer of the demo provider that is read whole.
const MAX_ANSWER: usize = 32 << 20;

/// The upstream of a provider in the config. `env` finds the key of a built-in provider that has none in the config;
/// `read` reads certificate and credential files.
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
        ProviderType::AnthropicCompatible => &Profile::ANTHROPIC_COMPATIBLE,
        ProviderType::GeminiCompatible => &Profile::GEMINI_COMPATIBLE,
        ProviderType::BuiltIn(name) if name == DEMO => {
            return Ok(Upstream { name: provider.name.as_str().into(), ..demo() });
        }
        ProviderType::BuiltIn(name) => {
            by_name(name).ok_or_else(|| fail(format!("there is no built-in provider \"{name}\"")))?
        }
    };
    upstream(provider, profile, World { env, read }).map_err(fail)
}

/// The built-in providers whose key or credentials are in the environment, in the order of their names. One whose
/// environment is not complete (a key, but no region) is left out.
pub fn discovered(env: &dyn Fn(&str) -> Option<String>) -> Vec<Upstream> {
    ALL.iter()
        .filter(|profile| profile.auth.is_cloud() || key_from(profile, env).is_some())
        .filter_map(|profile| {
            compile(&Provider::built_in(profile.name), env, &|path| std::fs::read(path)).ok()
        })
        .collect()
}

/// The demo provider.
pub fn demo() -> Upstream {
    let quirks = Quirks { prefill: Prefill::Last, ..Quirks::default() };
    Upstream {
        name: DEMO.into(),
        catalog: DEMO.into(),
        speaks: vec![Arc::new(Speech { quirks, ..Speech::plain(Spoken::CHAT.dialect) })],
        credentials: Vec::new(),
        reach: Reach::Demo,
        timeouts: Timeouts::default(),
        max_answer: MAX_ANSWER,
        models: lockgate_demo::Demo::models().map(Arc::from).collect(),
        claims: &[],
    }
}

fn upstream(provider: &Provider, profile: &'static Profile, world: World<'_>) -> Result<Upstream, String> {
    let mut blanks = Blanks::of(profile, provider, world.env)?;
    let ca: Option<Arc<[u8]>> = match &provider.tls.ca {
        Some(path) => {
            Some((world.read)(path).map_err(|error| format!("{}: {error}", path.display()))?.into())
        }
        None => None,
    };
    let proof = auth::proof(provider, profile, &mut blanks, world, ca.as_ref())?;
    let mut site = site(provider, profile, &blanks)?;
    site.address.http2 = match provider.http2 {
        lockgate_config::Http2::Auto => Http2::Auto,
        lockgate_config::Http2::Never => Http2::Never,
        lockgate_config::Http2::Always => Http2::Always,
    };
    site.address.insecure = provider.tls.insecure;
    site.address.ca = ca;
    let spoken_with = |proof: &Shown<'_>| {
        let mut speaks = Vec::new();
        for spoken in profile.speaks {
            if let Some(paths) = paths(spoken, &site, &blanks)? {
                speaks.push(Arc::new(speech(spoken, paths, provider, profile, proof)?));
            }
        }
        Ok::<_, String>(speaks)
    };
    let mut credentials = Vec::new();
    let speaks = match &proof {
        Proof::Nothing => spoken_with(&Shown::Nothing)?,
        Proof::Signer(signer) => spoken_with(&Shown::Signer(signer))?,
        Proof::Keys(keys) => {
            for (at, key) in keys.iter().enumerate() {
                let speaks = spoken_with(&Shown::Key(key))?;
                credentials.push(Credential { name: name_of(at, key).into(), speaks });
            }
            let first = credentials.first().map(|first| first.speaks.clone()).unwrap_or_default();
            if credentials.len() == 1 {
                credentials.clear();
            }
            first
        }
    };
    if speaks.is_empty() && !profile.speaks.is_empty() {
        return Err("base_url must be without a path here: the paths of this type begin at its root".into());
    }
    Ok(Upstream {
        name: provider.name.as_str().into(),
        catalog: match &provider.kind {
            ProviderType::BuiltIn(name) => profile.catalog.unwrap_or(name).into(),
            _ => provider.name.as_str().into(),
        },
        speaks,
        credentials,
        reach: Reach::Network(Box::new(site.address)),
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

fn site(provider: &Provider, profile: &Profile, blanks: &Blanks) -> Result<Site, String> {
    let region = blanks.get("region").unwrap_or_default();
    let special = profile.elsewhere.iter().find(|(pattern, _)| match pattern.strip_suffix('*') {
        Some(start) => region.starts_with(start),
        None => region == *pattern,
    });
    let template = special.map_or(profile.base_url, |(_, url)| url);
    let Some(own) = &provider.base_url else {
        let url = blanks.fill(template)?;
        let address = address(&url).ok_or_else(|| format!("\"{url}\" is not an address"))?;
        return Ok(Site { address, root: Some(String::new()) });
    };
    let address = address(own.as_str()).ok_or_else(|| format!("\"{own}\" is not an address"))?;
    let usual = template.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
    let root = match usual {
        Some(path) => blanks.fill(&format!("/{path}")).ok().and_then(|path| {
            let root = address.prefix.strip_suffix(path.as_str())?;
            Some(root.to_owned())
        }),
        None => address.prefix.is_empty().then(String::new),
    };
    Ok(Site { address, root })
}

/// Where the calls of a dialect go; `None` when one cannot tell.
fn paths(spoken: &Spoken, site: &Site, blanks: &Blanks) -> Result<Option<Paths>, String> {
    let prefix = match (spoken.at, &site.root) {
        (None, _) => None,
        (Some(at), Some(root)) => Some(format!("{root}{}", blanks.fill(at)?)),
        (Some(_), None) => return Ok(None),
    };
    let [whole, stream] = match spoken.paths {
        Some(paths) => paths.map(|path| Some(path.to_owned())),
        None => [None, None],
    };
    Ok(Some(Paths { prefix, whole, stream }))
}

fn speech(
    spoken: &Spoken,
    paths: Paths,
    provider: &Provider,
    profile: &Profile,
    proof: &Shown<'_>,
) -> Result<Speech, String> {
    let mut headers = HeaderMap::new();
    let mut signer = None;
    match proof {
        Shown::Nothing => {}
        Shown::Key(key) => {
            let (name, value) = credential(spoken.auth.unwrap_or(profile.auth), key)
                .ok_or("api_key has characters that no header can carry")?;
            headers.insert(name, value);
        }
        Shown::Signer(known) => signer = Some(Arc::clone(known)),
    }
    for (name, value) in spoken.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    for (name, value) in provider.headers.iter() {
        let value = sensitive(value.expose())
            .ok_or_else(|| format!("the header {name} has characters that no header can carry"))?;
        if *name == AUTHORIZATION {
            signer = None;
        }
        headers.insert(name.clone(), value);
    }
    let asked = matches!(spoken.dialect, "openai.chat" | "openai.completions");
    let owned = |(from, to): (&str, &str)| (from.to_owned(), to.to_owned());
    Ok(Speech {
        dialect: spoken.dialect,
        models: spoken.models.iter().map(|model| (*model).to_owned()).collect(),
        paths,
        headers,
        signer,
        quirks: Quirks {
            stream_usage: match provider.stream_usage {
                lockgate_config::StreamUsage::Ask if asked => StreamUsage::Ask,
                lockgate_config::StreamUsage::Always if asked => StreamUsage::Always,
                lockgate_config::StreamUsage::Never if asked => StreamUsage::Never,
                _ => spoken.stream_usage,
            },
            drop: spoken
                .drop
                .iter()
                .map(|name| (*name).to_owned())
                .chain(provider.drop.iter().cloned())
                .collect(),
            rename: spoken.rename.iter().copied().chain(provider.rename.iter()).map(owned).collect(),
            add: spoken.add.iter().copied().map(owned).collect(),
            prefill: spoken.prefill,
        },
    })
}

/// The key of a profile in the environment.
pub(crate) fn key_from(profile: &Profile, env: &dyn Fn(&str) -> Option<String>) -> Option<Secret> {
    let keys = profile.env.iter().filter_map(|name| env(name)).map(|key| key.trim().to_owned());
    keys.into_iter().find(|key| !key.is_empty()).map(Secret::new)
}

/// The place that a URL names: `http` or `https`, and no user in it.
pub(crate) fn address(url: &str) -> Option<Address> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri.scheme().filter(|s| **s == Scheme::HTTP || **s == Scheme::HTTPS)?.clone();
    let authority: Authority = uri.authority().filter(|a| !a.as_str().contains('@'))?.clone();
    let prefix = uri.path().trim_end_matches('/').to_owned();
    Some(Address { scheme, authority, prefix, http2: Http2::Auto, ca: None, insecure: false })
}

/// What a key is called in records: its place, and its end where that gives nothing away.
fn name_of(at: usize, key: &Secret) -> String {
    const SHOWN: usize = 4;
    /// A key of fewer characters would be too well known by its last four.
    const LONG_ENOUGH: usize = 16;
    let text = key.expose();
    let length = text.chars().count();
    let end: String = text.chars().skip(length.saturating_sub(SHOWN)).collect();
    if length < LONG_ENOUGH { format!("#{}", at + 1) } else { format!("#{} \u{2026}{end}", at + 1) }
}

fn credential(auth: Auth, key: &Secret) -> Option<(HeaderName, HeaderValue)> {
    Some(match auth {
        Auth::Bearer | Auth::Aws(_) | Auth::Google => {
            (AUTHORIZATION, sensitive(&format!("Bearer {}", key.expose()))?)
        }
        Auth::Header(name) => (HeaderName::from_static(name), sensitive(key.expose())?),
    })
}

/// A header value that is not shown.
pub(crate) fn sensitive(text: &str) -> Option<HeaderValue> {
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
mod tests;
