//! Patterns for models that fit nothing: most likely slips of the pen.

use lockgate_catalog::Catalog;
use lockgate_config::{Config, Fallback, Use, Wildcard, fits};

use crate::catalogue;

/// A pattern that fits no model.
pub(crate) struct Idle {
    /// Where it stands in the config.
    pub(crate) path: Vec<String>,
    /// The pattern.
    pub(crate) pattern: String,
}

/// Every pattern in a route that fits no model of a configured provider.
pub(crate) fn idle(config: &Config, catalog: &Catalog) -> Vec<Idle> {
    let mut found = Vec::new();
    for route in &config.routes {
        let mut look = |place: &[&str], branch: &Use| {
            let path =
                ["routes", route.name.as_str()].iter().chain(place).map(|step| (*step).to_owned()).collect();
            walk(branch, path, &mut |path, wildcard| {
                if !fits_any(wildcard, config, catalog) {
                    found.push(Idle { path, pattern: wildcard.to_string() });
                }
            });
        };
        look(&["use"], &route.branch);
        for (at, rule) in route.when.iter().enumerate() {
            look(&["when", &format!("[{at}]"), "use"], &rule.branch);
            rule.on_error.iter().for_each(|branch| look(&["when", &format!("[{at}]"), "on_error"], branch));
        }
        route.on_error.iter().for_each(|branch| look(&["on_error"], branch));
        route.shadow.iter().for_each(|branch| look(&["shadow"], branch));
        let Fallback { any, context_window, content_policy, rate_limit, budget } = &route.fallback;
        let lists = [
            ("any", any),
            ("context_window", context_window),
            ("content_policy", content_policy),
            ("rate_limit", rate_limit),
            ("budget", budget),
        ];
        for (class, list) in lists {
            for (at, branch) in list.iter().flatten().enumerate() {
                look(&["fallback", class, &format!("[{at}]")], branch);
            }
        }
    }
    found
}

/// Goes through a branch and all that stand in it. Places of a list that is written without its strategy's name are those of
/// the list.
fn walk(branch: &Use, path: Vec<String>, see: &mut dyn FnMut(Vec<String>, &Wildcard)) {
    let deeper = |steps: &[&str]| -> Vec<String> {
        path.iter().cloned().chain(steps.iter().map(|step| (*step).to_owned())).collect()
    };
    let list = |name: &[&str], branches: &[Use], see: &mut dyn FnMut(Vec<String>, &Wildcard)| {
        for (at, branch) in branches.iter().enumerate() {
            let at = format!("[{at}]");
            walk(branch, deeper(&[name, &[&at]].concat()), see);
        }
    };
    match branch {
        Use::Target(_) | Use::Route(_) => {}
        Use::Wildcard(wildcard) => see(path, wildcard),
        Use::Ordered(branches) => list(&[], branches, see),
        Use::Cost(branches) => list(&["cost"], branches, see),
        Use::LeastBusy(branches) => list(&["least-busy"], branches, see),
        Use::Latency(latency) => list(&["latency", "candidates"], &latency.candidates, see),
        Use::Score(score) => list(&["score", "candidates"], &score.candidates, see),
        Use::Weighted(shares) => {
            shares.iter().for_each(|share| walk(&share.branch, deeper(&["weighted"]), see));
        }
        Use::Sticky(sticky) => walk(&sticky.branch, deeper(&["sticky", "use"]), see),
        Use::Complexity(degrees) => {
            walk(&degrees.simple, deeper(&["complexity", "simple"]), see);
            degrees.medium.iter().for_each(|branch| walk(branch, deeper(&["complexity", "medium"]), see));
            walk(&degrees.complex, deeper(&["complexity", "complex"]), see);
        }
    }
}

fn fits_any(wildcard: &Wildcard, config: &Config, catalog: &Catalog) -> bool {
    // What is found in the environment alone is not known before the start.
    if config.discover {
        return true;
    }
    config.providers.iter().filter(|provider| fits(&wildcard.provider, &provider.name)).any(|provider| {
        let listed = provider.models.iter().any(|model| fits(&wildcard.model, model));
        let name = catalogue::name_of(config, &provider.name);
        listed || catalog.models(name).any(|model| model.mode.is_text() && fits(&wildcard.model, &model.id))
    })
}
