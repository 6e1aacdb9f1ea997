//! `lockgate demo-upstream`: a provider that needs no network, and misbehaves on demand.

use lockgate_demo::{Fault, Injection, Options, Pace, serve};

use super::Context;
use crate::exit::{Failure, Outcome};
use crate::nearest::did_you_mean;
use crate::terminal::{say, say_json};

/// Serve a demo provider that speaks the OpenAI dialect, with every fault on demand.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate demo-upstream\n  lockgate demo-upstream --instant --fault 'stall@3;delay_ms=5000'\n  lockgate demo-upstream --fault 'status-429-retry-after;retry_after=7;rate=0.25'\n  lockgate demo-upstream --list-faults\n\nA fault is NAME, NAME@K (after K content events), or either with members: after=K, delay_ms=N, retry_after=SECONDS,\ncount=N (so many requests), rate=SHARE (0 to 1). While it serves: POST /control?fault=NAME sets one, fault=none heals,\nthe header x-demo-fault strikes one request, GET /stats counts.\nWith --json one document: {\"base_url\": ..., \"fault\": ...}, or {\"faults\": [{\"name\", \"about\"}]}."
)]
pub(crate) struct Args {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4199")]
    listen: String,
    /// What goes wrong, from the start.
    #[arg(long, value_name = "FAULT", value_parser = fault)]
    fault: Option<Order>,
    /// Answer at once instead of at a believable pace.
    #[arg(long)]
    instant: bool,
    /// List the faults and stop.
    #[arg(long)]
    list_faults: bool,
}

/// A fault as ordered; `none` orders none.
#[derive(Clone, Debug)]
struct Order(Option<Injection>);

pub(crate) fn run(context: &Context, args: Args) -> Outcome {
    if args.list_faults {
        list(context);
        return Ok(());
    }
    let fault = args.fault.and_then(|order| order.0);
    let pace = if args.instant { Pace::INSTANT } else { Pace::default() };
    let options = Options { pace, fault: fault.clone(), ..Options::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(&args.listen)
            .await
            .map_err(|error| Failure::new(format!("cannot listen on {}: {error}", args.listen)))?;
        announce(context, &format!("http://{}/v1", listener.local_addr()?), fault.as_ref());
        serve(listener, options).await?;
        Ok(())
    })
}

fn announce(context: &Context, base_url: &str, fault: Option<&Injection>) {
    let fault = fault.map(|injection| injection.fault.name());
    if context.json {
        say_json(&serde_json::json!({ "base_url": base_url, "fault": fault }));
        return;
    }
    say(&format!("The demo provider serves {base_url}; fault: {}", fault.unwrap_or("none")));
    say("\nTry it:\n");
    say(&format!(
        "curl {base_url}/chat/completions -H 'Content-Type: application/json' \\\n  -d '{{\"model\": \"chat\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'\n"
    ));
}

fn list(context: &Context) {
    if context.json {
        let faults: Vec<_> = Fault::ALL
            .iter()
            .map(|fault| serde_json::json!({ "name": fault.name(), "about": fault.about() }))
            .collect();
        say_json(&serde_json::json!({ "faults": faults }));
        return;
    }
    for fault in Fault::ALL {
        say(&format!("{:<24}{}", fault.name(), fault.about()));
    }
}

fn fault(text: &str) -> Result<Order, String> {
    Injection::parse(text).map(Order).map_err(|message| {
        let name = text.split([';', '@']).next().unwrap_or_default().trim();
        let is_known = name == "none" || Fault::named(name).is_some();
        if is_known {
            return message;
        }
        let hint = did_you_mean(name, Fault::ALL.iter().map(|fault| fault.name()));
        format!("there is no fault {name:?}{hint} (--list-faults lists them)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_and_a_mistake_in_it_is_named() {
        assert!(fault("stall@3;delay_ms=40").unwrap().0.is_some());
        assert!(fault("none").unwrap().0.is_none());
        assert!(fault("statuss-429").unwrap_err().contains("did you mean \"status-429\"?"));
        assert!(fault("stall;rate=2").unwrap_err().contains("rate must be"));
    }
}
