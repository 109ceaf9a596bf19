//! Durable state behind one trait: SQLite embedded; migrations; the contract test suite.
