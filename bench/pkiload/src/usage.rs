//! CPU time and memory of processes, read from /proc.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};

/// CPU time and memory of one process.
#[derive(Clone)]
pub(crate) struct Usage {
    pub(crate) name: String,
    pub(crate) cpu: Duration,
    pub(crate) rss_kib: u64,
    pub(crate) peak_kib: u64,
}

/// The usage of some processes and every process below them, by process id.
pub(crate) fn usage(roots: &[u32]) -> Result<BTreeMap<u32, Usage>> {
    for root in roots {
        ensure!(
            fs::metadata(format!("/proc/{root}")).is_ok(),
            "there is no process {root}"
        );
    }
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        if let Some(pid) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
            && let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat"))
        {
            parents.insert(pid, stat);
        }
    }
    let mut tree: HashSet<u32> = roots.iter().copied().collect();
    loop {
        let size = tree.len();
        for (pid, stat) in &parents {
            if let Some(Ok(parent)) = stat_field(stat, 1).map(str::parse::<u32>)
                && tree.contains(&parent)
            {
                tree.insert(*pid);
            }
        }
        if tree.len() == size {
            break;
        }
    }
    let ticks = Duration::from_millis(10); // USER_HZ is 100 on every Linux
    let mut found = BTreeMap::new();
    for pid in tree {
        let Some(stat) = parents.get(&pid) else {
            continue;
        };
        let name = stat
            .split_once('(')
            .and_then(|(_, rest)| rest.rsplit_once(')'))
            .map_or("?", |(name, _)| name);
        let ended: u32 = [11, 12]
            .iter()
            .filter_map(|&i| stat_field(stat, i)?.parse::<u32>().ok())
            .sum();
        // To the nanosecond, but of the threads that are there; to the tick, but with those that have ended.
        let cpu = on_cpu(pid).max(ticks * ended);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let kib = |key: &str| {
            status
                .lines()
                .find_map(|line| {
                    line.strip_prefix(key)?
                        .split_whitespace()
                        .next()?
                        .parse()
                        .ok()
                })
                .unwrap_or(0)
        };
        let usage = Usage {
            name: name.to_owned(),
            cpu,
            rss_kib: kib("VmRSS:"),
            peak_kib: kib("VmHWM:"),
        };
        found.insert(pid, usage);
    }
    Ok(found)
}

/// How long the threads of a process have run on a CPU.
fn on_cpu(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let stat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// The i-th field after the name in /proc/PID/stat (0: state, 1: parent, 11: utime, 12: stime).
fn stat_field(stat: &str, i: usize) -> Option<&str> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(i)
}

pub(crate) fn spent(
    before: &BTreeMap<u32, Usage>,
    after: &BTreeMap<u32, Usage>,
) -> BTreeMap<String, Duration> {
    let mut total = BTreeMap::new();
    for (pid, now) in after {
        let earlier = before.get(pid).map_or(Duration::ZERO, |usage| usage.cpu);
        *total.entry(now.name.clone()).or_default() += now.cpu.saturating_sub(earlier);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_may_hold_spaces_and_parentheses() {
        let stat = "7 (a (b) c) S 3 1 1 0 -1 0 0 0 0 0 120 30 0 0";
        assert_eq!(stat_field(stat, 1), Some("3"));
        assert_eq!(stat_field(stat, 11), Some("120"));
        assert_eq!(stat_field(stat, 12), Some("30"));
    }

    #[test]
    fn this_process_has_a_usage() {
        let pid = std::process::id();
        assert!(usage(&[pid]).unwrap()[&pid].rss_kib > 0);
        assert!(usage(&[u32::MAX]).is_err());
        assert!(usage(&[]).unwrap().is_empty());
    }
}
