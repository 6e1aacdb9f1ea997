//! What somebody probably meant.

/// The hint `; did you mean "NAME"?`, or nothing when no candidate looks like what was written.
pub(crate) fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    const ALIKE: f64 = 0.6;
    const LONGEST: usize = 128;
    let lower = written.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| written.len() <= LONGEST && candidate.len() <= LONGEST)
        .map(|candidate| {
            (strsim::normalized_damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate)
        })
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, candidate)| {
            format!("; did you mean \"{}\"?", crate::table::printable(candidate))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_what_is_alike() {
        let names = ["support-bot", "ci", "search"];
        assert_eq!(did_you_mean("suport-bot", names), "; did you mean \"support-bot\"?");
        assert_eq!(did_you_mean("billing", names), "");
    }
}
