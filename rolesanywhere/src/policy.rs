//! Role trust policies: reading them, and deciding what they allow.
//!
//! Covers the part of the IAM policy language that trust policies for Roles
//! Anywhere use. An operator outside that part is an error, never a guess.
//!
//! Source: AWS IAM user guide, "IAM JSON policy elements: Condition operators"
//! and "Policy variables".

use std::collections::BTreeMap;

use landfast_base::arn::Arn;
use serde::Deserialize;
use serde_json::Value;

use crate::tags::{Facts, Mappings};

/// The service principal that a trust policy must name.
pub const PRINCIPAL: &str = "rolesanywhere.amazonaws.com";
/// The three actions that a session needs, each decided by itself.
pub const ACTIONS: [&str; 3] = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"];

/// A trust policy document.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TrustPolicy {
    /// The statements; one alone may stand without a list.
    #[serde(deserialize_with = "one_or_many")]
    pub statement: Vec<Statement>,
}

/// One statement of a policy.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    /// Allow or deny.
    pub effect: Effect,
    /// Who; here a map from principal kind to names, or `"*"`.
    #[serde(default)]
    pub principal: Value,
    /// What; with `*` and `?`.
    #[serde(default, deserialize_with = "one_or_many")]
    pub action: Vec<String>,
    /// Operator, then key, then values.
    #[serde(default)]
    pub condition: BTreeMap<String, BTreeMap<String, Value>>,
}

/// What a statement does when it applies.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum Effect {
    /// The action is allowed unless denied elsewhere.
    Allow,
    /// The action is denied.
    Deny,
}

/// Why a policy cannot be decided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not a policy document.
    #[error("the trust policy is not a policy document: {0}")]
    Document(String),
    /// An operator that this evaluator does not know.
    #[error("the condition operator {0} is not supported; decide this policy by hand")]
    Operator(String),
    /// A value that is neither a string nor a list of strings.
    #[error("the condition on {0} has a value that is not text")]
    Value(String),
}

/// The keys of a request: `aws:PrincipalTag/x509Subject/CN` and the like.
///
/// Key names compare without regard to case, as IAM does.
#[derive(Clone, Debug, Default)]
pub struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    /// The keys of a session that Roles Anywhere opens for a certificate.
    ///
    /// Source: IAM Roles Anywhere user guide, "Trust model".
    pub fn of_session(facts: &Facts, anchor: &Arn, session_name: &str) -> Self {
        Self::of_mapped_session(facts, anchor, session_name, &Mappings::default())
    }

    /// The same under a profile's own attribute mappings.
    pub fn of_mapped_session(
        facts: &Facts,
        anchor: &Arn,
        session_name: &str,
        mappings: &Mappings,
    ) -> Self {
        let mut context = Self::default();
        context.set("aws:SourceArn", anchor.to_string());
        context.set("aws:SourceAccount", anchor.account.clone());
        context.set("sts:RoleSessionName", session_name);
        context.set("sts:SourceIdentity", facts.source_identity());
        for (key, value) in facts.tags_under(mappings) {
            context.set(&format!("aws:PrincipalTag/{key}"), value.clone());
            context.set(&format!("aws:RequestTag/{key}"), value);
        }
        context
    }

    /// Sets a key to one value.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.0.insert(key.to_ascii_lowercase(), vec![value.into()]);
    }

    fn values(&self, key: &str) -> &[String] {
        self.0
            .get(&key.to_ascii_lowercase())
            .map_or(&[], Vec::as_slice)
    }
}

impl TrustPolicy {
    /// Reads a document, as JSON text.
    ///
    /// # Errors
    /// [`PolicyError::Document`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        serde_json::from_str(text).map_err(|error| PolicyError::Document(error.to_string()))
    }

    /// Whether `action` is allowed for the Roles Anywhere service in `context`.
    ///
    /// # Errors
    /// [`PolicyError`] when a statement that concerns the action cannot be decided.
    pub fn allows(&self, action: &str, context: &Context) -> Result<bool, PolicyError> {
        let mut allowed = false;
        for statement in self.statement.iter().filter(|s| s.concerns(action)) {
            if statement.holds(context)? {
                match statement.effect {
                    Effect::Allow => allowed = true,
                    Effect::Deny => return Ok(false),
                }
            }
        }
        Ok(allowed)
    }
}

