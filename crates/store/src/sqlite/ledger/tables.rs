//! The tables of the ledger. Amounts are nano-dollars; moments are Unix milliseconds.

/// They came with version 2. All of it is plain SQL that other databases read as well.
pub(in crate::sqlite) const TABLES: &str = "
    CREATE TABLE ledger_budget (
        id       TEXT NOT NULL PRIMARY KEY,
        name     TEXT NOT NULL UNIQUE,
        document TEXT NOT NULL
    ) STRICT;
    CREATE TABLE ledger_increase (
        id       TEXT NOT NULL PRIMARY KEY,
        budget   TEXT NOT NULL,
        document TEXT NOT NULL
    ) STRICT;
    CREATE INDEX ledger_increase_budget ON ledger_increase (budget);
    CREATE TABLE ledger_revision (
        one     INTEGER PRIMARY KEY CHECK (one = 1),
        budgets INTEGER NOT NULL
    ) STRICT;
    INSERT INTO ledger_revision VALUES (1, 0);

    CREATE TABLE ledger_account (
        id        INTEGER PRIMARY KEY AUTOINCREMENT,
        budget    TEXT    NOT NULL,
        value     TEXT    NOT NULL,
        start     INTEGER NOT NULL,
        end_ms    INTEGER NOT NULL,
        settled   INTEGER NOT NULL DEFAULT 0,
        leased    INTEGER NOT NULL DEFAULT 0,
        uncertain INTEGER NOT NULL DEFAULT 0,
        crossed   INTEGER NOT NULL DEFAULT 0,
        softened  INTEGER NOT NULL DEFAULT 0,
        UNIQUE (budget, value, start)
    ) STRICT;
    CREATE INDEX ledger_account_end ON ledger_account (end_ms);
    CREATE TABLE ledger_slot (
        account INTEGER NOT NULL,
        slot    INTEGER NOT NULL,
        amount  INTEGER NOT NULL,
        PRIMARY KEY (account, slot)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE ledger_node (
        epoch     INTEGER PRIMARY KEY AUTOINCREMENT,
        name      TEXT    NOT NULL,
        opened_ms INTEGER NOT NULL,
        heard_ms  INTEGER NOT NULL,
        number    INTEGER NOT NULL DEFAULT 0,
        state     INTEGER NOT NULL DEFAULT 0,
        fenced_ms INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE ledger_lease (
        account INTEGER NOT NULL,
        epoch   INTEGER NOT NULL,
        amount  INTEGER NOT NULL,
        PRIMARY KEY (account, epoch)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX ledger_lease_epoch ON ledger_lease (epoch);
    CREATE TABLE ledger_journal (
        request   BLOB    NOT NULL,
        attempt   INTEGER NOT NULL,
        line      INTEGER NOT NULL,
        amount    INTEGER NOT NULL,
        at_ms     INTEGER NOT NULL,
        accounts  TEXT    NOT NULL,
        price     TEXT    NOT NULL,
        estimated INTEGER NOT NULL,
        reason    TEXT,
        PRIMARY KEY (request, attempt, line)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX ledger_journal_at ON ledger_journal (at_ms);
    CREATE TABLE ledger_crossing (
        number  INTEGER PRIMARY KEY AUTOINCREMENT,
        budget  TEXT    NOT NULL,
        value   TEXT    NOT NULL,
        start   INTEGER NOT NULL,
        percent INTEGER NOT NULL,
        spent   INTEGER NOT NULL,
        bound   INTEGER NOT NULL,
        at_ms   INTEGER NOT NULL
    ) STRICT;";
