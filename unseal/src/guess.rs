//! What somebody meant by a key that is not known.

/// Names under which other programs know a key of ours.
const ALIASES: [(&str, &str); 7] = [
    ("access_key_id", "access_key"),
    ("secret_access_key", "secret_key"),
    ("token", "session_token"),
    ("assume_role_arn", "role_arn"),
    ("credentials_file", "shared_creds_filename"),
    ("profile", "shared_creds_profile"),
    ("sts_region", "region"),
];

/// The known key that a word is nearest to: spelt a little differently, or with other words around it (`aws_region`, `kms_key`).
pub(crate) fn near<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.trim().to_lowercase().replace(['-', '.', ' '], "_");
    let spelt = known.iter().map(|key| (distance(&word, key), *key)).min();
    if let Some((0..=2, key)) = spelt {
        return Some(key);
    }
    let alias = ALIASES.iter().find(|(alias, _)| holds(&word, alias));
    if let Some((_, key)) = alias {
        return known.iter().copied().find(|known| known == key);
    }
    // The longest that the word holds, else the shortest that holds the word.
    let held = known.iter().filter(|key| holds(&word, key));
    let held = held.max_by_key(|key| key.len());
    let holding = known.iter().filter(|key| holds(key, &word));
    held.or_else(|| holding.min_by_key(|key| key.len()))
        .copied()
}

/// Whether a word has all parts of another in a row.
fn holds(word: &str, part: &str) -> bool {
    !part.is_empty() && format!("_{word}_").contains(&format!("_{part}_"))
}

/// Edits between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    // A word of a thousand letters is near to none, and is not measured.
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, right) in b.bytes().enumerate() {
            let substitute = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_prefixes_words_and_spellings_find_their_key() {
        let known = [
            "access_key",
            "endpoint",
            "kms_key_id",
            "region",
            "role_arn",
            "roles_anywhere_role_arn",
            "secret_key",
            "session_token",
            "shared_creds_filename",
            "shared_creds_profile",
            "sts_endpoint",
            "use_fips",
        ];
        for (word, wanted) in [
            ("reigon", "region"),
            ("Region", "region"),
            ("aws_region", "region"),
            ("AWS_REGION", "region"),
            ("aws-region", "region"),
            ("region_name", "region"),
            ("kms_region", "region"),
            ("aws_kms_key_id", "kms_key_id"),
            ("key_id", "kms_key_id"),
            ("kms_key", "kms_key_id"),
            ("aws_kms_endpoint", "endpoint"),
            ("aws_sts_endpoint", "sts_endpoint"),
            ("aws_access_key_id", "access_key"),
            ("aws_secret_access_key", "secret_key"),
            ("aws_session_token", "session_token"),
            ("aws_profile", "shared_creds_profile"),
            ("assume_role_arn", "role_arn"),
            ("use_fips_endpoint", "use_fips"),
        ] {
            assert_eq!(near(word, &known), Some(wanted), "{word}");
        }
        for word in ["zzz", "", "a", "mount", &"region".repeat(1000)] {
            assert_eq!(near(word, &known), None, "{word}");
        }
    }
}