impl Statement {
    /// Whether the statement speaks of `action` by the Roles Anywhere service.
    pub fn concerns(&self, action: &str) -> bool {
        let service = match &self.principal {
            Value::String(all) => all == "*",
            Value::Object(kinds) => kinds.get("Service").is_some_and(|names| {
                texts(names).is_some_and(|names| names.iter().any(|n| n == PRINCIPAL))
            }),
            _ => false,
        };
        service
            && self
                .action
                .iter()
                .any(|pattern| glob(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase()))
    }

    fn holds(&self, context: &Context) -> Result<bool, PolicyError> {
        Ok(self.unmet(context)?.is_empty())
    }

    /// The conditions that do not hold in `context`, as operator and key.
    ///
    /// # Errors
    /// [`PolicyError`] for an operator or a value outside the supported part.
    pub fn unmet(&self, context: &Context) -> Result<Vec<(&str, &str)>, PolicyError> {
        let mut unmet = Vec::new();
        for (name, keys) in &self.condition {
            let operator = Operator::parse(name)?;
            for (key, wanted) in keys {
                let wanted = texts(wanted).ok_or_else(|| PolicyError::Value(key.clone()))?;
                if !operator.holds(context, key, &wanted) {
                    unmet.push((name.as_str(), key.as_str()));
                }
            }
        }
        Ok(unmet)
    }

    /// Each condition on its own.
    ///
    /// # Errors
    /// As for [`unmet`](Self::unmet).
    pub fn conditions(&self) -> Result<Vec<Condition<'_>>, PolicyError> {
        let mut all = Vec::new();
        for (name, keys) in &self.condition {
            let operator = Operator::parse(name)?;
            for (key, values) in keys {
                let values = texts(values).ok_or_else(|| PolicyError::Value(key.clone()))?;
                all.push(Condition {
                    operator,
                    key,
                    values,
                });
            }
        }
        Ok(all)
    }
}

/// One condition of a statement.
#[derive(Clone, Debug)]
pub struct Condition<'a> {
    /// How the key is compared.
    pub operator: Operator,
    /// The key, as it is written.
    pub key: &'a str,
    /// What it is compared with; any of them will do.
    pub values: Vec<String>,
}

/// A condition operator taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Operator {
    quantifier: Quantifier,
    test: Test,
    /// `StringNotEquals` and the like.
    pub negated: bool,
    if_exists: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    Plain,
    All,
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Equals,
    EqualsIgnoreCase,
    Like,
    Arn,
    Null,
}

impl Operator {
    /// Whether it holds a key to given values and fails without them.
    pub fn restricts(self) -> bool {
        !self.negated
            && !self.if_exists
            && self.quantifier != Quantifier::All
            && self.test != Test::Null
    }

    /// Whether it takes no wildcards: the value must be the one given.
    pub fn is_exact(self) -> bool {
        self.restricts() && self.test == Test::Equals
    }

    /// Reads an operator's name.
    ///
    /// # Errors
    /// [`PolicyError::Operator`] for one outside the supported part.
    pub fn parse(name: &str) -> Result<Self, PolicyError> {
        let (quantifier, rest) = match name.split_once(':') {
            Some(("ForAllValues", rest)) => (Quantifier::All, rest),
            Some(("ForAnyValue", rest)) => (Quantifier::Any, rest),
            Some(_) => return Err(PolicyError::Operator(name.to_owned())),
            None => (Quantifier::Plain, name),
        };
        let (rest, if_exists) = rest
            .strip_suffix("IfExists")
            .map_or((rest, false), |rest| (rest, true));
        let (test, negated) = match rest {
            "StringEquals" => (Test::Equals, false),
            "StringNotEquals" => (Test::Equals, true),
            "StringEqualsIgnoreCase" => (Test::EqualsIgnoreCase, false),
            "StringNotEqualsIgnoreCase" => (Test::EqualsIgnoreCase, true),
            "StringLike" => (Test::Like, false),
            "StringNotLike" => (Test::Like, true),
            "ArnEquals" | "ArnLike" => (Test::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Test::Arn, true),
            "Null" => (Test::Null, false),
            _ => return Err(PolicyError::Operator(name.to_owned())),
        };
        Ok(Self {
            quantifier,
            test,
            negated,
            if_exists,
        })
    }

