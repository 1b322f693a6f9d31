//! The functions that a program may call, and how (cel-go: the standard library, `ext` for strings, lists, regular expressions, mathematics,
//! sets and encoders, and optional values).

use std::collections::HashMap;
use std::sync::LazyLock;

use super::types::Signature;

/// The ways of calling each function, by its name.
pub(super) static FUNCTIONS: LazyLock<HashMap<&'static str, Vec<Signature>>> =
    LazyLock::new(|| {
        let mut functions: HashMap<_, Vec<_>> = HashMap::new();
        for (names, signatures) in TABLE {
            for name in names.split(' ') {
                let parsed = signatures.split(';').map(|text| {
                    Signature::parse(text.trim()).expect("the table is read by a test")
                });
                functions.entry(name).or_default().extend(parsed);
            }
        }
        functions
    });

const ORDER: &str = "(bool,bool) bool; (int,int) bool; (uint,uint) bool; (double,double) bool; (string,string) bool; (bytes,bytes) bool; \
     (timestamp,timestamp) bool; (duration,duration) bool";

const GREATEST: &str = "(int) int; (uint) uint; (double) double; (int,int) int; (uint,uint) uint; (double,double) double; (int,uint) dyn; \
     (int,double) dyn; (uint,int) dyn; (uint,double) dyn; (double,int) dyn; (double,uint) dyn; (list(int)) int; (list(uint)) uint; \
     (list(double)) double";

const TABLE: &[(&str, &str)] = &[
    (
        "_+_",
        "(int,int) int; (uint,uint) uint; (double,double) double; (string,string) string; (bytes,bytes) bytes; (list(A),list(A)) list(A); \
         (timestamp,duration) timestamp; (duration,timestamp) timestamp; (duration,duration) duration",
    ),
    (
        "_-_",
        "(int,int) int; (uint,uint) uint; (double,double) double; (timestamp,timestamp) duration; (timestamp,duration) timestamp; \
         (duration,duration) duration",
    ),
    (
        "_*_ _/_",
        "(int,int) int; (uint,uint) uint; (double,double) double",
    ),
    ("_%_", "(int,int) int; (uint,uint) uint"),
    ("-_", "(int) int; (double) double"),
    ("!_", "(bool) bool"),
    ("@not_strictly_false", "(bool) bool"),
    ("_==_ _!=_", "(A,A) bool"),
    ("_<_ _<=_ _>_ _>=_", ORDER),
    ("@in", "(A,list(A)) bool; (A,map(A,B)) bool"),
    (
        "_[_]",
        "(list(A),int) A; (map(A,B),A) B; (optional(list(A)),int) optional(A); (optional(map(A,B)),A) optional(B)",
    ),
    (
        "_[?_]",
        "(list(A),int) optional(A); (map(A,B),A) optional(B); (optional(list(A)),int) optional(A); (optional(map(A,B)),A) optional(B)",
    ),
    ("bool", "(bool) bool; (string) bool"),
    ("bytes", "(bytes) bytes; (string) bytes"),
    (
        "double",
        "(double) double; (int) double; (string) double; (uint) double",
    ),
    (
        "duration",
        "(duration) duration; (int) duration; (string) duration",
    ),
    ("dyn", "(A) dyn"),
    (
        "int",
        "(int) int; (double) int; (duration) int; (string) int; (timestamp) int; (uint) int",
    ),
    (
        "string",
        "(string) string; (bool) string; (bytes) string; (double) string; (duration) string; (int) string; (timestamp) string; (uint) string",
    ),
    (
        "timestamp",
        "(timestamp) timestamp; (int) timestamp; (string) timestamp",
    ),
    ("type", "(A) type(A)"),
    (
        "uint",
        "(uint) uint; (double) uint; (int) uint; (string) uint",
    ),
    (
        "size",
        "(bytes) int; (list(A)) int; (map(A,B)) int; (string) int; bytes.() int; list(A).() int; map(A,B).() int; string.() int",
    ),
    ("contains endsWith startsWith", "string.(string) bool"),
    ("matches", "(string,string) bool; string.(string) bool"),
    (
        "getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getMonth",
        "timestamp.() int; timestamp.(string) int",
    ),
    (
        "getHours getMinutes getSeconds getMilliseconds",
        "timestamp.() int; timestamp.(string) int; duration.() int",
    ),
    ("charAt", "string.(int) string"),
    (
        "indexOf lastIndexOf",
        "string.(string) int; string.(string,int) int",
    ),
    (
        "join",
        "list(string).() string; list(string).(string) string",
    ),
    ("lowerAscii upperAscii trim", "string.() string"),
    ("reverse", "string.() string; list(A).() list(A)"),
    (
        "replace",
        "string.(string,string) string; string.(string,string,int) string",
    ),
    (
        "split",
        "string.(string) list(string); string.(string,int) list(string)",
    ),
    ("substring", "string.(int) string; string.(int,int) string"),
    ("format", "string.(list(dyn)) string"),
    ("strings.quote", "(string) string"),
    ("slice", "list(A).(int,int) list(A)"),
    (
        "flatten",
        "list(dyn).() list(dyn); list(dyn).(int) list(dyn)",
    ),
    ("distinct sort", "list(A).() list(A)"),
    ("@sortByAssociatedKeys", "list(A).(list(B)) list(A)"),
    ("lists.range", "(int) list(int)"),
    ("first last", "list(A).() optional(A)"),
    ("math.@max math.@min", GREATEST),
    (
        "math.ceil math.floor math.round math.trunc",
        "(double) double",
    ),
    ("math.isInf math.isNaN math.isFinite", "(double) bool"),
    (
        "math.abs math.sign",
        "(int) int; (uint) uint; (double) double",
    ),
    ("math.sqrt", "(int) double; (uint) double; (double) double"),
    (
        "math.bitAnd math.bitOr math.bitXor",
        "(int,int) int; (uint,uint) uint",
    ),
    ("math.bitNot", "(int) int; (uint) uint"),
    (
        "math.bitShiftLeft math.bitShiftRight",
        "(int,int) int; (uint,int) uint",
    ),
    ("base64.encode", "(bytes) string"),
    ("base64.decode", "(string) bytes"),
    (
        "sets.contains sets.equivalent sets.intersects",
        "(list(A),list(A)) bool",
    ),
    (
        "regex.replace",
        "(string,string,string) string; (string,string,string,int) string",
    ),
    ("regex.extract", "(string,string) optional(string)"),
    ("regex.extractAll", "(string,string) list(string)"),
    ("optional.of optional.ofNonZeroValue", "(A) optional(A)"),
    ("optional.none", "() optional(A)"),
    ("hasValue", "optional(A).() bool"),
    ("value", "optional(A).() A"),
    ("or", "optional(A).(optional(A)) optional(A)"),
    ("orValue", "optional(A).(A) A"),
    ("check_valid_email", "(string) bool"),
    ("encode_json", "(dyn) string"),
    ("decode_json", "(string) dyn"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        assert!(FUNCTIONS.len() > 60);
        assert_eq!(FUNCTIONS["size"].len(), 8);
        assert_eq!(FUNCTIONS["_+_"][5].result.to_string(), "list(dyn)");
    }
}
