//! CPU quota: the cores that this process may use, capped by its cgroup.

use std::fs;

/// Number of whole cores: those the scheduler offers, capped by the CPU quota of the cgroup (v2 or v1), at least 1.
pub(super) fn cores() -> usize {
    let offered = std::thread::available_parallelism().map_or(1, |n| n.get());
    let quota = quota_v2().or_else(quota_v1);
    quota.map_or(offered, |quota| offered.min(quota.ceil() as usize)).max(1)
}

/// Returns the smallest quota from this process's group up to the root: each of them applies.
fn quota_v2() -> Option<f64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?.trim().to_owned();
    ancestors(&path)
        .filter_map(|group| fs::read_to_string(format!("/sys/fs/cgroup{group}/cpu.max")).ok())
        .filter_map(|text| parse_v2(&text))
        .reduce(f64::min)
}

fn quota_v1() -> Option<f64> {
    let read = |name: &str| -> Option<f64> {
        fs::read_to_string(format!("/sys/fs/cgroup/cpu/{name}")).ok()?.trim().parse().ok()
    };
    ratio(read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?)
}

/// Yields the path and its parents: `/a/b` gives `/a/b`, `/a` and the root, an empty string.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let path = path.trim_end_matches('/');
    std::iter::successors(Some(path), |path| path.rfind('/').map(|end| &path[..end]))
}

fn parse_v2(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    ratio(words.next()?.parse().ok()?, words.next()?.parse().ok()?)
}

fn ratio(quota: f64, period: f64) -> Option<f64> {
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_ratio_and_max_is_none() {
        assert_eq!(parse_v2("150000 100000\n"), Some(1.5));
        assert_eq!(parse_v2("max 100000\n"), None);
        assert_eq!(ratio(-1.0, 100_000.0), None);
    }

    #[test]
    fn every_group_up_to_the_root_is_asked() {
        assert_eq!(ancestors("/a/b").collect::<Vec<_>>(), ["/a/b", "/a", ""]);
        assert_eq!(ancestors("/").collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn there_is_at_least_one_core() {
        assert!(cores() >= 1);
    }
}
