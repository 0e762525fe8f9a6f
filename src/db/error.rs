//! Why rows cannot be had or changed.

/// See the variants.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be opened.
    #[error("the database cannot be opened: {0}")]
    Open(String),
    /// A newer program made it.
    #[error(
        "the database has tables of version {found}, this program knows up to {known}: start a newer one"
    )]
    Newer {
        /// What the database says.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// The disk is full (`disk_full`).
    #[error("there is no disk space left for the database")]
    Full,
    /// Another transaction was in the way for too long.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// It is out of reach for now (`not_ready`).
    #[error("the database cannot be reached: {0}")]
    Gone(String),
    /// Anything else that it says.
    #[error("the database says: {0}")]
    Query(sqlx::Error),
}

/// SQLite's codes for busy, locked, full and a failed write, and Postgres' for a conflict, a deadlock, a
/// full disk and a server that stops or starts.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        let code = error.as_database_error().and_then(|e| e.code()).unwrap_or_default();
        match &error {
            sqlx::Error::Database(_) => match code.as_ref() {
                "40001" | "40P01" => Error::Busy(text),
                "13" | "53100" => Error::Full,
                "57P01" | "57P02" | "57P03" => Error::Gone(text),
                // Extended codes of SQLite hold the plain one in their lowest byte: 5 and 6 are busy.
                code if code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
                    && code.len() < 5 =>
                {
                    Error::Busy(text)
                }
                // A write, a sync or an extension of a file that failed: a full disk, mostly.
                "778" | "1034" | "4874" => Error::Full,
                _ => Error::Query(error),
            },
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Error::Gone(text),
            _ => Error::Query(error),
        }
    }
}
