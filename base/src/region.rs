//! AWS's partitions and Regions.
//!
//! Source: `partitions.json` of the AWS SDKs.

/// A group of Regions with accounts of its own.
#[derive(Debug, PartialEq, Eq)]
pub struct Partition {
    /// The second part of its ARNs, such as `aws-cn`.
    pub name: &'static str,
    /// The domain of its service endpoints.
    pub dns_suffix: &'static str,
    /// The domain of its service endpoints with IPv4 and IPv6.
    pub dual_stack_suffix: &'static str,
    /// How the names of its Regions begin. Those of the first partition begin as none of the others.
    regions: &'static [&'static str],
}

const PARTITIONS: [Partition; 8] = [
    Partition::new("aws", &[], "amazonaws.com", "api.aws"),
    Partition::new(
        "aws-cn",
        &["cn-"],
        "amazonaws.com.cn",
        "api.amazonwebservices.com.cn",
    ),
    Partition::new("aws-us-gov", &["us-gov-"], "amazonaws.com", "api.aws"),
    Partition::new("aws-iso", &["us-iso-"], "c2s.ic.gov", "api.aws.ic.gov"),
    Partition::new(
        "aws-iso-b",
        &["us-isob-"],
        "sc2s.sgov.gov",
        "api.aws.scloud",
    ),
    Partition::new(
        "aws-iso-e",
        &["eu-isoe-"],
        "cloud.adc-e.uk",
        "api.cloud-aws.adc-e.uk",
    ),
    Partition::new(
        "aws-iso-f",
        &["us-isof-", "eu-isof-"],
        "csp.hci.ic.gov",
        "api.aws.hci.ic.gov",
    ),
    Partition::new(
        "aws-eusc",
        &["eusc-"],
        "amazonaws.eu",
        "api.amazonwebservices.eu",
    ),
];

impl Partition {
    const fn new(
        name: &'static str,
        regions: &'static [&'static str],
        dns_suffix: &'static str,
        dual_stack_suffix: &'static str,
    ) -> Self {
        Self {
            name,
            dns_suffix,
            dual_stack_suffix,
            regions,
        }
    }

    /// The partition of this name; `aws` for one that is not known.
    pub fn named(name: &str) -> &'static Self {
        let found = PARTITIONS.iter().find(|one| one.name == name);
        found.unwrap_or(&PARTITIONS[0])
    }

    /// The partition that a Region belongs to, by the Region's name.
    pub fn of_region(region: &str) -> &'static Self {
        let begins = |one: &&Self| one.regions.iter().any(|start| region.starts_with(start));
        PARTITIONS.iter().find(begins).unwrap_or(&PARTITIONS[0])
    }
}

/// Whether a host of this name is one of AWS's service endpoints, in any partition.
pub fn is_aws_host(host: &str) -> bool {
    let below = |suffix: &str| {
        host.strip_suffix(suffix)
            .is_some_and(|rest| rest.ends_with('.'))
    };
    PARTITIONS
        .iter()
        .any(|one| below(one.dns_suffix) || below(one.dual_stack_suffix))
}

/// Whether a text has the form of a Region's name, such as `us-gov-west-1`: two or three words of letters and a number.
///
/// Source: AWS KMS API reference, the pattern of `ReplicaRegion`.
pub fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else {
        return false;
    };
    let all = |part: &str, of: fn(&u8) -> bool| !part.is_empty() && part.bytes().all(|b| of(&b));
    text.len() <= 32
        && matches!(words.len(), 2 | 3)
        && words.iter().all(|word| all(word, u8::is_ascii_lowercase))
        && all(number, u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_words_and_a_number() {
        for good in [
            "us-west-2",
            "us-gov-east-1",
            "eusc-de-east-1",
            "us-isob-east-1",
        ] {
            assert!(is_region(good), "{good}");
        }
        for bad in [
            "",
            "uswest2",
            "us-west",
            "US-WEST-2",
            "us west-2",
            "us--2",
            "us-west-2.",
            "us-west-2/x",
            "-west-2",
        ] {
            assert!(!is_region(bad), "{bad}");
        }
    }

    /// The suffixes of all eight partitions, as AWS's SDKs list them.
    #[test]
    fn each_partition_has_its_domain_and_its_regions() {
        for (partition, region, suffix) in [
            ("aws", "us-west-2", "amazonaws.com"),
            ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
            ("aws-us-gov", "us-gov-east-1", "amazonaws.com"),
            ("aws-iso", "us-iso-east-1", "c2s.ic.gov"),
            ("aws-iso-b", "us-isob-east-1", "sc2s.sgov.gov"),
            ("aws-iso-e", "eu-isoe-west-1", "cloud.adc-e.uk"),
            ("aws-iso-f", "us-isof-south-1", "csp.hci.ic.gov"),
            ("aws-iso-f", "eu-isof-north-1", "csp.hci.ic.gov"),
            ("aws-eusc", "eusc-de-east-1", "amazonaws.eu"),
        ] {
            assert_eq!(
                Partition::named(partition).dns_suffix,
                suffix,
                "{partition}"
            );
            assert_eq!(Partition::of_region(region).name, partition, "{region}");
        }
        assert_eq!(Partition::named("aws-new").dns_suffix, "amazonaws.com");
        assert_eq!(Partition::of_region("eu-central-1").name, "aws");
    }

    /// Every Region that AWS's SDKs know at the time of writing, by partition.
    #[test]
    fn every_region_of_aws_has_the_form_and_its_partition() {
        for (partition, regions) in [
            (
                "aws",
                "af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 \
                 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 \
                 ap-southeast-7 ca-central-1 ca-west-1 eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 \
                 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 me-west-1 mx-central-1 sa-east-1 \
                 sa-west-1 us-east-1 us-east-2 us-west-1 us-west-2",
            ),
            ("aws-cn", "cn-north-1 cn-northwest-1"),
            ("aws-us-gov", "us-gov-east-1 us-gov-west-1"),
            ("aws-iso", "us-iso-east-1 us-iso-west-1"),
            ("aws-iso-b", "us-isob-east-1 us-isob-west-1"),
            ("aws-iso-e", "eu-isoe-west-1"),
            ("aws-iso-f", "us-isof-east-1 us-isof-south-1"),
            ("aws-eusc", "eusc-de-east-1"),
        ] {
            for region in regions.split(' ') {
                assert!(is_region(region), "{region}");
                assert_eq!(Partition::of_region(region).name, partition, "{region}");
            }
        }
        for bad in [
            "us1-west-2",
            "a-b-c-d-1",
            &format!("eu-{}-1", "a".repeat(28)),
        ] {
            assert!(!is_region(bad), "{bad}");
        }
    }

    #[test]
    fn hosts_below_a_suffix_are_of_aws() {
        for host in [
            "kms.eu-central-1.amazonaws.com",
            "vpce-0a.kms.eu-central-1.vpce.amazonaws.com",
            "kms.cn-north-1.amazonaws.com.cn",
            "kms.eusc-de-east-1.api.amazonwebservices.eu",
            "kms.us-iso-east-1.c2s.ic.gov",
        ] {
            assert!(is_aws_host(host), "{host}");
        }
        for host in [
            "",
            "amazonaws.com",
            "notamazonaws.com",
            "amazonaws.com.example.org",
        ] {
            assert!(!is_aws_host(host), "{host}");
        }
    }
}
