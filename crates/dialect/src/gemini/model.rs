//! What the name of a model says, and where it stands in a path.

/// Which Gemini a name stands for, as `(major, minor)`; `None` for an alias such as `gemini-flash-latest` and for other
/// models.
pub(super) fn generation(model: &str) -> Option<(u32, u32)> {
    let rest = plain(model).strip_prefix("gemini-")?;
    rest.split('-').find_map(|word| {
        let (major, minor) = word.split_once('.').unwrap_or((word, "0"));
        Some((major.parse().ok()?, minor.parse().ok()?))
    })
}

/// Whether it is known to be Gemini 3 or newer: it wants signed calls, has levels of thinking, takes media in outcomes.
pub(super) fn is_new(model: &str) -> bool {
    generation(model).is_some_and(|(major, _)| major >= 3)
}

/// Whether it is known to be older than 2.5: it does not think and knows no mode `VALIDATED`.
pub(super) fn is_old(model: &str) -> bool {
    plain(model).starts_with("gemma") || generation(model).is_some_and(|version| version < (2, 5))
}

/// The bounds of a thinking budget other than 0, and whether 0 is taken, for a model that has budgets.
pub(super) fn budgets(model: &str) -> (u64, u64, bool) {
    let name = plain(model);
    if generation(model) != Some((2, 5)) {
        return (1, 32_768, true);
    }
    if name.contains("flash-lite") {
        (512, 24_576, true)
    } else if name.contains("pro") {
        (128, 32_768, false)
    } else {
        (1, 24_576, true)
    }
}

/// The path of an operation on a model, behind a base address that ends in a version.
pub(super) fn path(model: &str, operation: &str) -> String {
    let model = model.strip_prefix("models/").unwrap_or(model);
    let (folder, name) = match model.strip_prefix("tunedModels/") {
        Some(name) => ("tunedModels", name),
        None => ("models", model),
    };
    let mut path = format!("/{folder}/");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'@') {
            path.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            path.push('%');
            path.push(char::from(HEX[usize::from(byte >> 4)]));
            path.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    path.push(':');
    path.push_str(operation);
    path
}

fn plain(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_generation_it_is() {
        assert_eq!(generation("gemini-2.5-flash"), Some((2, 5)));
        assert_eq!(generation("models/gemini-3-pro-preview"), Some((3, 0)));
        assert_eq!(generation("gemini-live-2.5-flash"), Some((2, 5)));
        assert_eq!(generation("gemini-flash-latest"), None);
        assert_eq!(generation("claude-3"), None);
        assert!(is_new("gemini-3.1-pro-preview") && !is_new("gemini-2.5-pro"));
        assert!(is_old("gemini-2.0-flash") && !is_old("gemini-2.5-pro") && !is_old("gemini-flash-latest"));
    }

    #[test]
    fn a_model_is_one_segment_of_the_path() {
        assert_eq!(path("gemini-2.5-flash", "generateContent"), "/models/gemini-2.5-flash:generateContent");
        assert_eq!(path("models/m", "countTokens"), "/models/m:countTokens");
        assert_eq!(path("a/b:c?d", "x"), "/models/a%2Fb%3Ac%3Fd:x");
        assert_eq!(path("tunedModels/t", "x"), "/tunedModels/t:x");
    }
}
