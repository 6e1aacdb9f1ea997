//! The tier that served a request, in the words of each dialect. A word that only one of them has is left out elsewhere:
//! typed clients refuse what they do not know.

/// What companies call their usual tier.
const USUAL: [&str; 4] = ["default", "standard", "standard_only", "on_demand"];

/// OpenAI's word.
pub(crate) fn openai(tier: &str) -> Option<&str> {
    word(tier, "default", &["auto", "flex", "scale", "priority", "fast"])
}

/// Anthropic's word.
pub(crate) fn anthropic(tier: &str) -> Option<&str> {
    word(tier, "standard", &["priority", "batch"])
}

/// Google's word.
pub(crate) fn gemini(tier: &str) -> Option<&str> {
    word(tier, "standard", &["unspecified", "flex", "priority"])
}

/// Amazon's word.
pub(crate) fn bedrock(tier: &str) -> Option<&str> {
    word(tier, "default", &["flex", "priority", "reserved"])
}

fn word<'t>(tier: &'t str, usual: &'t str, others: &[&str]) -> Option<&'t str> {
    if USUAL.contains(&tier) { Some(usual) } else { others.contains(&tier).then_some(tier) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_called_as_the_client_knows_it() {
        assert_eq!(openai("standard"), Some("default"));
        assert_eq!(anthropic("on_demand"), Some("standard"));
        assert_eq!(gemini("default"), Some("standard"));
        assert_eq!(bedrock("standard"), Some("default"));
        assert_eq!(openai("flex"), Some("flex"));
        assert_eq!(anthropic("flex"), None);
        assert_eq!(openai("provisioned"), None);
    }
}
