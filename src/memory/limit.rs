//! Limit of the memory that this process may use: the machine's, capped by its cgroups.

use std::fs;
use std::path::Path;

/// Limit where none can be read: small enough for any machine that this program runs on.
const UNKNOWN: usize = 2 << 30;

/// Returns the bytes of memory that this process may use.
///
/// The smallest of the machine's memory and the limits of the process's cgroup and of all groups above it: `memory.max` and
/// `memory.high` of version 2, which systemd's `MemoryMax=` and `MemoryHigh=` set, and `memory.limit_in_bytes` of version 1.
/// In a cgroup namespace, as containers have it, the process's own group is the root of what it sees.
pub fn limit() -> usize {
    let machine = fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(total_of_meminfo);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let groups = of_groups(Path::new("/sys/fs/cgroup"), &groups);
    machine.into_iter().chain(groups).min().unwrap_or(UNKNOWN)
}

fn total_of_meminfo(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The smallest limit below `root`, the mount point of the cgroups, for a process whose `/proc/self/cgroup` is `text`.
fn of_groups(root: &Path, text: &str) -> Option<usize> {
    let limits = text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let (folder, files): (_, &[&str]) = match controllers {
            "" => (root.to_owned(), &["memory.max", "memory.high"]),
            names if names.split(',').any(|name| name == "memory") => {
                (root.join("memory"), &["memory.limit_in_bytes"])
            }
            _ => return None,
        };
        let group = folder.join(path.trim_start_matches('/'));
        // A path of outside the namespace names no folder here; the mount point is then the process's group.
        let groups = group.ancestors().take_while(|group| group.starts_with(&folder));
        groups.flat_map(|group| files.iter().filter_map(move |file| read(&group.join(file)))).min()
    });
    limits.min()
}

/// A number of bytes; none for `max` or a missing file.
fn read(path: &Path) -> Option<usize> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_the_machine_is_read() {
        assert_eq!(total_of_meminfo("MemTotal:   2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert!(limit() > 1 << 20);
    }

    #[test]
    fn the_smallest_limit_of_all_groups_above_applies() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/memory.max", "700\n");
        write("a/b/memory.max", "max\n");
        write("a/b/memory.high", "900\n");
        write("memory/c/memory.limit_in_bytes", "500\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        let of = |text: &str| of_groups(root.path(), text);
        assert_eq!(of("0::/a/b\n"), Some(700), "version 2");
        assert_eq!(of("0::/a\n12:cpu,memory:/c\n"), Some(500), "version 1 beside it");
        assert_eq!(of("4:memory:/docker/0123\n"), Some(9_223_372_036_854_771_712), "outside the namespace");
        assert_eq!(of("0::/other\n"), None);
    }

    #[test]
    fn a_group_of_a_namespace_is_the_mount_point() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("memory.max"), "300\n").unwrap();
        assert_eq!(of_groups(root.path(), "0::/\n"), Some(300));
        assert_eq!(of_groups(root.path(), "0::/../pod\n"), Some(300));
    }
}
