//! Files of lines, such as audit logs.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Whole lines, also after one could be written in part only.
#[derive(Debug)]
pub struct Lines<W> {
    file: W,
    /// The last line has no end.
    torn: bool,
}

impl Lines<File> {
    /// Opens a file to write at its end.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self {
            file,
            torn: ends_within_a_line(path),
        })
    }
}

impl<W: Write> Lines<W> {
    /// Writes a line, with its end, or several.
    ///
    /// # Errors
    /// The system's. What was written of the line so far will stand on a line of its own.
    pub fn write(&mut self, line: &[u8]) -> io::Result<()> {
        // What a full disk, or the end of a process, left stands on a line of its own.
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        let mut left = line;
        while !left.is_empty() {
            match self.file.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(size) => left = &left[size..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            self.torn = !left.is_empty();
        }
        Ok(())
    }
}

/// Whether a file has content that does not end with a line. Of what is no file, or cannot be read, nothing is known.
fn ends_within_a_line(path: &Path) -> bool {
    let last = || {
        if !std::fs::metadata(path)?.is_file() {
            return Ok(None);
        }
        let mut file = File::open(path)?;
        let mut byte = [0];
        if file.seek(SeekFrom::End(0))? == 0 {
            return Ok(None);
        }
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut byte)?;
        Ok::<_, io::Error>(Some(byte[0]))
    };
    last().ok().flatten().is_some_and(|last| last != b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with this much room.
    struct Disk {
        written: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let size = bytes.len().min(self.room);
            if size == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= size;
            self.written.extend_from_slice(&bytes[..size]);
            Ok(size)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn half_a_line_of_a_full_disk_does_not_join_the_next() {
        let disk = Disk {
            written: Vec::new(),
            room: 7,
        };
        let mut lines = Lines {
            file: disk,
            torn: false,
        };
        lines.write(b"one\n").expect("there is room");
        for _ in 0..3 {
            lines
                .write(b"two is longer\n")
                .expect_err("the disk is full");
        }
        lines.file.room = 100;
        lines.write(b"three\n").expect("there is room");
        lines.write(b"four\n").expect("there is room");
        let text = String::from_utf8_lossy(&lines.file.written);
        assert_eq!(text, "one\ntwo\nthree\nfour\n");
    }

    #[test]
    fn half_a_line_of_an_ended_process_does_not_join_the_next() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("audit.log");
        for (before, after) in [
            ("", "new\n"),
            ("whole\n", "whole\nnew\n"),
            ("whole\nha", "whole\nha\nnew\n"),
        ] {
            std::fs::write(&path, before).expect("writes");
            Lines::open(&path)
                .expect("opens")
                .write(b"new\n")
                .expect("writes");
            assert_eq!(std::fs::read_to_string(&path).expect("reads"), after);
        }
    }
}
