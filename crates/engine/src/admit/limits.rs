//! What a key may use.

use lockgate_core::{Candidate, Error, Exclusion, Kind, Matched, Principal, Standing};
use lockgate_route::Resolution;

/// Lets a request pass whose key may use the name it asked for. A key that may use a route may use it whole; for any
/// other name the `provider/model` that it stands for counts as well.
///
/// # Errors
/// `PermissionDenied` with the targets that were looked at.
pub fn may_use(principal: &Principal, name: &str, resolution: &Resolution) -> Result<(), Error> {
    let key = &principal.key;
    if key.models.is_empty() || key.may_use(name) {
        return Ok(());
    }
    let targets = &resolution.decision.candidates;
    let by_target = resolution.decision.matched != Matched::Route
        && targets.iter().all(|target| key.may_use(&format!("{}/{}", target.provider, target.model)));
    if by_target {
        return Ok(());
    }
    let refused = targets
        .iter()
        .map(|target| Candidate { standing: Standing::Excluded(Exclusion::NotAllowed), ..target.clone() })
        .collect();
    let shown: String = name.chars().take(100).collect();
    Err(Error::gateway(Kind::PermissionDenied, format!("This API key may not use the model \"{shown}\"."))
        .param("model")
        .candidates(refused))
}
