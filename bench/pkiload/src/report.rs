//! Figures of a run, as JSON and as a table.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;
use serde::Serialize;

use crate::certificate::verify;
use crate::usage::usage;
use crate::{Args, Op, Plan, Round, Target};

/// The middle of some figures, with their least and greatest.
#[derive(Serialize, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            (values[middle - 1] + values[middle]) / 2.0
        };
        Some(Self { median, min, max })
    }
}

#[derive(Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

pub(crate) fn percentile(sorted: &[u32], fraction: f64) -> f64 {
    let rank = (sorted.len() as f64 * fraction).ceil().max(1.0) as usize;
    sorted
        .get(rank - 1)
        .map_or(0.0, |us| f64::from(*us) / 1000.0)
}

#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) target: String,
    pub(crate) op: Op,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) error_samples: Vec<String>,
    pub(crate) verified: usize,
    pub(crate) verify_failures: Vec<String>,
    pub(crate) rps: Option<Spread>,
    pub(crate) latency_ms: Latency,
    pub(crate) client_share: Option<Spread>,
    pub(crate) cpu_ms_per_1000: Option<Spread>,
    pub(crate) cpu_ms_per_1000_by_process: BTreeMap<String, f64>,
    pub(crate) rss_mib: BTreeMap<String, f64>,
    pub(crate) peak_rss_mib: BTreeMap<String, f64>,
    pub(crate) ratio_to_first: Option<Ratios>,
}

/// This target's figures over the first target's, round by round.
#[derive(Serialize)]
pub(crate) struct Ratios {
    pub(crate) rps: Option<Spread>,
    pub(crate) p50: Option<Spread>,
    pub(crate) cpu: Option<Spread>,
}

pub(crate) fn report(
    args: &Args,
    target: &Target,
    plan: &Plan,
    rounds: &[Round],
    first: &[Round],
) -> Result<Report> {
    let mut latencies: Vec<u32> = rounds
        .iter()
        .flat_map(|round| &round.tally.latencies_us)
        .copied()
        .collect();
    latencies.sort_unstable();
    let mut serials = HashSet::new();
    let mut failures = Vec::new();
    let mut verified = 0;
    for (n, body) in rounds.iter().flat_map(|round| &round.tally.samples) {
        match verify(args, plan, *n, body) {
            Ok(serial) if !serials.insert(serial.clone()) => {
                failures.push(format!("serial {serial} came twice"))
            }
            Ok(_) => verified += 1,
            Err(error) => failures.push(format!("request {n}: {error:#}")),
        }
    }
    let mut by_process: BTreeMap<String, f64> = BTreeMap::new();
    for (name, cpu) in rounds.iter().flat_map(|round| &round.cpu) {
        *by_process.entry(name.clone()).or_default() +=
            cpu.as_secs_f64() * 1e6 / latencies.len().max(1) as f64;
    }
    let mut rss = BTreeMap::new();
    let mut peak = BTreeMap::new();
    for usage in usage(&target.pids)?.into_values() {
        *rss.entry(usage.name.clone()).or_default() += usage.rss_kib as f64 / 1024.0;
        *peak.entry(usage.name).or_default() += usage.peak_kib as f64 / 1024.0;
    }
    let ratio = |figure: &dyn Fn(&Round) -> Option<f64>| {
        Spread::of(
            rounds
                .iter()
                .zip(first)
                .filter_map(|(mine, theirs)| Some(figure(mine)? / figure(theirs)?))
                .filter(|ratio| ratio.is_finite()),
        )
    };
    Ok(Report {
        target: target.name.clone(),
        op: target.op,
        requests: latencies.len() as u64,
        errors: rounds.iter().map(|round| round.tally.errors).sum(),
        error_samples: rounds
            .iter()
            .flat_map(|round| round.tally.messages.clone())
            .take(3)
            .collect(),
        verified,
        verify_failures: failures,
        rps: Spread::of(rounds.iter().map(Round::rps)),
        latency_ms: Latency {
            p50: percentile(&latencies, 0.50),
            p95: percentile(&latencies, 0.95),
            p99: percentile(&latencies, 0.99),
            max: percentile(&latencies, 1.0),
        },
        client_share: Spread::of(rounds.iter().filter_map(Round::client_share)),
        cpu_ms_per_1000: Spread::of(rounds.iter().filter_map(Round::cpu_ms_per_1000)),
        cpu_ms_per_1000_by_process: by_process,
        rss_mib: rss,
        peak_rss_mib: peak,
        ratio_to_first: (!std::ptr::eq(rounds, first)).then(|| Ratios {
            rps: ratio(&|round| Some(round.rps())),
            p50: ratio(&|round| Some(round.p50())),
            cpu: ratio(&Round::cpu_ms_per_1000),
        }),
    })
}

pub(crate) fn print_table(reports: &[Report], threads: usize) {
    let spread = |s: &Option<Spread>, digits: usize| match s {
        Some(s) => format!(
            "{:.digits$} [{:.digits$}-{:.digits$}]",
            s.median, s.min, s.max
        ),
        None => "-".to_owned(),
    };
    println!(
        "{:<14} {:>8} {:>6} {:>24} {:>8} {:>8} {:>8} {:>8} {:>24} {:>8}",
        "target",
        "ok",
        "errors",
        "req/s [min-max]",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "max ms",
        "CPU ms/1000 [min-max]",
        "RSS MiB"
    );
    for r in reports {
        let l = &r.latency_ms;
        println!(
            "{:<14} {:>8} {:>6} {:>24} {:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>24} {:>8.0}",
            r.target,
            r.requests,
            r.errors,
            spread(&r.rps, 0),
            l.p50,
            l.p95,
            l.p99,
            l.max,
            spread(&r.cpu_ms_per_1000, 0),
            r.rss_mib.values().fold(0.0, |sum, rss| sum + rss)
        );
    }
    for r in reports {
        if r.cpu_ms_per_1000_by_process.len() > 1 {
            for (name, cpu) in &r.cpu_ms_per_1000_by_process {
                println!(
                    "{}: {name} CPU {cpu:.0} ms/1000, RSS {:.0} MiB",
                    r.target,
                    r.rss_mib.get(name).unwrap_or(&0.0)
                );
            }
        }
        if let Some(ratios) = &r.ratio_to_first {
            println!(
                "{} / {}: req/s {}, p50 {}, CPU {}",
                r.target,
                reports[0].target,
                spread(&ratios.rps, 2),
                spread(&ratios.p50, 2),
                spread(&ratios.cpu, 2)
            );
        }
        if r.verified + r.verify_failures.len() > 0 {
            println!(
                "{}: {} certificates verified, {} failed",
                r.target,
                r.verified,
                r.verify_failures.len()
            );
        }
        if r.client_share
            .is_some_and(|share| share.median > 0.9 * threads as f64)
        {
            println!(
                "{}: this client was busy all the time: give it more --threads, or trust CPU only",
                r.target
            );
        }
        for message in r.verify_failures.iter().chain(&r.error_samples).take(5) {
            println!("{}: {message}", r.target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let sorted: Vec<u32> = (1..=100).map(|ms| ms * 1000).collect();
        assert_eq!(percentile(&sorted, 0.5), 50.0);
        assert_eq!(percentile(&sorted, 0.99), 99.0);
        assert_eq!(percentile(&sorted, 1.0), 100.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
