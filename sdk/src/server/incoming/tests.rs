use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use rustix::time::{ClockId, clock_gettime};

use super::*;

fn request(path: usize, data: usize) -> pb::Request {
    pb::Request {
        operation: "update".to_owned(),
        path: format!("ocsp/{}", "ä".repeat(path / 2)),
        data: "ä".repeat(data / 2),
        mount_point: "pki/".to_owned(),
        client_token_accessor: "accessor".to_owned(),
        ..pb::Request::default()
    }
}

fn message(request: pb::Request) -> Vec<u8> {
    let args = pb::HandleRequestArgs {
        storage_id: 7,
        request: Some(request),
    };
    args.encode_to_vec()
}

fn of(request: pb::Request, asks: Asks) -> Incoming {
    Incoming::of(message(request).into(), asks).unwrap()
}

fn read(request: pb::Request) -> RawRequest {
    super::read(&message(request)).unwrap()
}

#[test]
fn what_a_stranger_sends_is_cut_where_it_is_refused() {
    let sent = pb::Request {
        unauthenticated: true,
        headers: HashMap::from([(
            "If-Modified-Since".to_owned(),
            pb::Header {
                header: vec!["x".repeat(100); 1000],
            },
        )]),
        display_name: "x".repeat(1 << 20),
        ..request(1 << 20, 1 << 20)
    };
    let read = read(sent.clone());
    for (text, all, most) in [
        (&read.path, &sent.path, MAX_PATH),
        (&read.data, &sent.data, LARGEST_OPEN_DATA),
    ] {
        assert!(all.starts_with(text.as_str()));
        assert!((most + 1..most + 5).contains(&text.len()), "{}", text.len());
    }
    assert!(read.headers.is_empty());
    assert_eq!(read.display_name, "");
    assert_eq!(read.client_token_accessor, "accessor");
    assert!(read.unauthenticated);
}

#[test]
fn what_is_short_enough_is_kept() {
    let sent = pb::Request {
        unauthenticated: true,
        headers: HashMap::from([(
            "If-Modified-Since".to_owned(),
            pb::Header {
                header: vec!["x".to_owned()],
            },
        )]),
        ..request(MAX_PATH - 10, LARGEST_OPEN_DATA)
    };
    let read = read(sent.clone());
    assert_eq!((read.path, read.data), (sent.path, sent.data));
    assert_eq!(read.headers.len(), 1);
}

#[test]
fn data_is_read_only_where_it_plays_a_part() {
    let sent = request(20, 1 << 20);
    let Incoming::Read(checked) = of(sent.clone(), Asks::Existence) else {
        panic!("not read");
    };
    assert_eq!(
        (checked.path, checked.data),
        (sent.path.clone(), String::new())
    );
    let resolving = pb::Request {
        operation: RESOLVE_PATH.to_owned(),
        ..sent.clone()
    };
    let Incoming::Read(resolved) = of(resolving, Asks::Answer) else {
        panic!("not read");
    };
    assert_eq!((resolved.path, resolved.data), (sent.path, String::new()));
}

#[test]
fn a_large_message_of_others_is_read_later() {
    let sent = request(20, 1 << 20);
    let incoming = of(sent.clone(), Asks::Answer);
    let Incoming::Unread(unread) = &incoming else {
        panic!("read");
    };
    assert_eq!(unread.head.path, sent.path);
    assert_eq!(unread.head.operation, "update");
    assert_eq!(unread.head.mount_point, "pki/");
    assert_eq!(unread.head.data, "");
    assert_eq!(incoming.read().unwrap().data, sent.data);
}

#[test]
fn what_is_no_message_is_refused() {
    let whole = message(request(1 << 16, 1 << 16));
    for bytes in [&whole[..whole.len() - 1], &[0xff; 10_000]] {
        assert!(super::read(bytes).is_err());
        let read = Incoming::of(Bytes::copy_from_slice(bytes), Asks::Answer);
        assert!(read.is_err());
    }
    // No text: found by who reads it.
    let open = pb::Request {
        unauthenticated: true,
        ..request(20, 1 << 16)
    };
    let mut broken = message(open);
    let at = broken.len() - (1 << 15);
    broken[at..].fill(0xff);
    assert!(super::read(&broken).is_err());
}

