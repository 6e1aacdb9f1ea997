//! The request as a provider gets it.

use bytes::Bytes;
use lockgate_core::Error;

use super::super::NAME;
use super::super::json::Object;
use super::{contents, invalid, settings, tools};
use crate::neutral::{Native, Request, Tool};
use crate::{Losses, Target};

/// Writes all of a request.
pub(in super::super) fn write(
    request: &Request,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Bytes, Error> {
    let mut out = Vec::with_capacity(4_096);
    let mut body = Object::new(&mut out);
    if !contents::write(request, target, losses, &mut body) {
        return Err(invalid("messages", "No message of the request says anything that Gemini can be told."));
    }
    tools::write(request, target, losses, &mut body);
    settings::write(request, target, losses, &mut body);
    match request.service_tier.as_deref() {
        None | Some("auto" | "default") => {}
        Some(tier @ ("standard" | "flex" | "priority")) => body.text("serviceTier", tier),
        Some(_) => losses.lose("service_tier", "unknown to Gemini"),
    }
    for native in &request.native {
        if native.dialect != NAME {
            losses.lose(native.name.clone(), "known to another dialect only");
        } else if is_top(native) {
            body.any_key(&native.name).extend_from_slice(native.json.get().as_bytes());
        }
    }
    body.end();
    unsaid(request, losses);
    Ok(out.into())
}

/// Whether it is a member of the request itself and not of one of its members.
fn is_top(native: &Native) -> bool {
    native.name != "functionDeclarations"
        && !native.name.starts_with("generationConfig.")
        && !native.name.starts_with("toolConfig.")
}

/// What Gemini has no word for.
fn unsaid(request: &Request, losses: &mut Losses) {
    let none = "Gemini has no such member";
    for (name, there) in [
        ("user", request.user.is_some()),
        ("prompt_cache_key", request.cache_key.is_some()),
        ("verbosity", request.verbosity.is_some()),
        ("metadata", request.metadata.is_some()),
    ] {
        if there {
            losses.lose(name, none);
        }
    }
    if request.tools.iter().any(|tool| matches!(tool, Tool::Custom(custom) if custom.format.is_some())) {
        losses.lose("tools.custom.format", none);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
