//! Where credentials and the Region come from, as the environment of a process has it.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::fake_aws::{FakeAws, REGION};
use super::host::fake;

const ROLE: &str = "arn:aws:iam::123456789012:role/workload";

fn document(access_key: &str) -> String {
    json!({
        "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2020-01-01T00:00:00Z",
        "AccessKeyId": access_key, "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z",
    })
    .to_string()
}

/// A machine with instance metadata, container credentials, a token file and shared files, all at once.
struct Machine {
    fake: FakeAws,
    home: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let fake = fake();
        fake.page("/pod", Some("pod-token"), &document("ASIACONTAINER0000000"));
        fake.page("/latest/api/token", None, "session");
        fake.page(
            "/latest/meta-data/iam/security-credentials/",
            None,
            "instance-role",
        );
        fake.page(
            "/latest/meta-data/iam/security-credentials/instance-role",
            None,
            &document("ASIAINSTANCE00000000"),
        );
        fake.page("/latest/meta-data/placement/region", None, REGION);
        let home = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(home.path().join(".aws")).expect("a fresh folder");
        let write = |name: &str, text: &str| {
            std::fs::write(home.path().join(name), text).expect("a file of ours")
        };
        write(
            ".aws/credentials",
            "[default]\naws_access_key_id = AKIAFILEDEFAULT00000\naws_secret_access_key = s\n[other]\naws_access_key_id = AKIAFILEOTHER0000000\naws_secret_access_key = s\n",
        );
        write(".aws/config", "[default]\nregion = eu-west-1\n");
        write("token", "web-token");
        write("pod-token", "pod-token");
        Self { fake, home }
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    /// Runs `landfast unseal check` and returns its exit code, what it said, and the access key and Region of its calls.
    fn check(
        &self,
        environment: &[(&str, &str)],
        values: &[&str],
    ) -> (Option<i32>, String, Option<(String, String)>) {
        let url = self.fake.url();
        self.fake.take_operations();
        let output = Command::new(env!("CARGO_BIN_EXE_landfast"))
            .env_clear()
            .env("HOME", self.home.path())
            .env("AWS_KMS_ENDPOINT", &url)
            .env("AWS_ENDPOINT_URL_STS", &url)
            .envs(environment.iter().copied())
            .args(["unseal", "check", "kms_key_id=alias/bao-unseal"])
            .args(values)
            .output()
            .expect("the binary under test runs");
        let calls = self.fake.calls();
        let call = calls
            .into_iter()
            .find(|call| call.operation == "DescribeKey");
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        (
            output.status.code(),
            said,
            call.map(|call| (call.access_key, call.region)),
        )
    }
}

#[test]
fn the_first_source_that_is_set_up_decides() {
    let machine = Machine::new();
    let (url, token, pod) = (
        machine.fake.url(),
        machine.path("token"),
        machine.path("pod-token"),
    );
    let pod_url = format!("{url}/pod");
    let all = [
        ("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT00000"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", pod_url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", pod.as_str()),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()),
        ("AWS_REGION", REGION),
    ];
    let who = |environment: &[(&str, &str)], values: &[&str]| {
        let (code, said, call) = machine.check(environment, values);
        assert_eq!(code, Some(0), "{said}");
        call.expect("a call").0
    };
    assert_eq!(
        who(
            &all,
            &[
                "access_key=AKIASTANZA0000000000",
                "secret_key=env://AWS_SECRET_ACCESS_KEY"
            ]
        ),
        "AKIASTANZA0000000000"
    );
    assert_eq!(who(&all, &[]), "AKIAENVIRONMENT00000");
    assert_eq!(who(&all[2..], &[]), "AKIAFILEDEFAULT00000");
    assert_eq!(
        who(&all[2..], &["shared_creds_profile=other"]),
        "AKIAFILEOTHER0000000"
    );
    let profile = [all.as_slice(), &[("AWS_PROFILE", "other")]].concat();
    assert_eq!(
        who(&profile[2..], &["shared_creds_profile=default"]),
        "AKIAFILEOTHER0000000"
    );
    std::fs::remove_file(machine.home.path().join(".aws/credentials")).expect("removes");
    assert!(
        who(&all[2..], &[]).starts_with("ASIASESSION"),
        "web identity"
    );
    assert_eq!(who(&all[4..], &[]), "ASIACONTAINER0000000");
    assert_eq!(who(&all[6..], &[]), "ASIAINSTANCE00000000");

    // A role of the stanza is taken on with whatever was found.
    let role = "role_arn=arn:aws:iam::123456789012:role/unseal";
    assert!(who(&all[6..], &[role, "role_external_id=x"]).starts_with("ASIASESSION"));
    let calls = machine.fake.calls();
    let assumed = calls
        .iter()
        .find(|call| call.operation == "AssumeRole")
        .expect("assumed");
    assert_eq!(
        (
            assumed.access_key.as_str(),
            &assumed.parameters["ExternalId"]
        ),
        ("ASIAINSTANCE00000000", &json!("x"))
    );
}

