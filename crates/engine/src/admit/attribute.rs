//! On whose behalf a request runs.
//!
//! What the metadata of the key fixes cannot be overridden. Otherwise the first that says something counts: the gateway's own
//! header, a header of the field (LiteLLM's, Portkey's, Bifrost's), `metadata` of the body, and for the user the body's `user`
//! or `safety_identifier`. The body goes on as it came.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use lockgate_core::{Aspect, Attribution, Error, Kind, Payload, Principal};
use serde_json::{Map, Value as Json};

/// What clients may say of whom a request is for, and what they must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What a client may say where its key does not fix it, by the number of the aspect.
    open: [bool; Aspect::ALL.len()],
    /// Without these a request is refused.
    required: Vec<Aspect>,
}

/// How a header of the field says something.
#[derive(Clone, Copy)]
enum Form {
    /// Its value is the value.
    Plain(Aspect),
    /// Its value is a JSON object, by the names of [`MEMBERS`].
    Object,
}

/// The longest value of an aspect, in bytes.
const LONGEST: usize = 256;
/// The longest JSON object that is looked into, in bytes. OpenAI's `metadata` has at most 9 KiB.
const LONGEST_OBJECT: usize = 16 << 10;
/// The most tags of one request.
const MOST_TAGS: usize = 32;

/// How the headers of the gateways of the field begin.
const FIELD: [&str; 3] = ["x-litellm-", "x-portkey-", "x-bf-"];
/// Those that say on whose behalf, the more important ones first.
const ALIASES: [(&str, Form); 12] = [
    ("x-litellm-customer-id", Form::Plain(Aspect::Customer)),
    ("x-litellm-end-user-id", Form::Plain(Aspect::User)),
    ("x-litellm-session-id", Form::Plain(Aspect::Session)),
    ("x-litellm-tags", Form::Plain(Aspect::Tags)),
    ("x-litellm-spend-logs-metadata", Form::Object),
    ("x-portkey-metadata", Form::Object),
    ("x-bf-customer-id", Form::Plain(Aspect::Customer)),
    ("x-bf-customer-name", Form::Plain(Aspect::Customer)),
    ("x-bf-project-id", Form::Plain(Aspect::Project)),
    ("x-bf-project-name", Form::Plain(Aspect::Project)),
    ("x-bf-session-id", Form::Plain(Aspect::Session)),
    // Bifrost's own dimensions, by the names of the members.
    (BIFROST_DIMENSIONS, Form::Object),
];
const BIFROST_DIMENSIONS: &str = "x-bf-dim-";

/// What the members of an object are called that say on whose behalf, the more important names first.
const MEMBERS: [(&str, Aspect); 15] = [
    ("organisation", Aspect::Organisation),
    ("organization", Aspect::Organisation),
    ("team", Aspect::Team),
    ("project", Aspect::Project),
    ("project_id", Aspect::Project),
    ("customer", Aspect::Customer),
    ("customer_id", Aspect::Customer),
    ("user_id", Aspect::User),
    ("user", Aspect::User),
    // Portkey's.
    ("_user", Aspect::User),
    ("_organisation", Aspect::Organisation),
    ("feature", Aspect::Feature),
    ("session_id", Aspect::Session),
    ("session", Aspect::Session),
    ("tags", Aspect::Tags),
];
/// Members of a body that hold such an object: everybody's, LiteLLM's.
const OBJECTS: [&str; 2] = ["metadata", "litellm_metadata"];
/// Members of a body that name the user: OpenAI's, the old and the new.
const USERS: [&str; 2] = ["user", "safety_identifier"];

/// The attribution of a request, complete as the rules want it. `payload` is its body, where that has members.
///
/// # Errors
/// `InvalidRequest` when a header cannot be read, or something is missing that the rules require.
pub fn attribute(
    rules: &Rules,
    principal: &Principal,
    headers: &HeaderMap,
    payload: Option<&Payload>,
) -> Result<Attribution, Error> {
    let attribution = said(rules, principal, headers, payload)?;
    rules.check(&attribution)?;
    Ok(attribution)
}

