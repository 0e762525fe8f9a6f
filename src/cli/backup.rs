//! `limpid backup` and `limpid restore`: a data folder as one file, also of a service that runs.

use std::fs::{self, File, OpenOptions};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::{Config, Error, out};
use crate::db::Db;
use crate::store::backup;

const EXAMPLES: &str = "\
Examples:
  limpid backup /mnt/backups/limpid-today.tar                of the service that runs on ./data
  limpid backup today.tar --data-dir /var/lib/limpid
  limpid restore today.tar --data-dir /var/lib/limpid-new    into a new folder
  limpid serve --data-dir /var/lib/limpid-new

A backup holds the database (jobs, versions, defaults), trained models, samples, checkpoints, noise profiles, indexes and the hashes
of API keys: keep it as safe as the data folder. It is one tar, readable by its owner alone.";

/// Write the data folder to one file, while a service runs or not.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file to write, which must not exist yet.
    file: PathBuf,
}

/// Make a data folder of a backup.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct RestoreArgs {
    /// The file that `limpid backup` wrote.
    file: PathBuf,
}

/// Runs `limpid backup`.
///
/// # Errors
/// There is no data folder, its database is Postgres, or the file exists or cannot be written.
pub fn run(args: &Args, config: &Config) -> Result<(), Error> {
    let (root, database) = place(config)?;
    if !database.is_file() {
        let database = database.display();
        return Err(Error::Usage(format!(
            "{database} is not there: name the data folder with --data-dir DIR"
        )));
    }
    let beside = |ending: &str| {
        let mut name = args.file.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let (snapshot, part) = (Temporary(beside(".db.part")), Temporary(beside(".part")));
    if args.file.exists() {
        return Err(Error::Usage(format!("{} exists already; name another file", args.file.display())));
    }
    let mut file = create(&part.0)?;
    // Made here, so that nobody else can read it.
    drop(create(&snapshot.0)?);
    Db::snapshot(&database, &snapshot.0)?;
    let summary = backup::write(root, &snapshot.0, config.keys().file.as_deref(), &mut file)?;
    file.sync_all().map_err(Error::io(&part.0))?;
    fs::rename(&part.0, &args.file).map_err(Error::io(&args.file))?;
    report("kept", &summary, &args.file)
}

/// Runs `limpid restore`.
///
/// # Errors
/// The data folder is in use, the file is no whole backup, or the folder cannot be written.
pub fn restore(args: &RestoreArgs, config: &Config) -> Result<(), Error> {
    let (root, database) = place(config)?;
    let file = File::open(&args.file).map_err(Error::io(&args.file))?;
    let summary = backup::read(BufReader::with_capacity(1 << 20, file), root)?;
    Db::check(&database)?;
    report("restored", &summary, root)
}

fn report(done: &str, summary: &backup::Summary, place: &Path) -> Result<(), Error> {
    let (files, megabytes) = (summary.files, summary.bytes as f64 / 1e6);
    out(&format!("{done} {files} files, {megabytes:.1} MB: {}\n", place.display()))
}

/// The data folder and its database.
fn place(config: &Config) -> Result<(&Path, PathBuf), Error> {
    if !config.database.url.is_empty() {
        let advice = "use pg_dump, and copy the data folder as files behind it";
        return Err(Error::Usage(format!(
            "database.url names a Postgres, which has backups of its own: {advice}"
        )));
    }
    let database = config.database_file();
    let missing = || Error::Usage("there is no data folder: give --data-dir DIR".into());
    Ok((&config.models.data_dir, database.ok_or_else(missing)?))
}

/// A new file that its owner alone can read; one that an earlier run left is replaced.
fn create(path: &Path) -> Result<File, Error> {
    let _ = fs::remove_file(path);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(Error::io(path))
}

/// A file that is removed in the end, if it is still there.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
