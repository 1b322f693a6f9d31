use proptest::prelude::*;

use super::*;

fn may(networks: &str, address: &str) -> Result<(), String> {
    let networks: Networks = networks.parse().unwrap();
    let checked = networks.check(address.parse().unwrap());
    checked.map_err(|problem| {
        assert_eq!(problem.kind, Kind::Connection);
        problem.detail
    })
}

#[test]
fn words_are_for_kinds_of_addresses() {
    for (address, public, private) in [
        ("8.8.8.8", true, false),
        ("2a00:1450::1", true, false),
        ("10.1.2.3", false, true),
        ("172.16.0.1", false, true),
        ("172.32.0.1", true, false),
        ("192.168.1.1", false, true),
        ("100.64.0.1", false, true),
        ("fd12:3456::1", false, true),
    ] {
        assert_eq!(may("public", address).is_ok(), public, "{address}");
        assert_eq!(may("private", address).is_ok(), private, "{address}");
        assert!(may("public,private", address).is_ok(), "{address}");
        assert!(may("", address).is_err(), "{address}");
    }
}

const SPECIALS: [&str; 31] = [
    "0.0.0.0",
    "0.1.2.3",
    "127.0.0.1",
    "127.255.255.255",
    "169.254.169.254",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "3fff::1",
    "2001::1",
    "fd00:ec2::254",
    "100::1",
    "64:ff9b:1::1",
    "5f00::1",
    "4000::1",
    "192.88.99.1",
];

#[test]
fn special_addresses_are_in_no_word_and_no_larger_network() {
    for address in SPECIALS {
        let text = may("public,private,0.0.0.0/0,::/0", address).expect_err(address);
        assert!(
            text.contains(address) && text.contains("config/acme-validation"),
            "{text}"
        );
    }
}

#[test]
fn special_addresses_can_be_listed() {
    for address in SPECIALS {
        assert_eq!(may(address, address), Ok(()), "{address}");
    }
    assert!(may("127.0.0.0/8", "127.0.0.1").is_ok());
    assert!(may("127.0.0.0/8", "127.1.0.1").is_ok());
    assert!(may("127.0.0.1", "127.0.0.2").is_err());
    assert!(may("169.254.10.0/24", "169.254.169.254").is_err());
}

/// However an address is dressed up, it is judged as what it leads to.
#[test]
fn an_address_inside_of_another_is_the_one_that_counts() {
    for dressed in [
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "2002:7f00:1::1",
        "2002:7f00:1:5::",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "::ffff:0.0.0.0",
    ] {
        let text = may("public,private,::/0,0.0.0.0/0", dressed).expect_err(dressed);
        assert!(
            text.contains("127.0.0.1") || text.contains("169.254") || text.contains("0.0.0.0"),
            "{text}"
        );
    }
    assert!(may("public", "64:ff9b::10.1.2.3").is_err());
    assert!(may("private", "64:ff9b::10.1.2.3").is_ok());
    assert!(may("public", "64:ff9b::8.8.8.8").is_ok());
    assert!(may("10.0.0.0/8", "::ffff:10.1.2.3").is_ok());
    let text = may("public", "64:ff9b::10.1.2.3").unwrap_err();
    assert!(
        text.contains("stands for 10.1.2.3, which is a private address"),
        "{text}"
    );
}

#[test]
fn an_error_says_what_the_operator_can_do() {
    assert_eq!(
        may("public", "10.1.2.3").unwrap_err(),
        "10.1.2.3 is a private address: the operator of this mount may allow it with 'private' in networks of config/acme-validation"
    );
    let text = may("public", "127.0.0.1").unwrap_err();
    assert!(
        text.contains("a loopback address (127.0.0.0/8)") && text.contains("'127.0.0.1/32'"),
        "{text}"
    );
}

#[test]
fn lists_have_one_form() {
    let networks: Networks = " private, 10.1.2.3/8 ,public,192.0.2.1,2001:DB8::1, 10.0.0.0/8"
        .parse()
        .unwrap();
    let text = "public,private,10.0.0.0/8,192.0.2.1/32,2001:db8::1/128";
    assert_eq!(networks.to_string(), text);
    assert_eq!(text.parse(), Ok(networks.clone()));
    assert_eq!(Networks::parse(networks.items()), Ok(networks));
    assert_eq!("".parse(), Ok(Networks::none()));
    assert_eq!(Networks::default().to_string(), "public,private");
    for bad in [
        "Public",
        "10.0.0.0/33",
        "10.0.0",
        "example.com",
        "public,,private",
        "-",
    ] {
        let error = bad.parse::<Networks>().expect_err(bad).to_string();
        assert!(error.contains("'public', 'private'"), "{error}");
    }
}

proptest! {
    #[test]
    fn no_address_that_leads_to_this_host_is_let_through(octets: [u8; 3], dress in 0..6_usize, rest: u64) {
        let inner = Ipv4Addr::new(127, octets[0], octets[1], octets[2]);
        let bits = u128::from(inner.to_bits());
        let six = |high: u128, low: u128| std::net::Ipv6Addr::from_bits(high | low);
        let address: IpAddr = match dress {
            0 => inner.into(),
            1 => six(0xffff << 32, bits).into(),
            2 => six(0, bits).into(),
            3 => six(0xffff << 48, bits).into(),
            4 => six(0x64_ff9b << 96, bits).into(),
            _ => six(0x2002 << 112 | bits << 80, rest.into()).into(),
        };
        let open: Networks = "public,private,0.0.0.0/0,::/0".parse().unwrap();
        prop_assert!(open.check(address).is_err(), "{}", address);
    }

    #[test]
    fn texts_from_anywhere_are_read_or_refused(text in "[0-9a-z:./, ]{0,40}") {
        if let Ok(networks) = text.parse::<Networks>() {
            prop_assert_eq!(networks.to_string().parse(), Ok(networks));
        }
    }
}
