//! `lockgate alerts`: what people were told, and whether they can be told.

mod gateway;

use std::sync::Arc;
use std::time::Duration;

use lockgate_core::Clock;
use lockgate_engine::alert::test_digest;
use serde_json::{Value, json};

use super::Context;
use crate::assemble::SystemClock;
use crate::exit::{Failure, Outcome};
use crate::notices;
use crate::settings::Settings;
use crate::table::printable;
use crate::terminal::{say, say_json};

/// Tell people what goes wrong or gets dear: try the channels, see what was delivered.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate alerts test\n  lockgate alerts test on-call\n  lockgate alerts list\n\nWho is told what is set in the config, under alerts."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    List(List),
    Test(Test),
}

/// List the latest messages of a running gateway with every try to deliver them, the newest first.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate alerts list\n  lockgate alerts list --url http://127.0.0.1:4100 --json\n\nThe gateway is asked, with the admin token of the config or of LOCKGATE_ADMIN_TOKEN. It keeps the latest 200 since its start.\nWith --json one document, as GET /api/v1/alerts answers."
)]
struct List {
    /// Where the gateway is. Without it: where the config says that it listens.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Send a test message by one channel or by all, and say what came back. Needs no running gateway.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate alerts test\n  lockgate alerts test on-call --json\n\nExit codes: 0 every channel took it, 1 one did not, 4 there is no such channel."
)]
struct Test {
    /// The channel's name in the config. Without it: all of them.
    #[arg(value_name = "CHANNEL")]
    channel: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Outcome {
    let settings = Settings::read(context.config.as_deref())?;
    match &args.action {
        Action::List(args) => list(context, &settings, args),
        Action::Test(args) => test(context, &settings, args),
    }
}

fn list(context: &Context, settings: &Settings, args: &List) -> Outcome {
    let answer = gateway::get(settings, args.url.as_deref(), "/api/v1/alerts")?;
    if context.json {
        say_json(&answer);
        return Ok(());
    }
    let deliveries = answer["deliveries"].as_array().map_or(&[][..], Vec::as_slice);
    if deliveries.is_empty() {
        say(if answer["configured"] == json!(true) {
            "Nothing was told since the gateway started."
        } else {
            "Nobody is told anything: the config has no alerts.channels."
        });
    }
    for delivery in deliveries {
        let word = |value: &Value| printable(value.as_str().unwrap_or_default());
        say(&format!(
            "{}  {}  {}  {}",
            word(&delivery["at"]),
            word(&delivery["state"]),
            word(&delivery["channel"]),
            word(&delivery["id"])
        ));
        for alert in delivery["alerts"].as_array().into_iter().flatten() {
            say(&format!("  {}: {}", word(&alert["gravity"]), word(&alert["text"])));
        }
        for tried in delivery["tries"].as_array().into_iter().flatten() {
            say(&format!(
                "  tried {}, {} ms: {}",
                word(&tried["at"]),
                tried["took_ms"],
                word(&tried["said"])
            ));
        }
    }
    Ok(())
}

fn test(context: &Context, settings: &Settings, args: &Test) -> Outcome {
    let clock: Arc<dyn Clock> = SystemClock::start();
    let channels =
        notices::channels(&settings.config, &clock).map_err(|error| Failure::config(error.public()))?;
    let wanted: Vec<_> = channels
        .iter()
        .filter(|channel| args.channel.as_deref().is_none_or(|name| name == channel.name()))
        .collect();
    if wanted.is_empty() {
        return Err(Failure::not_found(match &args.channel {
            Some(name) => {
                format!("there is no channel \"{}\" under alerts.channels in the config", printable(name))
            }
            None => "there are no channels: add one under alerts.channels in the config".to_owned(),
        }));
    }
    let digest = test_digest("the command line", clock.wall_ms());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut tests = Vec::new();
    let mut failed = 0;
    for channel in wanted {
        let began = clock.now();
        let sent = runtime.block_on(channel.send(&digest));
        let took_ms = u64::try_from(clock.now().since(began).as_millis()).unwrap_or(u64::MAX);
        let ok = sent.is_ok();
        failed += usize::from(!ok);
        let said = sent.unwrap_or_else(|error| Failure::from(error).message().to_owned());
        if !context.json {
            let word = if ok { "took it" } else { "did not take it" };
            say(&format!("{} {word} ({took_ms} ms): {}", channel.name(), printable(&said)));
        }
        tests.push(json!({ "channel": channel.name(), "ok": ok, "said": said, "took_ms": took_ms }));
    }
    runtime.shutdown_timeout(Duration::from_millis(100));
    if context.json {
        say_json(&json!({ "tests": tests }));
    }
    if failed > 0 {
        return Err(Failure::new(format!("{failed} of {} channels did not take the message", tests.len())));
    }
    Ok(())
}
