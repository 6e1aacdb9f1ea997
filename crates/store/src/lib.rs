//! Rows: keys and records in SQLite, behind the ports of core.