/// The attribution of a request, as far as it says something.
///
/// # Errors
/// `InvalidRequest` when a header is not visible text, is too long, or should hold a JSON object and does not.
pub fn said(
    rules: &Rules,
    principal: &Principal,
    headers: &HeaderMap,
    payload: Option<&Payload>,
) -> Result<Attribution, Error> {
    let mut gathered = Gathered::of(rules, principal);
    for aspect in Aspect::ALL {
        if gathered.wants(*aspect)
            && let Some(text) = text(headers, aspect.header(), LONGEST)?
        {
            gathered.take(*aspect, text);
        }
    }
    // Most requests have no header of another gateway, so one pass answers for all of them.
    if headers.keys().any(|name| FIELD.iter().any(|start| name.as_str().starts_with(start))) {
        aliases(&mut gathered, headers)?;
    }
    if let Some(payload) = payload {
        for name in OBJECTS {
            let object = payload.get(name).filter(|bytes| bytes.len() <= LONGEST_OBJECT);
            if let Some(Ok(object)) = object.map(serde_json::from_slice) {
                gathered.take_object(&object);
            }
        }
        for name in USERS {
            if gathered.wants(Aspect::User)
                && let Some(user) = payload.text(name)
            {
                gathered.take(Aspect::User, &user);
            }
        }
    }
    Ok(gathered.attribution)
}

/// What the key alone says.
pub fn fixed(principal: &Principal) -> Attribution {
    Gathered::of(&Rules { open: [false; Aspect::ALL.len()], required: Vec::new() }, principal).attribution
}

fn aliases(gathered: &mut Gathered, headers: &HeaderMap) -> Result<(), Error> {
    for (name, form) in ALIASES {
        match form {
            Form::Plain(aspect) if gathered.wants(aspect) => {
                if let Some(text) = text(headers, name, LONGEST)? {
                    gathered.take(aspect, text);
                }
            }
            Form::Plain(_) => {}
            Form::Object if name == BIFROST_DIMENSIONS => {
                for (member, aspect) in MEMBERS {
                    let wanted = gathered.wants(aspect);
                    let found = headers.keys().find(|name| dimension(name) == Some(member));
                    if let Some(name) = found.filter(|_| wanted)
                        && let Some(text) = text(headers, name.as_str(), LONGEST)?
                    {
                        gathered.take(aspect, text);
                    }
                }
            }
            Form::Object => {
                if let Some(text) = text(headers, name, LONGEST_OBJECT)? {
                    let object = serde_json::from_str(text).map_err(|_| {
                        let text = format!("The header \"{name}\" must be a JSON object.");
                        Error::client(Kind::InvalidRequest, text).param(name)
                    })?;
                    gathered.take_object(&object);
                }
            }
        }
    }
    Ok(())
}

/// The dimension that a header of Bifrost's names.
fn dimension(name: &HeaderName) -> Option<&str> {
    name.as_str().strip_prefix(BIFROST_DIMENSIONS)
}

// === gathering ===

/// What was found so far. Nothing that is there is replaced.
struct Gathered {
    attribution: Attribution,
    /// Whether a client may still say it, by the number of the aspect.
    open: [bool; Aspect::ALL.len()],
}

impl Gathered {
    /// What the key fixes.
    fn of(rules: &Rules, principal: &Principal) -> Self {
        let mut gathered = Self { attribution: Attribution::default(), open: [true; Aspect::ALL.len()] };
        for aspect in Aspect::ALL.iter().filter(|aspect| aspect.can_be_fixed()) {
            if let Some(value) = principal.key.metadata.get(aspect.code()) {
                gathered.take(*aspect, value);
                // Also where the operator fixed it to nothing.
                gathered.open[*aspect as usize] = false;
            }
        }
        for (open, rule) in gathered.open.iter_mut().zip(rules.open) {
            *open &= rule;
        }
        gathered
    }

