//! Large bodies that the kernel has too, in a file without a name, so that it sends them without copying them for each client.
//!
//! What is written to a connection comes as a slice of memory. Where that memory is the body of something that is kept, there is a file with the same octets; for the rest, and
//! where a system has no such files, slices are written as always. A body is found by its address, which nothing else can have while it is kept.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError, RwLock};

use hyper::body::Bytes;
use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create, open, sendfile};
use rustix::io::Errno;

/// Octets of a body from which on that pays.
const LEAST: usize = 128 * 1024;

/// Octets of a slice from which on it is looked for.
const LEAST_PART: usize = 16 * 1024;

static ALL: RwLock<Vec<Arc<Kept>>> = RwLock::new(Vec::new());

/// The octets of a body in a file.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The address of the body.
    start: usize,
    length: usize,
    file: File,
}

/// Keeps a body's file until it is dropped. It has to be dropped before the body.
#[derive(Debug)]
pub(crate) struct Keeping(Arc<Kept>);

impl Drop for Keeping {
    fn drop(&mut self) {
        let mut all = ALL.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|kept| !Arc::ptr_eq(kept, &self.0));
    }
}

/// Makes a file of a body; nothing where it is small, or the system refuses.
pub(crate) fn keep(body: &Bytes) -> Option<Keeping> {
    if body.len() < LEAST {
        return None;
    }
    let made = file_of(body);
    let file = made
        .inspect_err(|error| tracing::debug!(%error, "no file for a large body"))
        .ok()?;
    let kept = Arc::new(Kept {
        start: body.as_ptr().addr(),
        length: body.len(),
        file,
    });
    let mut all = ALL.write().unwrap_or_else(PoisonError::into_inner);
    all.push(kept.clone());
    Some(Keeping(kept))
}

/// A file without a name. One of a disk goes out for less than one of memory alone, for its pages are larger.
fn file_of(body: &[u8]) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let written = |file: OwnedFd| {
        let mut file = File::from(file);
        file.write_all(body)?;
        Ok(file)
    };
    let on_disk = open(std::env::temp_dir(), flags, mode).map_err(io::Error::from);
    on_disk.and_then(written).or_else(|error| {
        tracing::debug!(%error, "no temporary file");
        written(memfd_create("landfast-public", MemfdFlags::CLOEXEC)?)
    })
}

/// The file with the octets of a slice, and where they begin in it.
pub(crate) fn find(slice: &[u8]) -> Option<(Arc<Kept>, u64)> {
    if slice.len() < LEAST_PART {
        return None;
    }
    let start = slice.as_ptr().addr();
    let all = ALL.read().unwrap_or_else(PoisonError::into_inner);
    let holds = |kept: &&Arc<Kept>| {
        let offset = start.checked_sub(kept.start);
        offset.is_some_and(|offset| offset < kept.length && slice.len() <= kept.length - offset)
    };
    let kept = all.iter().find(holds)?;
    let offset = u64::try_from(start - kept.start).ok()?;
    Some((kept.clone(), offset))
}

impl Kept {
    /// Sends octets of the file, and says how many went.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn send(&self, to: impl AsFd, offset: u64, length: usize) -> io::Result<usize> {
        let mut offset = offset;
        Ok(sendfile(to, &self.file, Some(&mut offset), length)?)
    }
}

/// Whether a system says that it does not send files of this kind, or not there.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    let refusals = [Errno::INVAL, Errno::NOSYS, Errno::PERM, Errno::OPNOTSUPP];
    refusals
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn body(fill: u8) -> Bytes {
        let octets: Vec<u8> = (0..LEAST).map(|at| fill ^ (at % 251) as u8).collect();
        Bytes::from(octets)
    }

    #[test]
    fn a_body_is_found_by_its_parts_as_long_as_it_is_kept() {
        let (one, other) = (body(0), body(1));
        let keeping = keep(&one).expect("files without names");
        let also = keep(&other).expect("files without names");
        let (_, offset) = find(&one[5..]).expect("kept");
        assert_eq!(offset, 5);
        assert!(Arc::ptr_eq(&find(&other).expect("kept").0, &also.0));
        // The same octets elsewhere, a small part, and what is not kept any more are written.
        let elsewhere = Bytes::copy_from_slice(&one);
        assert!(find(&elsewhere).is_none());
        assert!(find(&one[..LEAST_PART - 1]).is_none());
        drop(keeping);
        assert!(find(&one).is_none() && find(&other).is_some());
        assert!(keep(&one.slice(1..)).is_none(), "it is too small");
    }

    #[test]
    fn what_is_sent_is_the_part_that_was_asked_for() {
        let body = body(7);
        let _keeping = keep(&body).expect("files without names");
        let part = &body[1000..1000 + LEAST_PART];
        let (kept, offset) = find(part).expect("kept");
        let (near, mut far) = UnixStream::pair().expect("sockets");
        let sent = kept.send(&near, offset, part.len()).expect("sent");
        drop(near);
        let mut got = Vec::new();
        far.read_to_end(&mut got).expect("read");
        assert!(sent > 0 && got == part[..sent]);
    }
}