    fn holds(self, context: &Context, key: &str, wanted: &[String]) -> bool {
        let present = context.values(key);
        if self.test == Test::Null {
            let absent = present.is_empty();
            return wanted.iter().any(|w| (w == "true") == absent);
        }
        if present.is_empty() {
            // IAM: a missing key fails a positive test and passes a negated one.
            return self.if_exists || self.negated || self.quantifier == Quantifier::All;
        }
        let matches = |value: &String| {
            wanted
                .iter()
                .any(|wanted| self.matches(&expand(wanted, context), value))
        };
        match (self.quantifier, self.negated) {
            (Quantifier::All, false) => present.iter().all(matches),
            (Quantifier::All | Quantifier::Plain, true) => !present.iter().any(matches),
            (Quantifier::Any | Quantifier::Plain, false) => present.iter().any(matches),
            (Quantifier::Any, true) => !present.iter().all(matches),
        }
    }

    fn matches(self, pattern: &[Piece], value: &str) -> bool {
        let literal = || {
            pattern
                .iter()
                .map(|piece| match piece {
                    Piece::Literal(c) => *c,
                    Piece::Many => '*',
                    Piece::One => '?',
                })
                .collect::<String>()
        };
        match self.test {
            Test::Equals => literal() == value,
            Test::EqualsIgnoreCase => literal().eq_ignore_ascii_case(value),
            Test::Like => wildcard(pattern, &value.chars().collect::<Vec<_>>()),
            Test::Arn => {
                // Each of the six colon-separated parts is matched by itself.
                let mut pieces = pattern.splitn(6, |p| *p == Piece::Literal(':'));
                let mut parts = value.splitn(6, ':');
                loop {
                    match (pieces.next(), parts.next()) {
                        (None, None) => return true,
                        (Some(p), Some(v)) if wildcard(p, &v.chars().collect::<Vec<_>>()) => {}
                        _ => return false,
                    }
                }
            }
            Test::Null => false,
        }
    }
}

/// One element of a pattern, told apart so that a substituted value cannot
/// bring wildcards of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Literal(char),
    Many,
    One,
}

/// Replaces `${key}`; a key that the request lacks leaves a pattern that
/// matches nothing sensible: the variable's own text, as IAM does.
fn expand(text: &str, context: &Context) -> Vec<Piece> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((name, tail)) = rest
            .strip_prefix("${")
            .and_then(|inner| inner.split_once('}'))
        {
            match (name, context.values(name)) {
                ("*" | "?" | "$", _) => out.extend(name.chars().map(Piece::Literal)),
                (_, [value]) => out.extend(value.chars().map(Piece::Literal)),
                _ => out.extend(format!("${{{name}}}").chars().map(Piece::Literal)),
            }
            rest = tail;
            continue;
        }
        out.push(match c {
            '*' => Piece::Many,
            '?' => Piece::One,
            c => Piece::Literal(c),
        });
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// Wildcard match in time proportional to pattern times text at worst.
fn wildcard(pattern: &[Piece], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(Piece::Many) => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(Piece::One) => (p, t) = (p + 1, t + 1),
            Some(Piece::Literal(c)) if *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match &mut retry {
                Some((after, from)) => {
                    *from += 1;
                    (p, t) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|piece| *piece == Piece::Many)
}

fn glob(pattern: &str, text: &str) -> bool {
    let pieces = expand(pattern, &Context::default());
    wildcard(&pieces, &text.chars().collect::<Vec<_>>())
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        single => Some(vec![text(single)?]),
    }
}

fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    let many = match value {
        Value::Array(values) => values,
        single => vec![single],
    };
    many.into_iter()
        .map(|value| serde_json::from_value(value).map_err(serde::de::Error::custom))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ANCHOR: &str = "arn:aws:rolesanywhere:us-west-2:111122223333:trust-anchor/11111111-2222-4333-8444-555555555555";

    fn context() -> Context {
        let mut context = Context::default();
        context.set("aws:SourceArn", ANCHOR);
        context.set("aws:PrincipalTag/x509Subject/CN", "node-1");
        context.set("sts:RoleSessionName", "node-1");
        context
    }

    fn hybrid(condition: Value) -> TrustPolicy {
        let document = json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Principal": {"Service": PRINCIPAL},
            "Action": ["sts:AssumeRole"], "Condition": condition}});
        TrustPolicy::parse(&document.to_string()).unwrap()
    }

    #[test]
    fn the_session_name_is_held_to_the_common_name() {
        let policy = hybrid(json!({
            "StringEquals": {"sts:RoleSessionName": "${aws:PrincipalTag/x509Subject/CN}"},
            "ArnEquals": {"aws:SourceArn": ANCHOR}}));
        assert!(policy.allows("sts:AssumeRole", &context()).unwrap());
        assert!(!policy.allows("sts:TagSession", &context()).unwrap());
        let mut other = context();
        other.set("sts:RoleSessionName", "node-2");
        assert!(!policy.allows("sts:AssumeRole", &other).unwrap());
    }

    #[test]
    fn a_missing_key_fails_a_positive_test_and_passes_a_negated_one() {
        for (operator, expected) in [
            ("StringEquals", false),
            ("StringLike", false),
            ("StringNotEquals", true),
            ("StringEqualsIfExists", true),
            ("ForAllValues:StringEquals", true),
            ("ForAnyValue:StringEquals", false),
        ] {
            let policy = hybrid(json!({operator: {"aws:PrincipalTag/x509SAN/URI": "x"}}));
            assert_eq!(
                policy.allows("sts:AssumeRole", &context()).unwrap(),
                expected,
                "{operator}"
            );
        }
    }

    #[test]
    fn a_deny_wins() {
        let document = json!({"Statement": [
            {"Effect": "Allow", "Principal": {"Service": [PRINCIPAL]}, "Action": "sts:*"},
            {"Effect": "Deny", "Principal": "*", "Action": "sts:TagSession",
             "Condition": {"StringLike": {"aws:PrincipalTag/x509Subject/CN": "node-?"}}}]});
        let policy = TrustPolicy::parse(&document.to_string()).unwrap();
        assert!(policy.allows("sts:AssumeRole", &context()).unwrap());
        assert!(!policy.allows("sts:TagSession", &context()).unwrap());
    }

    #[test]
    fn a_substituted_value_brings_no_wildcard() {
        let mut context = context();
        context.set("aws:PrincipalTag/x509Subject/CN", "*");
        let policy = hybrid(
            json!({"StringLike": {"sts:RoleSessionName": "${aws:PrincipalTag/x509Subject/CN}"}}),
        );
        assert!(!policy.allows("sts:AssumeRole", &context).unwrap());
    }

    #[test]
    fn an_arn_wildcard_stays_in_its_part() {
        for (pattern, expected) in [
            ("arn:aws:rolesanywhere:*:111122223333:trust-anchor/*", true),
            ("arn:*:trust-anchor/*", false),
            (
                "arn:aws:rolesanywhere:us-west-2:111122223333:profile/*",
                false,
            ),
        ] {
            let policy = hybrid(json!({"ArnLike": {"aws:SourceArn": pattern}}));
            assert_eq!(
                policy.allows("sts:AssumeRole", &context()).unwrap(),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn an_unknown_operator_is_an_error_and_not_a_guess() {
        let policy = hybrid(json!({"DateGreaterThan": {"aws:CurrentTime": "2026-01-01"}}));
        assert_eq!(
            policy.allows("sts:AssumeRole", &context()),
            Err(PolicyError::Operator("DateGreaterThan".to_owned()))
        );
    }

    #[test]
    fn another_service_is_not_concerned() {
        let document = json!({"Statement": [{"Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
        let policy = TrustPolicy::parse(&document.to_string()).unwrap();
        assert!(!policy.allows("sts:AssumeRole", &context()).unwrap());
    }

    fn naive(pattern: &[Piece], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([Piece::Many, rest @ ..], _) => {
                naive(rest, text) || (!text.is_empty() && naive(pattern, &text[1..]))
            }
            ([Piece::One, p @ ..], [_, t @ ..]) => naive(p, t),
            ([Piece::Literal(c), p @ ..], [d, t @ ..]) => c == d && naive(p, t),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn wildcards_agree_with_their_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            let pieces = expand(&pattern, &Context::default());
            let text: Vec<char> = text.chars().collect();
            prop_assert_eq!(wildcard(&pieces, &text), naive(&pieces, &text));
        }
    }
}
