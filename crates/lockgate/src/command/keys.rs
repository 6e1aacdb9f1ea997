//! `lockgate keys`: virtual keys made, listed, taken back, renewed.

mod make;
mod show;

use lockgate_core::Key;
use lockgate_core::key::{self, KeyState, PREFIX, Shown};
use lockgate_core::port::KeyStore;

use self::make::{Create, Rotate};
use super::Context;
use crate::assemble::SystemClock;
use crate::existing;
use crate::exit::{Failure, Outcome};
use crate::nearest::did_you_mean;
use crate::table::printable;
use crate::terminal::{say, say_json};

/// Make, list, revoke and rotate the keys that applications show to the gateway.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate keys create --name checkout --model support-bot --expires 90d\n  lockgate keys list\n  lockgate keys rotate checkout\n  lockgate keys revoke checkout\n\nA running gateway knows of a change within a second."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    Create(Create),
    List(List),
    Revoke(Revoke),
    Rotate(Rotate),
}

/// List the keys; never what they open with, which nobody knows.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate keys list\n  lockgate keys list --all --json | jq -r '.keys[] | select(.state == \"revoked\") | .name'\n\nWith --json one document: {\"keys\": [{\"id\", \"name\", \"hint\", \"created_ms\", \"expires_ms\", \"revoked_ms\", \"models\",\n\"metadata\", \"state\"}]}; times are Unix milliseconds, state is active, expired or revoked."
)]
struct List {
    /// The revoked ones too.
    #[arg(long)]
    all: bool,
}

/// Take a key back, at once and for good.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate keys revoke checkout\n  lockgate keys revoke key_0123456789abcdef --json\n\nWith --json the key as in `lockgate keys list --json`. Its name is free for a new key then.\nExit codes: 0 it is revoked, also when it was before; 4 there is no such key."
)]
struct Revoke {
    /// The key's id or name.
    #[arg(value_name = "ID|NAME")]
    key: String,
}

pub(crate) fn run(context: &Context, args: &Args) -> Outcome {
    match &args.action {
        Action::Create(create) => make::create(context, create),
        Action::List(list) => run_list(context, list),
        Action::Revoke(revoke) => run_revoke(context, revoke),
        Action::Rotate(rotate) => make::rotate(context, rotate),
    }
}

fn run_list(context: &Context, args: &List) -> Outcome {
    let keys = existing::store(context)?.keys()?;
    let now = wall_ms();
    let wanted: Vec<&Key> =
        keys.iter().filter(|key| args.all || key.state(now) != KeyState::Revoked).collect();
    if context.json {
        let keys: Vec<_> = wanted.iter().map(|key| Shown::new(key, now)).collect();
        say_json(&serde_json::json!({ "keys": keys }));
    } else if wanted.is_empty() {
        say("There are no keys. Make one: lockgate keys create --name NAME");
    } else {
        show::table(&wanted, now);
    }
    Ok(())
}

fn run_revoke(context: &Context, args: &Revoke) -> Outcome {
    let store = existing::store(context)?;
    let keys = store.keys()?;
    let now = wall_ms();
    let mut key = find(&keys, &args.key, now)?.clone();
    let was_revoked = key.state(now) == KeyState::Revoked;
    if !was_revoked {
        key.revoked_ms = Some(now);
        update(&*store, &key)?;
    }
    if context.json {
        say_json(&Shown::new(&key, now));
    } else if was_revoked {
        say(&format!("The key \"{}\" ({}) was revoked before.", printable(&key.name), key.id));
    } else {
        say(&format!(
            "The key \"{}\" ({}) is revoked. A running gateway refuses it within a second.",
            printable(&key.name),
            key.id
        ));
    }
    Ok(())
}

/// The key of this id, else the one of this name that is not revoked, else the last one of this name.
///
/// # Errors
/// Not found, with what was probably meant.
fn find<'k>(keys: &'k [Key], named: &str, now: u64) -> Result<&'k Key, Failure> {
    // It would end up in histories and in our own message.
    if named.starts_with(PREFIX) {
        return Err(Failure::new(
            "a key is named by its id or its name, not by the secret itself: \
             `lockgate keys list` shows the last four characters of each",
        ));
    }
    let in_use = |key: &&Key| key.state(now) != KeyState::Revoked;
    key::find(keys, named, now).ok_or_else(|| {
        let known = keys.iter().filter(in_use).flat_map(|key| [&*key.name, &*key.id]);
        Failure::not_found(format!("there is no key \"{}\"{}", printable(named), did_you_mean(named, known)))
    })
}

fn update(store: &dyn KeyStore, key: &Key) -> Outcome {
    if store.update(key)? {
        Ok(())
    } else {
        Err(Failure::not_found(format!("the key {} is no longer there", key.id)))
    }
}

fn wall_ms() -> u64 {
    use lockgate_core::Clock as _;
    SystemClock::start().wall_ms()
}
