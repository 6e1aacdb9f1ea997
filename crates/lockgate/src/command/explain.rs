//! `lockgate explain`: one request, from the name it asked for to its end.

mod draw;

use lockgate_core::RequestId;
use lockgate_core::port::RecordStore as _;

use super::Context;
use crate::existing;
use crate::exit::{Failure, Outcome};
use crate::paint::Paint;
use crate::terminal::{say, say_json};

/// Show what became of a request, and why.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lockgate explain req_01k5qz6v8h3m9x2c7r4t0w1y5b\n  lockgate explain --json $(lockgate logs --limit 1 --outcome error --json | jq -r .id)\n\nThe id is in the header x-lockgate-request-id of every answer, and in `lockgate logs`.\nWith --json the record as one document; times are microseconds since the arrival, costs are nano-dollars.\nExit codes: 0 shown, 4 no request of this id is recorded (one is when it has ended)."
)]
pub(crate) struct Args {
    /// The request's id: req_ and 26 characters.
    #[arg(value_name = "ID", value_parser = id)]
    id: RequestId,
}

pub(crate) fn run(context: &Context, args: &Args) -> Outcome {
    let Some(record) = existing::store(context)?.get(args.id)? else {
        return Err(Failure::not_found(format!(
            "no request {} is recorded; a request is recorded when it has ended, and forgotten after records.retention",
            args.id
        )));
    };
    if context.json {
        say_json(&record);
    } else {
        say(&draw::draw(&record, Paint::detect()));
    }
    Ok(())
}

fn id(text: &str) -> Result<RequestId, String> {
    text.parse().map_err(|_| "a request id is req_ and 26 digits and small letters".to_owned())
}
