//! Medians: of numbers, and of reports of one shape.

use serde_json::{Value, json};

/// The middle of the numbers, or of the two in the middle their mean; `None` of none.
pub(crate) fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let above = sorted.get(sorted.len() / 2)?;
    let below = sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(*below, *above))
}

/// The median of each number over the runs, in the shape of the first run; what is not a number is as in that.
pub(crate) fn of_values(runs: &[Value]) -> Value {
    match runs.first() {
        Some(Value::Object(first)) => first
            .keys()
            .map(|k| (k.clone(), of_values(&runs.iter().map(|r| r[k].clone()).collect::<Vec<_>>())))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Some(Value::Number(_)) => json!(median(&runs.iter().filter_map(Value::as_f64).collect::<Vec<_>>())),
        other => other.cloned().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 9.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn reports_keep_their_shape() {
        let runs = [
            json!({"a": {"p50": 1}, "e": null}),
            json!({"a": {"p50": 5}, "e": "x"}),
            json!({"a": {"p50": 2}, "e": null}),
        ];
        assert_eq!(of_values(&runs), json!({"a": {"p50": 2.0}, "e": null}));
    }
}
