//! Database errors.

/// Error of a database call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be opened.
    #[error("the database cannot be opened: {0}")]
    Open(String),
    /// A newer program created the database.
    #[error(
        "the database has tables of version {found}, this program knows up to {known}: start a newer one"
    )]
    Newer {
        /// Schema version found in the database.
        found: i64,
        /// Newest schema version that this program supports.
        known: i64,
    },
    /// The disk is full (`disk_full`).
    #[error("there is no disk space left for the database")]
    Full,
    /// The transaction lost to concurrent ones until its retries were used up.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// The database is unreachable for now (`not_ready`).
    #[error("the database cannot be reached: {0}")]
    Gone(String),
    /// Any other error of the database.
    #[error("the database says: {0}")]
    Query(sqlx::Error),
}

/// Classifies SQLite's codes for busy, locked, full and a failed write, and Postgres' codes for a conflict, a deadlock, a
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
                // The lowest byte of an extended SQLite code is the primary code: 5 (busy) and 6 (locked).
                code if code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
                    && code.len() < 5 =>
                {
                    Error::Busy(text)
                }
                // A failed write, sync or file extension: in most cases the disk is full.
                "778" | "1034" | "4874" => Error::Full,
                _ => Error::Query(error),
            },
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Error::Gone(text),
            _ => Error::Query(error),
        }
    }
}
