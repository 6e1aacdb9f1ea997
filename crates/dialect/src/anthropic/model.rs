//! What a model's name says of what it takes. The provider refuses some members by the model's generation; a request that
//! comes from another dialect cannot know that.

/// A model as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    family: Family,
    /// The generation, 4.5 as 405; `None` for a name that is not of Claude.
    generation: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Opus,
    /// Models that think whatever they are told.
    Always,
    Other,
}

// === impl Model ===

impl Model {
    pub(crate) fn of(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let Some(at) = name.find("claude") else {
            return Self { family: Family::Other, generation: None };
        };
        let (mut family, mut major, mut minor) = (Family::Other, None, None);
        let mut behind_major = false;
        for word in
            name.get(at + "claude".len()..).unwrap_or_default().split(|c: char| !c.is_ascii_alphanumeric())
        {
            // Longer numbers are dates.
            let number = if word.len() <= 2 { word.parse::<u32>().ok() } else { None };
            match word {
                "opus" => family = Family::Opus,
                "fable" | "mythos" => family = Family::Always,
                _ => {}
            }
            match (major, number) {
                (None, Some(_)) => {
                    major = number;
                    behind_major = true;
                    continue;
                }
                (Some(_), Some(_)) if behind_major => minor = number,
                _ => {}
            }
            behind_major = false;
        }
        Self { family, generation: major.map(|major| major * 100 + minor.unwrap_or(0)) }
    }

    fn at_least(self, generation: u32) -> bool {
        self.generation.is_some_and(|own| own >= generation)
    }

    /// Whether its name says nothing.
    pub(crate) fn is_unknown(self) -> bool {
        self.generation.is_none()
    }

    /// Whether it can think. What is not known may.
    pub(crate) fn thinks(self) -> bool {
        self.generation.is_none() || self.at_least(307)
    }

    /// Whether it cannot be told not to think.
    pub(crate) fn always_thinks(self) -> bool {
        self.family == Family::Always
    }

    /// Whether it may decide itself how much to think.
    pub(crate) fn adaptive(self) -> bool {
        self.at_least(406)
    }

    /// Whether it takes no budget for thinking, and no sampling parameters.
    pub(crate) fn adaptive_only(self) -> bool {
        self.at_least(407)
    }

    /// Whether it refuses `temperature` and `top_p` together.
    pub(crate) fn one_of_sampling(self) -> bool {
        self.at_least(405) || (self.family == Family::Opus && self.at_least(401))
    }

    /// Whether it knows this level of effort.
    pub(crate) fn takes_effort(self, level: &str) -> bool {
        match level {
            "xhigh" => self.generation.is_none() || self.at_least(407),
            "max" => self.generation.is_none() || self.at_least(406),
            _ => true,
        }
    }

    /// Whether it takes strict tools.
    pub(crate) fn takes_strict_tools(self) -> bool {
        self.generation.is_none() || self.at_least(405) || (self.family == Family::Opus && self.at_least(401))
    }

    /// Whether it takes messages of the system between the others.
    pub(crate) fn system_in_place(self) -> bool {
        self.at_least(408)
    }

    /// Whether it goes on with an answer that the request ends with. Later ones refuse such a request.
    pub(crate) fn prefills(self) -> bool {
        self.generation.is_some() && !self.at_least(406)
    }

    /// The output tokens to ask for where the client names none: the dialect demands a number.
    pub(crate) fn usual_output(self) -> u64 {
        match self.generation {
            None | Some(305..=306) => 8_192,
            Some(..305) => 4_096,
            Some(400..=401) if self.family == Family::Opus => 32_000,
            Some(_) => 64_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_generations_out_of_names() {
        for (name, generation) in [
            ("claude-opus-4-7", Some(407)),
            ("anthropic/claude-haiku-4.5", Some(405)),
            ("claude-3-5-sonnet-20241022", Some(305)),
            ("claude-3-haiku-20240307", Some(300)),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Some(405)),
            ("anthropic.claude-sonnet-4-20250514-v1:0", Some(400)),
            ("claude-3-7-sonnet@20250219", Some(307)),
            ("claude-sonnet-5", Some(500)),
            ("claude-fable-5", Some(500)),
            ("claude-opus-4-0", Some(400)),
            ("claude-2.1", Some(201)),
            ("kimi-k2-thinking", None),
            ("claude", None),
        ] {
            assert_eq!(Model::of(name).generation, generation, "{name}");
        }
    }

    #[test]
    fn what_a_model_takes_follows_from_its_generation() {
        let old = Model::of("claude-3-5-haiku-latest");
        assert!(!old.thinks() && !old.adaptive());
        let middle = Model::of("claude-sonnet-4-5");
        assert!(middle.thinks() && !middle.adaptive() && middle.one_of_sampling());
        let new = Model::of("claude-opus-4-8");
        assert!(new.adaptive_only() && new.system_in_place() && new.takes_effort("xhigh"));
        assert!(Model::of("claude-fable-5").always_thinks());
        let unknown = Model::of("MiniMax-M2");
        assert!(unknown.thinks() && !unknown.adaptive() && !unknown.one_of_sampling());
        assert_eq!((old.usual_output(), new.usual_output(), unknown.usual_output()), (8_192, 64_000, 8_192));
    }
}
