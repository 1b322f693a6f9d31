use landfast_sdk::logical::Storage as _;
use landfast_sdk::testing::{FaultyStorage, Harness};

use super::*;

fn certificate() -> Certificate {
    Certificate::from_pem(include_bytes!("../../tests/data/ca.pem")).unwrap()
}

/// A mount that noted so many certificates, all of one number, without writing any.
async fn noted(many: usize) -> Harness<Mount> {
    let mount = Harness::<Mount>::builder()
        .storage(FaultyStorage::new())
        .start()
        .await
        .unwrap();
    add(&mount, many);
    mount
}

fn add(mount: &Harness<Mount>, many: usize) {
    let certificate = certificate();
    for _ in 0..many {
        mount.backend().ends.note(&certificate);
    }
}

/// How many each entry knows, by its number.
async fn entries(mount: &Harness<Mount>) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for name in mount.storage().list(PREFIX).await.unwrap() {
        let bytes = mount.storage().get(&format!("{PREFIX}{name}")).await;
        let bytes = bytes.unwrap().unwrap();
        let ends = ends::decode(&bytes).expect("an entry");
        found.push((name, ends.len()));
    }
    found
}

fn numbered(sizes: &[usize]) -> Vec<(String, usize)> {
    let numbered = sizes.iter().enumerate();
    numbered
        .map(|(at, size)| (format!("{:08}", at + 1), *size))
        .collect()
}

#[tokio::test]
async fn the_last_entry_is_filled_before_another_is_begun() {
    let mount = noted(5).await;
    for (more, sizes) in [
        (0, &[5][..]),
        (0, &[5]),
        (MOST - 6, &[MOST - 1]),
        // Nothing is split: both fit into no single entry.
        (2, &[MOST - 1, 2]),
        (MOST + 3, &[MOST - 1, 2, MOST, 3]),
    ] {
        add(&mount, more);
        flush(mount.backend()).await.unwrap();
        assert_eq!(entries(&mount).await, numbered(sizes));
    }
    // Nothing to write is no call at all.
    mount.storage().reset_calls();
    flush(mount.backend()).await.unwrap();
    assert_eq!(mount.storage().calls().total(), 0);
}

#[tokio::test]
async fn who_fills_an_entry_writes_it_and_nobody_else() {
    let mount = noted(MOST - 2).await;
    mount.storage().reset_calls();
    note(mount.backend(), &certificate()).await;
    assert_eq!(mount.storage().calls().total(), 0);
    note(mount.backend(), &certificate()).await;
    assert_eq!(entries(&mount).await, numbered(&[MOST]));
    mount.storage().reset_calls();
    note(mount.backend(), &certificate()).await;
    assert_eq!(mount.storage().calls().total(), 0);
}

#[tokio::test]
async fn what_cannot_be_written_is_kept_up_to_a_bound() {
    let mount = noted(7).await;
    mount.storage().read_only(true);
    assert!(flush(mount.backend()).await.is_err());
    add(&mount, 3 * MOST);
    // The certificate is stored all the same, and whoever waits for it is not told.
    note(mount.backend(), &certificate()).await;
    mount.storage().heal();
    flush(mount.backend()).await.unwrap();
    assert_eq!(entries(&mount).await, numbered(&[MOST, MOST]));
}

#[tokio::test]
async fn an_entry_that_a_run_has_read_takes_no_more_until_the_run_is_over() {
    let mount = noted(5).await;
    let known = known(mount.backend()).await.unwrap();
    assert_eq!(known.ends.len(), 1, "one certificate");
    add(&mount, 2);
    flush(mount.backend()).await.unwrap();
    assert_eq!(entries(&mount).await, numbered(&[5, 2]));
    add(&mount, 3);
    known.settle(mount.backend(), false).await.unwrap();
    assert_eq!(entries(&mount).await, numbered(&[5, 5]));
}

#[tokio::test]
async fn entries_are_put_together_anew_once_much_of_them_is_gone() {
    for (staying, whole, left) in [(true, true, 1), (false, false, 1), (false, true, 0)] {
        let mount = noted(3).await;
        let mut known = known(mount.backend()).await.unwrap();
        let name = certificate().serial().dash();
        let (at, end) = known.find(&name).unwrap();
        // It ends in 2126.
        assert!(!end.is_exact() && end.time() < certificate().not_after());
        assert!(known.find(&name.to_uppercase()).is_none(), "another entry");
        if staying {
            known.stays(at);
        }
        known.settle(mount.backend(), whole).await.unwrap();
        let entries = entries(&mount).await;
        assert_eq!(entries.len(), left, "{staying} {whole}: {entries:?}");
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_costs_no_more_than_reading() {
    let mount = noted(0).await;
    let wrong: [(u32, &[u8]); 3] = [(1, b"{}"), (2, b""), (7, &[9; 25])];
    for (number, bytes) in wrong {
        let key = ends::key(number);
        let put = mount.storage().put(&key, bytes.to_vec());
        put.await.unwrap();
    }
    add(&mount, 1);
    let known = known(mount.backend()).await.unwrap();
    assert_eq!(
        (known.ends.len(), &known.numbers[..]),
        (1, &[1, 2, 7, 8][..])
    );
}
