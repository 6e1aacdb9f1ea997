//! What is filled in for the blanks of a profile's addresses.

use lockgate_config::Provider;

use crate::profile::{Blank, Profile};

/// The blanks of a profile, and what stands in them.
pub(crate) struct Blanks(Vec<(Blank, Option<String>)>);

// === impl Blanks ===

impl Blanks {
    /// Fills in what the config says, else the environment, else the default.
    ///
    /// # Errors
    /// A setting that the profile has no blank for, or a value that cannot be a part of an address.
    pub(crate) fn of(
        profile: &Profile,
        provider: &Provider,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let settings = [
            ("region", &provider.region),
            ("project", &provider.project),
            ("resource", &provider.resource),
            ("account", &provider.account),
        ];
        for (name, value) in settings {
            // Where a provider works matters to routes, whether its address says so or not.
            if name != "region" && value.is_some() && !profile.blanks.iter().any(|blank| blank.name == name) {
                return Err(format!("{name} is no part of the address of this type"));
            }
        }
        let mut filled = Vec::new();
        for blank in profile.blanks {
            let set =
                settings.iter().find(|(name, _)| *name == blank.name).and_then(|(_, value)| value.as_ref());
            let value = match set {
                Some(value) => Some(good(blank.name, value, profile)?),
                None => match blank.env.iter().find_map(|name| Some((*name, env(name)?))) {
                    Some((name, value)) => Some(good(name, &value, profile)?),
                    None => blank.default.map(str::to_owned),
                },
            };
            filled.push((*blank, value));
        }
        Ok(Self(filled))
    }

    /// Fills in a blank that is still empty.
    pub(crate) fn offer(&mut self, name: &str, value: &str) {
        if let Some((_, empty)) =
            self.0.iter_mut().find(|(blank, value)| blank.name == name && value.is_none())
        {
            *empty = Some(value.to_owned());
        }
    }

    /// What stands in a blank.
    ///
    /// # Errors
    /// When nothing does: how to say it.
    pub(crate) fn get(&self, name: &str) -> Result<&str, String> {
        match self.0.iter().find(|(blank, _)| blank.name == name) {
            Some((_, Some(value))) => Ok(value),
            Some((blank, None)) => {
                Err(format!("no {name}: set it, or one of {} in the environment", blank.env.join(", ")))
            }
            None => Err(format!("there is no {name} in the address of this type")),
        }
    }

    /// A template with its blanks filled in; `{model}` stays.
    ///
    /// # Errors
    /// As [`Blanks::get`].
    pub(crate) fn fill(&self, template: &str) -> Result<String, String> {
        self.0.iter().try_fold(template.to_owned(), |text, (blank, _)| {
            let hole = format!("{{{}}}", blank.name);
            if text.contains(&hole) { Ok(text.replace(&hole, self.get(blank.name)?)) } else { Ok(text) }
        })
    }
}

/// A value without the parts of an address that people write around it: `https://x.openai.azure.com/` is `x` where
/// `.openai.azure.com` follows anyway.
fn good(name: &str, value: &str, profile: &Profile) -> Result<String, String> {
    let value = value.trim();
    let value = value.strip_prefix("https://").unwrap_or(value).trim_end_matches('/');
    let after = profile.base_url.split_once('}').and_then(|(_, rest)| rest.split('/').next()).unwrap_or("");
    let value = value.strip_suffix(after).unwrap_or(value);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    if value.is_empty() || value.len() > 128 || !value.bytes().all(fits) || value.starts_with(['.', ':']) {
        return Err(format!(
            "{name} cannot be a part of an address: letters, digits, \"-\", \".\" and \"_\" can"
        ));
    }
    Ok(value.to_owned())
}
