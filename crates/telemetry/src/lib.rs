//! Events turned into Prometheus metrics and structured log lines.
