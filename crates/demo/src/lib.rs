//! A provider that needs no network: believable answers, and every fault on demand.
