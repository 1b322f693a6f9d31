//! Enough of the bbolt file format to look up one value, of a file that may be damaged.
//!
//! A file is pages. Two meta pages point to the root of a B+ tree of buckets; a bucket is another such tree, or a single page inside its parent's
//! value when it is small. Integers are little-endian, as on the machines that write them.

/// What starts a meta page's body.
const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;

const HEADER: usize = 16;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const META: u16 = 0x04;

/// A leaf element that holds a bucket.
const IS_BUCKET: u32 = 0x01;

/// Trees of real files have a handful of levels; a damaged one may have a loop.
const DEPTH: usize = 32;

/// A database in memory.
pub(super) struct Database<'a> {
    bytes: &'a [u8],
    page_size: usize,
    root: u64,
}

impl<'a> Database<'a> {
    /// Finds the newer of the two valid meta pages.
    pub(super) fn open(bytes: &'a [u8]) -> Option<Self> {
        let first = meta(bytes, 0);
        // The second is one page on; if the first is damaged, its page size is not known.
        let guesses = (9..=16).map(|power| 1 << power);
        let sizes = first.map(|meta| meta.page_size).into_iter().chain(guesses);
        let second = sizes.filter_map(|size| meta(bytes, size)).next();
        let newest = first
            .into_iter()
            .chain(second)
            .max_by_key(|meta| meta.transaction)?;
        Some(Self {
            bytes,
            page_size: newest.page_size,
            root: newest.root,
        })
    }

    /// The value of a key in a bucket at the top.
    pub(super) fn value(&self, bucket: &[u8], key: &[u8]) -> Option<&'a [u8]> {
        let (flags, bucket) = self.find(self.page(self.root)?, bucket)?;
        if flags & IS_BUCKET == 0 {
            return None;
        }
        let tree = match number64(bucket, 0)? {
            0 => bucket.get(HEADER..)?,
            root => self.page(root)?,
        };
        let (flags, value) = self.find(tree, key)?;
        (flags & IS_BUCKET == 0).then_some(value)
    }

    fn page(&self, id: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(id).ok()?.checked_mul(self.page_size)?;
        let overflow = usize::try_from(number32(self.bytes, start.checked_add(12)?)?).ok()?;
        let length = overflow.checked_add(1)?.checked_mul(self.page_size)?;
        let end = start.checked_add(length)?.min(self.bytes.len());
        self.bytes.get(start..end)
    }

    fn find(&self, mut page: &'a [u8], key: &[u8]) -> Option<(u32, &'a [u8])> {
        for _ in 0..DEPTH {
            let (flags, count) = (number16(page, 8)?, usize::from(number16(page, 10)?));
            if flags & LEAF != 0 {
                return (0..count).find_map(|index| {
                    let at = HEADER + index * 16;
                    let (name, value) = leaf_element(page, at)?;
                    (name == key).then_some((number32(page, at)?, value))
                });
            }
            if flags & BRANCH == 0 {
                return None;
            }
            // The last child whose first key is not beyond ours.
            let mut child = None;
            for index in 0..count {
                let at = HEADER + index * 16;
                let name = piece(page, at, number32(page, at)?, number32(page, at + 4)?)?;
                if index > 0 && name > key {
                    break;
                }
                child = number64(page, at + 8);
            }
            page = self.page(child?)?;
        }
        None
    }
}

#[derive(Clone, Copy)]
struct Meta {
    page_size: usize,
    root: u64,
    transaction: u64,
}

fn meta(bytes: &[u8], at: usize) -> Option<Meta> {
    if number16(bytes, at.checked_add(8)?)? & META == 0 {
        return None;
    }
    let body = bytes.get(at + HEADER..)?;
    if number32(body, 0)? != MAGIC || number32(body, 4)? != VERSION {
        return None;
    }
    // Magic, version, page size, flags, root bucket (page and sequence), free list, high water, transaction; then the checksum.
    if number64(body, 56)? != fnv1a(body.get(..56)?) {
        return None;
    }
    let page_size = usize::try_from(number32(body, 8)?).ok()?;
    let sane = page_size.is_power_of_two() && (512..=1 << 20).contains(&page_size);
    sane.then_some(Meta {
        page_size,
        root: number64(body, 16)?,
        transaction: number64(body, 48)?,
    })
}

fn leaf_element(page: &[u8], at: usize) -> Option<(&[u8], &[u8])> {
    let (position, key, value) = (
        number32(page, at + 4)?,
        number32(page, at + 8)?,
        number32(page, at + 12)?,
    );
    Some((
        piece(page, at, position, key)?,
        piece(page, at, position.checked_add(key)?, value)?,
    ))
}

