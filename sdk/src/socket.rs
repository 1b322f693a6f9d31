//! The socket on which the host finds the plugin.

use std::{
    fs, io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, chown},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use rustix::{fs::Mode, process::umask};

/// Longest path of a unix socket on Linux, in bytes: `sun_path` has 108 with its final zero.
const LONGEST_PATH: usize = 107;

/// A listening unix socket that is removed from the file system when it is dropped.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: Option<UnixListener>,
    path: PathBuf,
}

/// Why the socket could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// The kernel's limit would cut the path, and the host would look in another place.
    #[error(
        "the socket path {} has {} bytes, more than the {LONGEST_PATH} that a unix socket can have: set TMPDIR (or PLUGIN_UNIX_SOCKET_DIR) \
         to a shorter directory",
        path.display(), path.as_os_str().len()
    )]
    PathTooLong {
        /// The path that was wanted.
        path: PathBuf,
    },
    /// The host reads the address as text.
    #[error("the socket directory {} is not valid UTF-8 or holds a '|' or a line break", .0.display())]
    PathNotText(PathBuf),
    /// The group that must be able to open the socket is not known.
    #[error("PLUGIN_UNIX_SOCKET_GROUP names the group {0:?}, which is not in /etc/group")]
    UnknownGroup(String),
    /// The operating system refused.
    #[error("cannot make the socket {}: {source}", path.display())]
    Io {
        /// The path that was wanted.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Socket {
    /// Makes a socket with a name nobody can foresee. Only our own user can open it, and the members of `group` when there is one.
    pub(crate) fn bind(
        dir: &Path,
        group: Option<&str>,
        random: [u8; 8],
    ) -> Result<Self, SocketError> {
        let path = dir.join(format!("plugin-{:016x}", u64::from_be_bytes(random)));
        if path.as_os_str().as_bytes().len() > LONGEST_PATH {
            return Err(SocketError::PathTooLong { path });
        }
        if path
            .to_str()
            .is_none_or(|text| text.contains(['|', '\n', '\r']))
        {
            return Err(SocketError::PathNotText(dir.to_owned()));
        }
        let gid = group.map(group_id).transpose()?;
        let failed = |source| SocketError::Io {
            path: path.clone(),
            source,
        };

        // The mask is the process's: this runs before any other thread exists.
        let mask = umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(&path);
        umask(mask);
        let socket = Self {
            listener: Some(bound.map_err(failed)?),
            path: path.clone(),
        };
        if gid.is_some() {
            chown(&path, None, gid).map_err(failed)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).map_err(failed)?;
        }
        Ok(socket)
    }

    /// The address for the handshake line.
    pub(crate) fn address(&self) -> &str {
        self.path.to_str().expect("bind() accepts only text")
    }

    /// Hands the listener to the runtime.
    ///
    /// # Errors
    /// When there is no runtime, or the listener was taken before.
    pub(crate) fn listen(&mut self) -> io::Result<tokio::net::UnixListener> {
        let listener = self.listener.take().ok_or(io::ErrorKind::NotConnected)?;
        listener.set_nonblocking(true)?;
        tokio::net::UnixListener::from_std(listener)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Gone already when the host has removed its directory.
        let _ = fs::remove_file(&self.path);
    }
}

fn group_id(group: &str) -> Result<u32, SocketError> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    fs::read_to_string("/etc/group")
        .unwrap_or_default()
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == group).then(|| fields.nth(1)?.parse().ok())?
        })
        .ok_or_else(|| SocketError::UnknownGroup(group.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_can_open_it_and_it_goes_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let socket = Socket::bind(dir.path(), None, [1; 8]).unwrap();
        let path = PathBuf::from(socket.address());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_group_may_open_it_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let ours = rustix::process::getgid().as_raw();
        let socket = Socket::bind(dir.path(), Some(&ours.to_string()), [2; 8]).unwrap();
        let mode = fs::metadata(socket.address()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let unknown = Socket::bind(dir.path(), Some("no such group"), [3; 8]);
        assert!(matches!(unknown, Err(SocketError::UnknownGroup(_))));
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "a refused socket leaves nothing behind"
        );
    }

    #[test]
    fn a_path_the_kernel_would_cut_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let name = "plugin-0000000000000000".len() + 1;
        let fill = LONGEST_PATH - name - dir.path().as_os_str().len() - 1;
        let fits = dir.path().join("x".repeat(fill));
        fs::create_dir(&fits).unwrap();
        Socket::bind(&fits, None, [0; 8]).unwrap();
        let long = dir.path().join("x".repeat(fill + 1));
        fs::create_dir(&long).unwrap();
        let error = Socket::bind(&long, None, [0; 8]).unwrap_err();
        assert!(error.to_string().contains("108 bytes"), "{error}");
    }

    #[test]
    fn a_path_that_would_break_the_handshake_line_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("a|b");
        fs::create_dir(&odd).unwrap();
        assert!(matches!(
            Socket::bind(&odd, None, [0; 8]),
            Err(SocketError::PathNotText(_))
        ));
    }
}
