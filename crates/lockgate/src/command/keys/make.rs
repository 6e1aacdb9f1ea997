//! Keys that come to be: new ones, and new secrets for old ones.

use std::collections::BTreeMap;

use lockgate_core::key::{check_metadata, check_name, check_pattern, may_rotate};
use lockgate_core::{Aspect, Key};
use lockgate_store::{new_key, new_key_id};

use super::{find, show, update, wall_ms};
use crate::command::Context;
use crate::existing;
use crate::exit::{Failure, Outcome};
use crate::installation::Installation;
use crate::moment::Moment;
use crate::settings::Settings;
use crate::table::printable;

/// Make a key. It is shown once; only its hash is kept.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate keys create --name checkout\n  lockgate keys create --name support --model support-bot --model 'openai/*' --expires 2027-01-31 --team care --meta ticket=4711\n  KEY=$(lockgate keys create --name ci --expires 1h --json | jq -r .key)\n\nWhat --organisation, --team, --project, --customer and --user say holds for every request of the key, whatever the\nrequest says: budgets and policies count on it. They are kept in the metadata, as `--meta team=care` is.\nWith --json one document: the key as in `lockgate keys list --json`, and {\"key\": \"lg-...\"}."
)]
pub(crate) struct Create {
    /// What people call it; no other key that is not revoked may have this name.
    #[arg(long, value_parser = name)]
    name: String,
    /// From when on it is refused: a span from now (90s, 1h, 30d), a time in UTC (2027-01-31 is the beginning of that
    /// day), or never.
    #[arg(long, value_name = "WHEN", default_value = "never", value_parser = Expiry::read)]
    expires: Expiry,
    /// A model it may use: a route, PROVIDER/MODEL, or either with * at the end. Give it several times for several;
    /// without it, all.
    #[arg(long = "model", value_name = "PATTERN", value_parser = pattern)]
    models: Vec<String>,
    /// A note of yours, as often as you like.
    #[arg(long = "meta", value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// The organisation that all of its requests are for.
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// The team that all of its requests are for.
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// The project that all of its requests are for.
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// The customer that all of its requests are for.
    #[arg(long, value_name = "NAME")]
    customer: Option<String>,
    /// The user that all of its requests are for.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

/// Give a key a new secret, shown once. The old one is refused at once; id, name, models and metadata stay.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate keys rotate checkout\n  lockgate keys rotate checkout --expires 90d --json\n\nThe old secret stops within a second. Where an application needs both for a while, create a second key and revoke\nthe first later. With --json as `lockgate keys create --json`.\nExit codes: 0 done, 4 there is no such key."
)]
pub(crate) struct Rotate {
    /// The key's id or name.
    #[arg(value_name = "ID|NAME")]
    key: String,
    /// A new expiry, as for create; without it the old one stays.
    #[arg(long, value_name = "WHEN", value_parser = Expiry::read)]
    expires: Option<Expiry>,
}

/// Until when a key is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expiry {
    Never,
    At(Moment),
}

pub(super) fn create(context: &Context, args: &Create) -> Outcome {
    let now = wall_ms();
    let expires_ms = args.expires.after(now)?;
    let mut metadata = BTreeMap::new();
    let fixed = [
        (Aspect::Organisation, &args.organisation),
        (Aspect::Team, &args.team),
        (Aspect::Project, &args.project),
        (Aspect::Customer, &args.customer),
        (Aspect::User, &args.user),
    ];
    let fixed =
        fixed.into_iter().filter_map(|(aspect, value)| Some((aspect.code().to_owned(), value.clone()?)));
    for (name, value) in args.metadata.iter().cloned().chain(fixed) {
        check_metadata(&name, &value)
            .map_err(|wrong| Failure::new(format!("{}: {wrong}", printable(&name))))?;
        if metadata.contains_key(&name) {
            return Err(Failure::new(format!("--meta {}: given twice", printable(&name))));
        }
        metadata.insert(name, value);
    }
    let settings = Settings::read(context.config.as_deref())?;
    let installation = Installation::open(&settings.config)?;
    let (secret, hint) = new_key()?;
    let key = Key {
        id: new_key_id()?,
        name: args.name.as_str().into(),
        hint,
        hash: installation.hasher.hash(secret.expose()),
        created_ms: now,
        expires_ms,
        revoked_ms: None,
        models: args.models.clone(),
        metadata,
    };
    installation.store.add(&key)?;
    show::once(context, &key, &secret, now);
    Ok(())
}

pub(super) fn rotate(context: &Context, args: &Rotate) -> Outcome {
    let now = wall_ms();
    let expiry = args.expires.map(|expiry| expiry.after(now)).transpose()?;
    let installation = Installation::open(&existing::settings(context)?.config)?;
    let mut key = find(&installation.store.keys()?, &args.key, now)?.clone();
    if let Some(expires_ms) = expiry {
        key.expires_ms = expires_ms;
    }
    may_rotate(&key, now).map_err(Failure::new)?;
    let (secret, hint) = new_key()?;
    key.hint = hint;
    key.hash = installation.hasher.hash(secret.expose());
    update(&*installation.store, &key)?;
    show::once(context, &key, &secret, now);
    Ok(())
}

// === arguments ===

impl Expiry {
    fn read(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self::Never);
        }
        Moment::read(text).map(Self::At).map_err(|accepted| format!("{accepted}, or never"))
    }

    fn after(self, now: u64) -> Result<Option<u64>, Failure> {
        let Self::At(moment) = self else { return Ok(None) };
        match moment.coming(now) {
            at if at > now => Ok(Some(at)),
            _ => Err(Failure::new("--expires: that time is over already")),
        }
    }
}

fn name(text: &str) -> Result<String, String> {
    check_name(text).map(|()| text.to_owned())
}

fn pattern(text: &str) -> Result<String, String> {
    check_pattern(text).map(|()| text.to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_lies_ahead() {
        assert_eq!(Expiry::read("never").unwrap().after(5).unwrap(), None);
        assert_eq!(Expiry::read("10s").unwrap().after(5).unwrap(), Some(10_005));
        assert!(Expiry::read("0s").unwrap().after(5).is_err());
        assert!(Expiry::read("2001-01-01").unwrap().after(1_790_000_000_000).is_err());
        assert!(Expiry::read("soon").is_err());
    }

    #[test]
    fn metadata_is_a_pair() {
        assert_eq!(pair("team=a=b").unwrap(), ("team".to_owned(), "a=b".to_owned()));
        assert!(pair("team").is_err() && pair("=x").is_err());
    }
}