/// The processor's time that this thread takes to read each message, as little as it can be: what else the machine does adds nothing to it. They
/// take turns, so that a processor that changes its speed is as slow for one as for the others.
fn costs(messages: &[Vec<u8>]) -> Vec<Duration> {
    const ROUNDS: usize = 300;
    const MESSAGES: usize = 50;
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let mut least = vec![Duration::MAX; messages.len()];
    for _ in 0..ROUNDS {
        for (message, least) in messages.iter().zip(&mut least) {
            let begun = now();
            for _ in 0..MESSAGES {
                drop(super::read(std::hint::black_box(message)));
            }
            *least = (*least).min(now().saturating_sub(begun));
        }
    }
    least
}

/// Ten times the length is at most one and a half times the work.
#[test]
fn the_length_of_a_message_without_a_token_does_not_matter() {
    let open = || pb::Request {
        unauthenticated: true,
        ..request(20, 20)
    };
    type Lengthen = fn(pb::Request, usize) -> pb::Request;
    let shapes: [(&str, Lengthen); 5] = [
        ("path", |one, size| pb::Request {
            path: "ä".repeat(size / 2),
            ..one
        }),
        ("data", |one, size| pb::Request {
            data: "ä".repeat(size / 2),
            ..one
        }),
        ("header", |one, size| pb::Request {
            headers: HashMap::from([(
                "X".to_owned(),
                pb::Header {
                    header: vec!["x".to_owned(); size / 3],
                },
            )]),
            ..one
        }),
        ("certificate of the client", |one, size| pb::Request {
            connection: Some(pb::Connection {
                peer_certificates_raw: vec![vec![0; 10]; size / 12],
                ..pb::Connection::default()
            }),
            ..one
        }),
        ("path before anybody looked at a token", |one, size| {
            pb::Request {
                operation: RESOLVE_PATH.to_owned(),
                path: "a".repeat(size),
                data: "a".repeat(size),
                unauthenticated: false,
                ..one
            }
        }),
    ];
    let mut slow = Vec::new();
    for (what, lengthen) in shapes {
        // More than is read of it: data are read up to their own bound.
        let first = if what == "data" { 100_000 } else { 20_000 };
        let sizes = [first, 200_000, 2_000_000];
        let messages = sizes.map(|size| message(lengthen(open(), size)));
        let costs = costs(&messages);
        for (size, now) in sizes.iter().zip(&costs) {
            println!("{what} of {size} bytes: {now:?}");
        }
        for (size, pair) in sizes[1..].iter().zip(costs.windows(2)) {
            let (before, now) = (pair[0], pair[1]);
            if now > before * 3 / 2 {
                slow.push(format!("{what} of {size} bytes: {now:?} after {before:?}"));
            }
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_request_is_read_as_a_message_is(
        path in "[a-z/ä]{0,6000}",
        data in "[a-z{}ä]{0,6000}",
        names in proptest::collection::hash_map("[A-Z]{1,10}", "[a-z]{0,30}", 0..20),
        unauthenticated: bool,
        uses: i64,
    ) {
        let headers = names.into_iter().map(|(name, value)| (name, pb::Header { header: vec![value] }));
        let sent = pb::Request {
            path,
            data,
            headers: headers.collect(),
            unauthenticated,
            client_token_remaining_uses: uses,
            ..request(0, 0)
        };
        let want = convert::request(sent.clone());
        let got = read(sent.clone());
        if unauthenticated && want.data.len() > LARGEST_OPEN_DATA || want.path.len() > MAX_PATH {
            prop_assert!(want.path.starts_with(&got.path) && want.data.starts_with(&got.data));
        } else {
            prop_assert_eq!((&got.path, &got.data), (&want.path, &want.data));
        }
        prop_assert_eq!(got.unauthenticated, unauthenticated);
        prop_assert_eq!(got.headers.len(), want.headers.len());
        let whole = of(sent, Asks::Answer).read().unwrap();
        prop_assert_eq!((whole.path, whole.data), (got.path, got.data));
    }

    #[test]
    fn no_bytes_end_the_process(bytes in proptest::collection::vec(any::<u8>(), 0..6000)) {
        let _ = super::read(&bytes);
        let _ = Incoming::of(bytes.into(), Asks::Existence);
    }
}
