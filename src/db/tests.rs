//! Tests of transactions, clock and migrations on SQLite and on Postgres.

use super::testing::on_each;
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
    let config = Config { url: "mysql://x".into() };
    let refused = Db::open(&config, Path::new("unused"), || false).unwrap_err();
    assert!(refused.to_string().contains("postgres://"), "{refused}");
}
