//! The shared credentials file where others wrote it, mounted it, or run the command.

use std::os::unix::fs::{MetadataExt as _, symlink};

use super::*;

/// The unit of nodeadm for `enableCredentialsFile`, by its template of August 2026.
const UNIT: &str = "[Unit]
Description=Service that runs aws_signing_helper update to keep the AWS credentials refreshed in TARGET.

[Service]
User=root
Environment=AWS_SHARED_CREDENTIALS_FILE=TARGET
ExecStart=/usr/local/bin/aws_signing_helper update \\
        --certificate CERTIFICATE \\
        --private-key KEY \\
        --trust-anchor-arn ANCHOR \\
        --profile-arn PROFILE \\
        --role-arn ROLE \\
        --role-session-name NAME \\
        --region us-west-2 --with-proxy
Restart=always
RestartSec=10
";

/// What `update` of aws_signing_helper 1.8.0 leaves in a new file.
const OF_THE_HELPER: &str = "[default]\naws_access_key_id = ASIAOFTHEHELPER\n\
    aws_secret_access_key = s\naws_session_token = t\n\n";

/// landfast under the helper's name, started by the unit that nodeadm wrote, on the
/// file that the helper wrote.
#[test]
fn the_unit_of_nodeadm_runs_landfast_in_the_helpers_place() {
    let node = Node::new(&[]);
    let path = |name: &str| node.path(name).display().to_string();
    let file = path("credentials");
    fs::write(&file, OF_THE_HELPER).expect("a fresh folder");
    symlink(BINARY, path("aws_signing_helper")).expect("a fresh folder");
    let unit = [
        (
            "/usr/local/bin/aws_signing_helper",
            &*path("aws_signing_helper"),
        ),
        ("TARGET", &file),
        ("CERTIFICATE", &data("pki/rsa-leaf.crt")),
        ("KEY", &data("pki/rsa-leaf.key")),
        ("ANCHOR", node.lab.text("trustAnchorArn")),
        ("PROFILE", node.lab.text("profileArn")),
        ("ROLE", node.lab.text("roleArn")),
        ("NAME", NODE),
    ]
    .iter()
    .fold(UNIT.to_owned(), |unit, (name, value)| {
        unit.replace(name, value)
    });
    let unit = unit.replace("\\\n", " ");
    let line = |key: &str| {
        let found = unit.lines().find_map(|line| line.strip_prefix(key));
        found.unwrap_or_else(|| panic!("no {key}")).to_owned()
    };
    let (name, value) = {
        let environment = line("Environment=");
        let (name, value) = environment.split_once('=').expect("a variable");
        (name.to_owned(), value.to_owned())
    };
    let mut child = Command::new("sh")
        .args(["-c", &format!("exec {}", line("ExecStart="))])
        .env_clear()
        .env(name, value)
        // In the place of AWS.
        .env("AWS_ENDPOINT_URL", node.lab.text("endpoint"))
        .spawn()
        .expect("a shell runs");
    let text = until("credentials of landfast", Duration::from_secs(20), || {
        let text = fs::read_to_string(&file).expect("the file");
        text.contains("ASIALAB").then_some(text)
    });
    assert_eq!(text.matches("[default]").count(), 1, "{text}");
    assert!(!text.contains("ASIAOFTHEHELPER"), "{text}");
    assert!(matches!(child.try_wait(), Ok(None)), "it stays");
    terminate(&mut child);
    assert_eq!(child.wait().expect("our own child").code(), Some(0));
}

/// A header with a remark, a Region, and other profiles: boto reads the file before and
/// after, and finds all of it.
#[test]
fn boto_reads_what_was_there_beside_the_new_keys() {
    let node = Node::new(&[]);
    let file = node.path("credentials").display().to_string();
    fs::write(
        &file,
        "[other] # one\naws_access_key_id = AKIAOTHER\naws_secret_access_key = s\n\n\
         [default] # remark\nregion = eu-west-1\naws_access_key_id = AKIAOLD\n",
    )
    .expect("a fresh folder");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("our own file");
    for _ in 0..2 {
        text(&run(node.session("update").args([
            "--once",
            "--force",
            "--credentials-file",
            &file,
        ])));
    }
    let mode = fs::metadata(&file).expect("the file").mode();
    assert_eq!(mode & 0o777, 0o640);
    let (content, said) = node.python(
        "
import botocore.session
for profile in ('default', 'other'):
    session = botocore.session.Session(profile=profile)
    print(profile, session.get_credentials().access_key, session.get_config_variable('region'))
raw = botocore.configloader.raw_config_parse(os.environ['AWS_SHARED_CREDENTIALS_FILE'])
print('region', raw['default']['region'], sorted(raw['default']))",
        &[
            ("AWS_SHARED_CREDENTIALS_FILE", &file),
            ("AWS_CONFIG_FILE", "/nonexistent"),
        ],
    );
    assert!(content, "{said}");
    assert!(said.contains("default ASIALAB"), "{said}");
    assert!(said.contains("other AKIAOTHER"), "{said}");
    let keys = "region eu-west-1 ['aws_access_key_id', 'aws_secret_access_key', 'aws_session_token', 'region']";
    assert!(said.contains(keys), "{said}");
}

/// A file that is mounted by itself cannot be replaced: it is written, and is still the
/// file of the other side.
#[test]
fn a_file_that_is_mounted_by_itself_is_written() {
    let node = Node::new(&[]);
    let (outside, inside) = (node.path("outside"), node.path("inside"));
    for file in [&outside, &inside] {
        fs::write(file, "[default]\nregion = eu-west-1\n").expect("a fresh folder");
    }
    let inode = fs::metadata(&outside).expect("the file").ino();
    let update = node.session("update");
    let mut mounted = Command::new("unshare");
    mounted
        .args(["--mount", "--map-root-user", "sh", "-c"])
        .arg("mount --bind outside inside && exec \"$@\"")
        .arg("sh")
        .arg(update.get_program())
        .args(update.get_args())
        .args(["--once", "--force", "--credentials-file", "inside"])
        .env("HOME", node.dir.path())
        .current_dir(node.dir.path());
    text(&run(&mut mounted));
    let written = fs::read_to_string(&outside).expect("the file");
    assert!(
        written.starts_with("[default]\nregion = eu-west-1\n"),
        "{written}"
    );
    assert!(written.contains("ASIALAB"), "{written}");
    assert_eq!(fs::metadata(&outside).expect("the file").ino(), inode);
    let left = fs::read_dir(node.dir.path()).expect("our own folder");
    let rest = left.filter(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        name.to_string_lossy().ends_with(".new")
    });
    assert_eq!(rest.count(), 0, "nothing is left behind");
}
