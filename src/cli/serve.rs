//! `landfast serve`: a session over HTTP on this machine.

use std::convert::Infallible;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use landfast_node::files;
use landfast_node::provider::Provider;
use landfast_node::refresh::{self, Trouble};
use landfast_node::serve::{self, Gate, Instance, Service, Settings};
use landfast_node::session::SessionRequest;
use serde_json::json;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use super::log::{self, Detail};
use super::{Failure, output, session, values};

const EXAMPLES: &str = "\
Examples:
  # for every SDK, as the instance metadata service
  landfast serve --trust-anchor-arn ARN --profile-arn ARN --role-arn ARN
  AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:9911/ \\
    aws sts get-caller-identity

  # as the container credentials endpoint, for those who may read the token
  landfast serve --token-file /run/landfast/token --no-metadata \\
    --trust-anchor-arn ARN --profile-arn ARN --role-arn ARN
  AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:9911/credentials \\
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/run/landfast/token \\
    aws sts get-caller-identity

  # on a unix socket, for those who may write to it
  landfast serve --unix-socket /run/landfast/socket --socket-mode 660 \\
    --trust-anchor-arn ARN --profile-arn ARN --role-arn ARN
  curl --unix-socket /run/landfast/socket http://localhost/credentials

Once it listens, one JSON line on standard output says where. On an address,
every user of the machine may ask the metadata service, and those who may read
the token file ask /credentials; --no-metadata leaves only these. A unix socket
serves both to those who may write to it, and /credentials wants the token as
well once there is a --token-file.";

/// Serve temporary AWS credentials on this machine
///
/// Speaks the protocols of the EC2 instance metadata service (version 2) and of
/// the ECS container credentials endpoint. The session is renewed at half of
/// its life; while AWS is away, the one in place is served until its end, and
/// after that AWS is asked whenever somebody asks here.
#[derive(Args, Debug)]
#[command(after_help = super::help::below(EXAMPLES, &[]))]
pub(super) struct Arguments {
    #[command(flatten)]
    session: session::SessionArguments,

    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 9911)]
    port: u16,

    /// Address and port, in place of 127.0.0.1 and --port
    #[arg(long, value_name = "IP:PORT", conflicts_with = "port", value_parser = values::listener)]
    listen: Option<SocketAddr>,

    /// Let --listen be an address that other machines reach: all of them get
    /// credentials
    #[arg(long, requires = "listen")]
    allow_remote: bool,

    /// How many hops an answer may travel (the time to live of its packets)
    #[arg(long, value_name = "HOPS", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=255))]
    hop_limit: u32,

    /// A unix socket in place of an address; its permissions say who may ask
    #[arg(long, value_name = "PATH", conflicts_with_all = ["port", "listen"])]
    unix_socket: Option<PathBuf>,

    /// The socket's permissions
    #[arg(long, value_name = "OCTAL", default_value = "600", value_parser = values::permissions, requires = "unix_socket")]
    socket_mode: u32,

    /// Serve /credentials to those who show this file's content; made if it is
    /// not there. Without it, /credentials is served on a unix socket only
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Serve /credentials only, and no instance metadata
    #[arg(long)]
    no_metadata: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.session.log(Detail::Warnings);
    let options = arguments.session.options()?;
    let address = arguments
        .listen
        .unwrap_or_else(|| (Ipv4Addr::LOCALHOST, arguments.port).into());
    if !address.ip().is_loopback() && !arguments.allow_remote {
        return Err(Failure::Usage(format!(
            "{address} is no loopback address: every machine that reaches it would get credentials; --allow-remote says that this is meant"
        )));
    }
    let container = match &arguments.token_file {
        Some(path) => Gate::Token(serve::bearer(path).map_err(Failure::of)?),
        None if arguments.unix_socket.is_some() => Gate::Socket,
        None if arguments.no_metadata => {
            return Err(Failure::Usage(
                "--no-metadata leaves nothing to serve; add --token-file or --unix-socket".into(),
            ));
        }
        None => Gate::Closed,
    };
    let service = Service::new(Settings {
        role: options.request.role.name().to_owned(),
        role_arn: options.request.role.to_string(),
        container,
        metadata: !arguments.no_metadata,
        own_host_only: address.ip().is_loopback() && arguments.unix_socket.is_none(),
        instance: Instance {
            region: options.endpoint.region.clone(),
            account: options.request.role.account.clone(),
            id: name(&options.request),
        },
        clock: Timestamp::now,
    })
    .map_err(Failure::of)?;
    let provider = Provider::new(options);
    super::runtime::block_on(async {
        let deliver = |new| {
            service.set(new);
            Ok::<(), Infallible>(())
        };
        let keep = refresh::keep(&provider, Timestamp::now, service.nudge(), deliver, report);
        // Requests under way end with the process, as the credentials that they ask for.
        let (_never, over) = watch::channel(false);
        let stopped = super::runtime::stopped();
        let failed = |error: std::io::Error| Failure::Failed(error.to_string());
        match &arguments.unix_socket {
            Some(path) => {
                let listener = unix(path, arguments.socket_mode)
                    .map_err(|error| Failure::file(path, &error))?;
                if let Err(failure) = output::print(&format!("{}\n", json!({"socket": path}))) {
                    // Nobody is to find a socket that nobody serves.
                    let _ = fs::remove_file(path);
                    return Err(failure);
                }
                tokio::select! {
                    never = keep => match never {},
                    () = service.serve(listener, over) => {}
                    () = stopped => {}
                }
                fs::remove_file(path).map_err(|error| Failure::file(path, &error))
            }
            None => {
                let listener = TcpListener::bind(address)
                    .await
                    .map_err(|error| Failure::Failed(format!("{address}: {error}")))?;
                listener.set_ttl(arguments.hop_limit).map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                let endpoint = json!({"endpoint": format!("http://{address}")});
                output::print(&format!("{endpoint}\n"))?;
                tokio::select! {
                    never = keep => match never {},
                    () = service.serve(listener, over) => {}
                    () = stopped => {}
                }
                Ok(())
            }
        }
    })?
}

/// The node's name, as the session has it.
fn name(request: &SessionRequest) -> String {
    let name = request.session_name.as_deref();
    name.unwrap_or_else(|| request.role.name()).to_owned()
}

/// Listens on a path with these permissions from the first moment: the socket
/// is made beside it and renamed. A socket that nobody listens on is replaced.
fn unix(path: &Path, mode: u32) -> std::io::Result<UnixListener> {
    if let Ok(metadata) = fs::symlink_metadata(path)
        && (!metadata.file_type().is_socket()
            || std::os::unix::net::UnixStream::connect(path).is_ok())
    {
        return Err(std::io::ErrorKind::AddrInUse.into());
    }
    let directory = files::parent(path);
    let private = tempdir(directory)?;
    let fresh = private.join("socket");
    let made = UnixListener::bind(&fresh).and_then(|listener| {
        fs::set_permissions(&fresh, fs::Permissions::from_mode(mode))?;
        fs::rename(&fresh, path)?;
        Ok(listener)
    });
    // The rename took the socket out of it; what a failure left goes as well.
    let _ = fs::remove_dir_all(&private);
    made
}

/// A directory that only we can enter.
fn tempdir(parent: &Path) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;

    let path = parent.join(format!(".landfast-{}", std::process::id()));
    fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

fn report(trouble: &Trouble<Infallible>, pause: Duration) {
    if let Trouble::Provider(error) = trouble {
        log::trouble(&error.into(), pause);
    }
}
