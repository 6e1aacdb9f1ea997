//! The tables of the ledger. Amounts are nano-dollars; moments are Unix milliseconds.

/// They came with version 1.
pub(in crate::postgres) const TABLES: &str = "
    CREATE TABLE ledger_budget (
        id       TEXT COLLATE \"C\" PRIMARY KEY,
        name     TEXT COLLATE \"C\" NOT NULL UNIQUE,
        document TEXT COLLATE \"C\" NOT NULL
    );
    CREATE TABLE ledger_increase (
        id       TEXT COLLATE \"C\" PRIMARY KEY,
        budget   TEXT COLLATE \"C\" NOT NULL,
        document TEXT COLLATE \"C\" NOT NULL
    );
    CREATE INDEX ledger_increase_budget ON ledger_increase (budget);

    CREATE TABLE ledger_account (
        id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        budget    TEXT   COLLATE \"C\" NOT NULL,
        value     TEXT   COLLATE \"C\" NOT NULL,
        start     BIGINT NOT NULL,
        end_ms    BIGINT NOT NULL,
        settled   BIGINT NOT NULL DEFAULT 0,
        leased    BIGINT NOT NULL DEFAULT 0,
        uncertain BIGINT NOT NULL DEFAULT 0,
        crossed   BIGINT NOT NULL DEFAULT 0,
        softened  BIGINT NOT NULL DEFAULT 0,
        UNIQUE (budget, value, start)
    );
    CREATE INDEX ledger_account_end ON ledger_account (end_ms);
    CREATE TABLE ledger_slot (
        account BIGINT NOT NULL,
        slot    BIGINT NOT NULL,
        amount  BIGINT NOT NULL,
        PRIMARY KEY (account, slot)
    );
    CREATE TABLE ledger_node (
        epoch     BIGINT NOT NULL PRIMARY KEY,
        name      TEXT   COLLATE \"C\" NOT NULL,
        opened_ms BIGINT NOT NULL,
        heard_ms  BIGINT NOT NULL,
        number    BIGINT NOT NULL DEFAULT 0,
        state     BIGINT NOT NULL DEFAULT 0,
        fenced_ms BIGINT NOT NULL DEFAULT 0
    );
    INSERT INTO revision VALUES ('epochs', 0);
    CREATE TABLE ledger_lease (
        account BIGINT NOT NULL,
        epoch   BIGINT NOT NULL,
        amount  BIGINT NOT NULL,
        PRIMARY KEY (account, epoch)
    );
    CREATE INDEX ledger_lease_epoch ON ledger_lease (epoch);
    CREATE TABLE ledger_journal (
        request   BYTEA    NOT NULL,
        attempt   BIGINT   NOT NULL,
        line      BIGINT   NOT NULL,
        amount    BIGINT   NOT NULL,
        at_ms     BIGINT   NOT NULL,
        accounts  BIGINT[] NOT NULL,
        price     TEXT     COLLATE \"C\" NOT NULL,
        estimated BIGINT   NOT NULL,
        reason    TEXT     COLLATE \"C\",
        PRIMARY KEY (request, attempt, line)
    );
    CREATE INDEX ledger_journal_at ON ledger_journal (at_ms);
    CREATE TABLE ledger_crossing (
        number  BIGINT NOT NULL PRIMARY KEY,
        budget  TEXT   COLLATE \"C\" NOT NULL,
        value   TEXT   COLLATE \"C\" NOT NULL,
        start   BIGINT NOT NULL,
        percent BIGINT NOT NULL,
        spent   BIGINT NOT NULL,
        bound   BIGINT NOT NULL,
        at_ms   BIGINT NOT NULL
    );";
