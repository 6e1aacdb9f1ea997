//! Vocabulary and ports of Lockgate: ids, money, usage, errors, payloads, records. No I/O.