fn piece(page: &[u8], at: usize, position: u32, length: u32) -> Option<&[u8]> {
    let start = at.checked_add(usize::try_from(position).ok()?)?;
    page.get(start..start.checked_add(usize::try_from(length).ok()?)?)
}

fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(
        bytes.get(at..at.checked_add(2)?)?.try_into().ok()?,
    ))
}

fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(
        bytes.get(at..at.checked_add(4)?)?.try_into().ok()?,
    ))
}

fn number64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(
        bytes.get(at..at.checked_add(8)?)?.try_into().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGE: usize = 512;

    fn page(id: u64, flags: u16, elements: &[(Vec<u8>, Vec<u8>, u64)]) -> Vec<u8> {
        let mut head = [id.to_le_bytes().as_slice(), &flags.to_le_bytes()].concat();
        head.extend(u16::try_from(elements.len()).expect("few").to_le_bytes());
        head.extend(0u32.to_le_bytes());
        let mut data = Vec::new();
        for (index, (key, value, child)) in elements.iter().enumerate() {
            let position =
                u32::try_from((elements.len() - index) * 16 + data.len()).expect("small");
            let (key_length, value_length) = (
                u32::try_from(key.len()).expect("small"),
                u32::try_from(value.len()).expect("small"),
            );
            if flags == LEAF {
                for number in [
                    u32::try_from(*child).expect("flags"),
                    position,
                    key_length,
                    value_length,
                ] {
                    head.extend(number.to_le_bytes());
                }
            } else {
                head.extend(position.to_le_bytes());
                head.extend(key_length.to_le_bytes());
                head.extend(child.to_le_bytes());
            }
            data.extend_from_slice(key);
            data.extend_from_slice(value);
        }
        head.extend(data);
        head.resize(PAGE, 0);
        head
    }

    fn meta_page(transaction: u64, root: u64) -> Vec<u8> {
        let mut body = [
            MAGIC.to_le_bytes(),
            VERSION.to_le_bytes(),
            512u32.to_le_bytes(),
            0u32.to_le_bytes(),
        ]
        .concat();
        for number in [root, 0, 2, 9, transaction] {
            body.extend(number.to_le_bytes());
        }
        let sum = fnv1a(&body);
        body.extend(sum.to_le_bytes());
        let mut bytes = page(0, META, &[]);
        bytes[HEADER..HEADER + body.len()].copy_from_slice(&body);
        bytes
    }

    /// Two metas, a root leaf with a bucket, a branch, and two leaves.
    fn database() -> Vec<u8> {
        let bucket = [3u64.to_le_bytes(), 0u64.to_le_bytes()].concat();
        let entry =
            |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec(), 0);
        let child = |key: &str, page: u64| (key.as_bytes().to_vec(), Vec::new(), page);
        [
            meta_page(7, 2),
            meta_page(6, 9),
            page(2, LEAF, &[(b"data".to_vec(), bucket, 1)]),
            page(3, BRANCH, &[child("b", 4), child("m", 5)]),
            page(4, LEAF, &[entry("b", "first"), entry("d", "second")]),
            page(5, LEAF, &[entry("m", "third"), entry("z", "last")]),
        ]
        .concat()
    }

    #[test]
    fn values_are_found_through_branches() {
        let bytes = database();
        let database = Database::open(&bytes).expect("opens");
        for (key, value) in [
            ("b", Some("first")),
            ("d", Some("second")),
            ("m", Some("third")),
            ("z", Some("last")),
            ("a", None),
            ("e", None),
        ] {
            assert_eq!(
                database.value(b"data", key.as_bytes()),
                value.map(str::as_bytes),
                "{key}"
            );
        }
        assert_eq!(database.value(b"other", b"b"), None);
    }

    #[test]
    fn a_torn_meta_page_gives_way_to_the_other() {
        let mut bytes = database();
        bytes[HEADER + 20] ^= 1;
        // The second meta is whole, but older: in this file its tree is gone.
        let older = Database::open(&bytes).expect("opens");
        assert_eq!((older.root, older.value(b"data", b"m")), (9, None));
        bytes[HEADER + 20] ^= 1;
        bytes[PAGE + HEADER + 20] ^= 1;
        assert_eq!(
            Database::open(&bytes).and_then(|database| database.value(b"data", b"m")),
            Some(b"third".as_slice())
        );
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..3072, byte: u8, cut in 0usize..3072) {
            let mut bytes = database();
            bytes[at] = byte;
            bytes.truncate(3072 - cut);
            if let Some(database) = Database::open(&bytes) {
                for key in [b"b", b"z"] {
                    let found = database.value(b"data", key);
                    prop_assert!(found.is_none_or(|value| value.len() <= bytes.len()));
                }
            }
        }
    }
}
