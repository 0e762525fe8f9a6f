//! Database errors.

/// Error of a database call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be opened.
    #[error("the database cannot be opened: {0}")]
    Open(String),
    /// The file of the database is damaged.
    #[error(
        "the database is damaged: {0}. Stop Limpid, and put back a backup with `limpid restore`, or move limpid.db, limpid.db-wal \
         and limpid.db-shm elsewhere: a new one finds the trained models again, jobs are lost"
    )]
    Damaged(String),
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
    /// The disk failed, or no longer accepts writes (`not_ready`).
    #[error("the disk of the database failed: {0}")]
    Io(String),
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

impl Error {
    /// Returns `true` if a transaction that ended with this error may have been committed: its answer was lost.
    pub fn is_uncertain(&self) -> bool {
        matches!(self, Error::Gone(_) | Error::Io(_))
    }
}

/// Classifies SQLite's codes for busy, locked, full and a failed disk, and Postgres' codes for a conflict, a deadlock, a full or
/// failed disk, and a server that stops or starts. The lowest byte of an extended SQLite code is the primary code
/// (<https://sqlite.org/rescode.html>).
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        let code = error.as_database_error().and_then(|e| e.code()).unwrap_or_default();
        // Those of Postgres have five characters.
        let plain = code.parse::<u32>().ok().filter(|_| code.len() < 5).map(|code| code & 0xff);
        match &error {
            sqlx::Error::Database(_) => match (code.as_ref(), plain) {
                ("40001" | "40P01", _) | (_, Some(5 | 6)) => Error::Busy(text),
                // The shared memory of the log cannot grow: SQLite says full of any other file.
                ("13" | "53100" | "4874", _) => Error::Full,
                // Also too many connections, and an end by a time limit: of a statement, a lock or an idle transaction.
                ("57P01" | "57P02" | "57P03" | "53300" | "57014" | "55P03" | "25P03", _) => Error::Gone(text),
                (_, Some(11 | 26)) => Error::Damaged(text),
                // A read or write failed, the disk is read-only, or a file cannot be opened any more.
                ("58030", _) | (_, Some(8 | 10 | 14)) => Error::Io(text),
                _ => Error::Query(error),
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed => Error::Gone(text),
            _ => Error::Query(error),
        }
    }
}