    /// Whether a value of this aspect is still looked for.
    fn wants(&self, aspect: Aspect) -> bool {
        self.open[aspect as usize] && !self.attribution.has(aspect)
    }

    /// Takes a value that a header or a member holds, if it fits; of tags a list with commas.
    fn take(&mut self, aspect: Aspect, value: &str) {
        match self.attribution.place(aspect) {
            Some(place) if fits(value) => *place = Some(value.into()),
            Some(_) => {}
            None => self.take_tags(value.split(',')),
        }
    }

    fn take_tags<'a>(&mut self, tags: impl Iterator<Item = &'a str>) {
        let tags = tags.map(str::trim).filter(|tag| fits(tag)).take(MOST_TAGS);
        self.attribution.tags = tags.map(Arc::from).collect();
    }

    /// Takes what the members of an object say. Other members are not ours to judge.
    fn take_object(&mut self, object: &Map<String, Json>) {
        for (name, aspect) in MEMBERS {
            if !self.wants(aspect) {
                continue;
            }
            match object.get(name) {
                Some(Json::String(text)) => self.take(aspect, text.trim()),
                Some(Json::Array(tags)) if aspect == Aspect::Tags => {
                    self.take_tags(tags.iter().filter_map(Json::as_str));
                }
                _ => {}
            }
        }
    }
}

fn fits(value: &str) -> bool {
    !value.is_empty() && value.len() <= LONGEST
}

fn text<'a>(headers: &'a HeaderMap, name: &str, longest: usize) -> Result<Option<&'a str>, Error> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    match value.to_str() {
        Ok(text) if text.len() <= longest => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        _ => Err(Error::client(
            Kind::InvalidRequest,
            format!("The header \"{name}\" must be visible ASCII text of at most {longest} bytes."),
        )
        .param(name.to_owned())),
    }
}

// === impl Rules ===

impl Rules {
    /// What clients may say unless a rule says otherwise. Team and organisation are the key's to say: who may claim a team
    /// has its rights and spends its money.
    pub const USUAL: [Aspect; 6] =
        [Aspect::Project, Aspect::Customer, Aspect::User, Aspect::Feature, Aspect::Session, Aspect::Tags];

    /// Clients may say this, and must say or have a key that says that.
    pub fn new(from_client: &[Aspect], required: &[Aspect]) -> Self {
        let mut open = [false; Aspect::ALL.len()];
        for aspect in from_client {
            open[*aspect as usize] = true;
        }
        Self { open, required: required.to_vec() }
    }

    /// Whether a client may say it, where its key does not.
    pub const fn lets_client_say(&self, aspect: Aspect) -> bool {
        self.open[aspect as usize]
    }

    /// Refuses what lacks something.
    ///
    /// # Errors
    /// `InvalidRequest` that names all that is missing and how to send it.
    pub fn check(&self, attribution: &Attribution) -> Result<(), Error> {
        let missing: Vec<Aspect> =
            self.required.iter().copied().filter(|aspect| !attribution.has(*aspect)).collect();
        let Some(first) = missing.first() else { return Ok(()) };
        let each = missing.iter().map(|aspect| {
            let (name, header) = (aspect.code(), aspect.header());
            if self.lets_client_say(*aspect) {
                format!(
                    "\"{name}\" is missing: send it in the header \"{header}\", or as \"{name}\" in \"metadata\" of the body"
                )
            } else {
                format!("\"{name}\" is missing: the API key must fix it, so ask for a key whose metadata has it")
            }
        });
        let text = format!(
            "Requests to this gateway must say on whose behalf they run; {}.",
            each.collect::<Vec<_>>().join("; ")
        );
        Err(Error::client(Kind::InvalidRequest, text).param(first.header()))
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::new(&Self::USUAL, &[])
    }
}

#[cfg(test)]
mod tests;
