//! Tests of transactions, clock and migrations on SQLite and on Postgres.

use super::testing::{Strike, on_each};
use super::*;

async fn value(conn: &mut Conn) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT value FROM counters WHERE name = 'registry'").fetch_one(conn).await?)
}

async fn add(conn: &mut Conn) -> Result<()> {
    sqlx::query("UPDATE counters SET value = value + 1 WHERE name = 'registry'").execute(conn).await?;
    Ok(())
}

#[test]
fn a_transaction_that_fails_changes_nothing() {
    on_each(|db| {
        let failed = db.transact(async |conn| {
            add(conn).await?;
            Err::<(), _>(Error::Open("stop".into()))
        });
        assert!(failed.is_err());
        assert_eq!(db.read(value).unwrap(), 0);
        db.transact(add).unwrap();
        assert_eq!(db.read(value).unwrap(), 1);
    });
}

#[test]
fn transactions_at_the_same_time_all_happen() {
    on_each(|db| {
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| (0..20).for_each(|_| db.transact(add).unwrap()));
            }
        });
        assert_eq!(db.read(value).unwrap(), 120);
    });
}

#[test]
fn the_clock_is_that_of_today() {
    on_each(|db| {
        let now = db.read(async |conn| db.now(conn).await).unwrap();
        assert!((now - jiff::Timestamp::now().as_millisecond()).abs() < 60_000, "{now}");
    });
}

#[test]
fn tables_are_made_once_and_those_of_a_newer_program_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Db::open(&Config::default(), &folder.path().join("a b%c.db"), || false);
    open().unwrap().transact(add).unwrap();
    let db = open().unwrap();
    assert_eq!(db.read(value).unwrap(), 1);
    db.transact(async |conn| {
        sqlx::query("UPDATE limpid_schema SET version = 99").execute(conn).await?;
        Ok::<_, Error>(())
    })
    .unwrap();
    assert!(matches!(open(), Err(Error::Newer { found: 99, .. })));
}

#[test]
fn an_address_of_another_kind_is_refused() {
    let config = Config { url: "mysql://x".into(), ..Config::default() };
    let refused = Db::open(&config, Path::new("unused"), || false).unwrap_err();
    assert!(refused.to_string().contains("postgres://"), "{refused}");
}

/// Fails unless a connection that the disk failed is replaced: the pool has four.
fn heals(db: &Db, kind: testing::Strike) {
    for _ in 0..12 {
        db.faults().next(1, kind);
        db.transact(add).unwrap();
        assert!(db.trouble().is_none(), "one failure is made good for by a second try");
        db.faults().next(20, kind);
        let failed = db.transact(add).unwrap_err();
        assert!(matches!((kind, failed), (Strike::Full, Error::Full) | (Strike::Io, Error::Io(_))));
        assert!(db.trouble().is_some());
        db.faults().next(0, kind);
        db.probe().unwrap();
        assert!(db.trouble().is_none());
    }
    assert_eq!(db.read(value).unwrap(), 12);
}

#[test]
fn writes_go_on_once_the_disk_has_room_again() {
    on_each(|db| heals(&db, Strike::Full));
}

#[test]
fn writes_go_on_once_the_disk_is_well_again() {
    on_each(|db| heals(&db, Strike::Io));
}

#[test]
fn a_statement_that_finds_the_database_full_is_run_again_on_another_connection() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&Config::default(), &folder.path().join("limpid.db"), || false).unwrap();
    let fill = async |conn: &mut Conn| -> Result<()> {
        sqlx::query("INSERT INTO counters (name, value) VALUES (hex(randomblob(400000)), 1)")
            .execute(conn)
            .await?;
        Ok(())
    };
    // A limit of one connection, by SQLite itself; the new one has none.
    db.read(async |conn| {
        conn.execute("PRAGMA max_page_count = 1").await?;
        Ok::<_, Error>(())
    })
    .unwrap();
    db.transact(fill).unwrap();
    db.transact(fill).unwrap();
    let count = db.read(async |conn| {
        Ok::<i64, Error>(sqlx::query_scalar("SELECT COUNT(*) FROM counters").fetch_one(conn).await?)
    });
    assert_eq!(count.unwrap(), 3);
}

#[test]
fn an_error_of_the_work_itself_leaves_the_connection_in_order() {
    on_each(|db| {
        for _ in 0..12 {
            let refused = db.transact(async |conn| {
                add(conn).await?;
                sqlx::query("INSERT INTO nowhere VALUES (1)").execute(conn).await?;
                Ok::<_, Error>(())
            });
            assert!(matches!(refused, Err(Error::Query(_))));
            db.transact(add).unwrap();
        }
        assert_eq!(db.read(value).unwrap(), 12);
    });
}
