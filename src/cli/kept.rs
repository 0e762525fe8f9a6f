//! Persistent state: database, store and trained models of one data folder.

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use super::{Config, Error};
use crate::db::Db;
use crate::registry::Registry;
use crate::store::{Reserve, Store};

/// Free bytes needed to open a database; if there are fewer, the reserve is released first.
const LEAST_FREE: u64 = 1 << 20;

/// Free room below which a database that calls the disk full is given the reserve.
const RESERVE_FOR: u64 = 16 << 20;

/// Persistent state of a service, a worker or a command that writes.
#[derive(Debug)]
pub struct Kept {
    pub db: Db,
    pub store: Arc<Store>,
    pub registry: Registry,
}

impl Kept {
    /// Opens the configured data folder; `None` if there is none.
    ///
    /// # Errors
    /// The folder cannot be created, or the database cannot be opened.
    pub fn open(config: &Config) -> Result<Option<Self>, Error> {
        Self::open_as(config, true)
    }

    /// [`Kept::open`] for a service: unless `database.required` is set, it starts without a Postgres that cannot be reached.
    ///
    /// # Errors
    /// As [`Kept::open`].
    pub fn open_to_serve(config: &Config) -> Result<Option<Self>, Error> {
        Self::open_as(config, config.database.required)
    }

    fn open_as(config: &Config, is_required: bool) -> Result<Option<Self>, Error> {
        let (Some(trained), Some(file)) = (config.trained(), config.database_file()) else { return Ok(None) };
        let root = &config.models.data_dir;
        make_private(root).map_err(Error::io(root))?;
        fs::create_dir_all(&trained).map_err(Error::io(&trained))?;
        let store = Arc::new(Store::open(root).map_err(Error::io(root))?);
        let reserve = Reserve::new(root);
        if reserve.free().is_ok_and(|free| free < LEAST_FREE) {
            reserve.release();
        }
        // A disk that fails in another way than for want of room keeps its reserve.
        let make_room = move || reserve.free().is_ok_and(|free| free < RESERVE_FOR) && reserve.release();
        let (db, registry) = if is_required {
            let db = Db::open(&config.database, &file, make_room)?;
            (db.clone(), Registry::open_with(config.bundled(), trained, db)?)
        } else {
            let db = Db::open_soon(&config.database, &file, make_room)?;
            (db.clone(), Registry::open_soon(config.bundled(), trained, db)?)
        };
        Ok(Some(Self { db, store, registry }))
    }
}

/// Makes the data folder, readable by its owner alone: uploads are in it. One that is there stays as it is.
fn make_private(root: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(root)
}