#[test]
fn a_source_that_is_set_up_but_fails_lets_no_other_identity_in() {
    let machine = Machine::new();
    std::fs::remove_file(machine.home.path().join(".aws/credentials")).expect("removes");
    let url = machine.fake.url();
    let pod = format!("{url}/pod");
    let environment = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", pod.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()),
        ("AWS_REGION", REGION),
    ];
    let (code, said, call) = machine.check(&environment, &[]);
    assert!(code == Some(1) && call.is_none(), "{said}");
    assert!(
        said.contains("the container credentials endpoint"),
        "{said}"
    );
    let (code, said, call) = machine.check(&environment[2..], &["shared_creds_profile=absent"]);
    assert!(
        code == Some(1) && call.is_none() && said.contains("profile"),
        "{said}"
    );
}

#[test]
fn the_region_comes_from_the_first_that_names_one() {
    let machine = Machine::new();
    let url = machine.fake.url();
    let metadata = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str());
    let region = |environment: &[(&str, &str)], values: &[&str]| {
        let environment = [environment, &[metadata]].concat();
        let (_, said, call) = machine.check(&environment, values);
        let (_, region) = call.expect("a call");
        assert!(said.contains(&region), "{said}");
        region
    };
    let both = [
        ("AWS_REGION", "eu-west-2"),
        ("AWS_DEFAULT_REGION", "eu-west-3"),
    ];
    let arn =
        "kms_key_id=arn:aws:kms:eu-north-1:123456789012:key/56a8845f-5459-443d-a710-41dc72237c19";
    assert_eq!(region(&both, &["region=eu-south-1"]), "eu-south-1");
    assert_eq!(region(&both, &[arn]), "eu-north-1", "the key's ARN");
    assert_eq!(region(&both, &[]), "eu-west-2");
    assert_eq!(region(&both[1..], &[]), "eu-west-3");
    assert_eq!(region(&[], &[]), "eu-west-1", "the shared configuration");
    std::fs::remove_file(machine.home.path().join(".aws/config")).expect("removes");
    assert_eq!(region(&[], &[]), REGION, "instance metadata");
}

#[test]
fn silent_instance_metadata_costs_a_second_and_not_half_a_minute() {
    let machine = Machine::new();
    std::fs::remove_dir_all(machine.home.path().join(".aws")).expect("removes");
    // A listener that takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", silent.local_addr().expect("bound"));
    let environment = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str())];
    let began = Instant::now();
    let (code, said, _) = machine.check(&environment, &[]);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert!(
        code == Some(1) && said.contains("no valid providers in chain"),
        "{said}"
    );
    assert!(said.contains("us-east-1"), "{said}");
    let off = Instant::now();
    let (_, said, _) = machine.check(&environment, &["imds=off", "region=eu-west-1"]);
    assert!(
        off.elapsed() < Duration::from_secs(1) && !said.contains("instance metadata:"),
        "{said}"
    );
}
