//! How the gateway proves to a provider who it is: with a key in a header, or with the signer of a cloud.

mod google;
mod sigv4;

use std::path::PathBuf;
use std::sync::Arc;

use lockgate_config::Provider;
use lockgate_core::Secret;
use lockgate_core::port::Signer;

use self::google::Tokens;
use self::sigv4::SigV4;
use crate::blanks::Blanks;
use crate::compile::{World, key_from};
use crate::profile::{Auth, Profile};

/// What a provider is shown.
pub(crate) enum Proof {
    /// Nothing: it asks for nothing, or the config's headers say it.
    Nothing,
    /// Keys that take turns, in the header that the dialect wants them in; at least one.
    Keys(Vec<Secret>),
    /// What a signer says of each call.
    Signer(Arc<dyn Signer>),
}

/// Where the environment names the file of Google's credentials.
const GOOGLE_FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// What a provider is shown: what the config says, else the environment. An address of the user's own is not shown what
/// the environment keeps for another place.
///
/// # Errors
/// What is wrong or missing, without a secret.
pub(crate) fn proof(
    provider: &Provider,
    profile: &Profile,
    blanks: &mut Blanks,
    world: World<'_>,
    ca: Option<&Arc<[u8]>>,
) -> Result<Proof, String> {
    let own_place = provider.base_url.is_some();
    if provider.api_key.is_some() && provider.credentials.is_some() {
        return Err("there are both an api_key and credentials: give one of them".into());
    }
    if provider.credentials.is_none()
        && let Some(keys) = provider
            .api_key
            .as_ref()
            .map(|keys| keys.all().to_vec())
            .or_else(|| key_from(profile, world.env).filter(|_| !own_place).map(|key| vec![key]))
    {
        return Ok(Proof::Keys(keys));
    }
    let signer = match profile.auth {
        Auth::Aws(service) => aws(provider, service, blanks, world)?,
        Auth::Google => google(provider, blanks, world, ca)?,
        Auth::Bearer | Auth::Header(_) if provider.credentials.is_some() => {
            return Err("this type takes no credentials, but an api_key".into());
        }
        Auth::Bearer | Auth::Header(_) => None,
    };
    if let Some(signer) = signer {
        return Ok(Proof::Signer(signer));
    }
    if profile.keyless || own_place || !provider.headers.is_empty() {
        return Ok(Proof::Nothing);
    }
    let keys = profile.env.join(", ");
    Err(match profile.auth {
        Auth::Bearer | Auth::Header(_) => format!("no api_key: set it, or one of {keys} in the environment"),
        Auth::Aws(_) => format!(
            "no api_key and no credentials: set one of them, or {keys}, or AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY in the environment"
        ),
        Auth::Google => format!("no credentials: set them, or {GOOGLE_FILE} or {keys} in the environment"),
    })
}

fn aws(
    provider: &Provider,
    service: &'static str,
    blanks: &Blanks,
    world: World<'_>,
) -> Result<Option<Arc<dyn Signer>>, String> {
    let from_env =
        |name: &str| (world.env)(name).map(|value| value.trim().to_owned()).filter(|v| !v.is_empty());
    let (id, secret, session) = match &provider.credentials {
        Some(given) => {
            let (Some(id), Some(secret)) = (&given.access_key_id, &given.secret_access_key) else {
                return Err("credentials of AWS are access_key_id and secret_access_key".into());
            };
            (id.clone(), secret.clone(), given.session_token.clone())
        }
        None if provider.base_url.is_some() => return Ok(None),
        None => match (from_env("AWS_ACCESS_KEY_ID"), from_env("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => {
                (id, Secret::new(secret), from_env("AWS_SESSION_TOKEN").map(Secret::new))
            }
            (None, None) => return Ok(None),
            _ => return Err("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together; one is not set".into()),
        },
    };
    let region = blanks.get("region")?.to_owned();
    Ok(Some(Arc::new(SigV4::new(id, secret, session, region, service)?)))
}

fn google(
    provider: &Provider,
    blanks: &mut Blanks,
    world: World<'_>,
    ca: Option<&Arc<[u8]>>,
) -> Result<Option<Arc<dyn Signer>>, String> {
    let file = |path: PathBuf| {
        let name = path.display().to_string();
        (world.read)(&path).map(|text| (text, name.clone())).map_err(|error| format!("{name}: {error}"))
    };
    let (text, name) = match &provider.credentials {
        Some(given) => match (&given.file, &given.json) {
            (Some(path), _) => file(path.clone())?,
            (None, Some(json)) => (json.expose().as_bytes().to_vec(), "credentials.json".to_owned()),
            (None, None) => return Err("credentials of Google are a file, or its json".into()),
        },
        None if provider.base_url.is_some() => return Ok(None),
        None => match (world.env)(GOOGLE_FILE).filter(|path| !path.is_empty()) {
            Some(path) => file(PathBuf::from(path))?,
            None => return Ok(None),
        },
    };
    let (tokens, project) = Tokens::of(&text, ca).map_err(|what| format!("{name}: {what}"))?;
    if let Some(project) = project {
        blanks.offer("project", &project);
    }
    Ok(Some(Arc::new(tokens)))
}
