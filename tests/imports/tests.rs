//! Made-up crates, with what the reader must see in them.

use crate::source::Source;
use crate::{Arrows, circles, drawn};

fn with_arrows(files: &[(&str, &str)], check: impl FnOnce(&Arrows<'_>)) {
    let read = |path: &str| {
        let found = files.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| (*text).to_owned())
    };
    check(&Source::read("lib.rs", &read).arrows());
}

/// What `a.rs` imports, when it is `text` in a crate that also has `b.rs`, `c/mod.rs`, `c/d.rs` and `c/e.rs`.
fn imports(text: &str) -> Vec<String> {
    let files = [
        (
            "lib.rs",
            "mod a;\nmod b;\npub mod c;\npub use c::d::Deep;\nstruct Own;",
        ),
        ("a.rs", text),
        ("b.rs", "pub(crate) struct B;"),
        (
            "c/mod.rs",
            "mod d;\npub(crate) mod e;\npub(crate) use d::{self as dee, Deep};\npub(crate) struct C;",
        ),
        ("c/d.rs", "pub struct Deep;"),
        ("c/e.rs", "pub(crate) fn e() {}"),
    ];
    let mut found = Vec::new();
    with_arrows(&files, |arrows| {
        found = arrows["a.rs"]
            .iter()
            .map(|file| (*file).to_owned())
            .collect();
    });
    found
}

#[test]
fn a_path_leads_to_the_file_that_has_the_item() {
    let none: [&str; 0] = [];
    assert_eq!(imports(""), none);
    assert_eq!(imports("use crate::b::B;"), ["b.rs"]);
    assert_eq!(imports("use super::b;"), ["b.rs"]);
    assert_eq!(imports("use crate::c::C;"), ["c/mod.rs"]);
    assert_eq!(
        imports("use crate::{b::B, c::{self, e::{e}}};"),
        ["b.rs", "c/e.rs", "c/mod.rs"]
    );
    assert_eq!(
        imports("use crate::{\n    b,\n    c::{e as other, C,},\n};"),
        ["b.rs", "c/e.rs", "c/mod.rs"]
    );
    assert_eq!(
        imports("fn f() -> crate::b::B { crate::c::e::e() }"),
        ["b.rs", "c/e.rs"]
    );
    assert_eq!(imports("use crate::c::e::*;"), ["c/e.rs"]);
    assert_eq!(
        imports("fn f<'a>(x: &'a str) -> [crate::b::B; 1] { let _ = ':'; }"),
        ["b.rs"]
    );
}

#[test]
fn a_name_that_is_passed_on_leads_to_where_it_stands() {
    assert_eq!(imports("use crate::c::Deep;"), ["c/d.rs"]);
    assert_eq!(imports("use crate::Deep;"), ["c/d.rs"]);
    assert_eq!(imports("use crate::c::dee::Deep;"), ["c/d.rs"]);
    assert_eq!(
        imports("use crate::c;\nfn f() { c::e::e() }"),
        ["c/e.rs", "c/mod.rs"]
    );
    assert_eq!(imports("use crate::c::{e};\nfn f() { e::e() }"), ["c/e.rs"]);
}

#[test]
fn what_is_no_import_is_left_out() {
    let none: [&str; 0] = [];
    assert_eq!(
        imports("//! use crate::b;\n// crate::b::B\n/* crate::b::B /* nested */ crate::c::C */"),
        none
    );
    assert_eq!(
        imports("const A: &str = \"use crate::b::B;\"; const B: &str = r#\"\"crate::c::C\"#;"),
        none
    );
    assert_eq!(
        imports("use crate::Own;\nuse jiff::{self};\nfn f() { jiff::now() }"),
        none
    );
    assert_eq!(
        imports("use other::b::B; fn f() -> impl Sized + use<> { Vec::<u8>::b() }"),
        none
    );
    assert_eq!(imports("#[cfg(test)]\nmod tests;"), none);
    assert_eq!(
        imports("#[cfg(test)]\nmod tests {\n    use crate::b::B;\n    fn f() { {} }\n}"),
        none
    );
    assert_eq!(
        imports("#[cfg(test)]\nuse crate::{b::B};\nuse crate::c::C;"),
        ["c/mod.rs"]
    );
    assert_eq!(imports("pub(in crate::c) fn f() {}"), none);
}

#[test]
fn an_inline_module_belongs_to_its_file() {
    assert_eq!(
        imports("mod inside { use super::super::b::B; }\nuse crate::c::C;"),
        ["b.rs", "c/mod.rs"]
    );
    assert_eq!(
        imports("mod inside { pub(super) struct X; }\nuse inside::X; use self::inside::X as Y;")
            .len(),
        0
    );
}

#[test]
fn a_circle_is_found_and_drawn() {
    let files = [
        ("lib.rs", "mod one; mod two; mod three; mod four; mod five;"),
        ("one.rs", "use crate::two::{Two, self};"),
        ("two.rs", "use super::three;"),
        ("three.rs", "use crate::{one::One, four};"),
        ("four.rs", "mod inner;\nuse inner::Inner;"),
        ("four/inner.rs", "use super::Four;"),
        ("five.rs", "use crate::one;"),
    ];
    with_arrows(&files, |arrows| {
        let circles = circles(arrows);
        assert_eq!(circles.len(), 2);
        assert_eq!(
            drawn("made-up", &circles[0], arrows),
            "made-up: 3 files\n  one.rs -> two.rs\n  three.rs -> one.rs\n  two.rs -> three.rs\n"
        );
        assert_eq!(
            circles[1].iter().copied().collect::<Vec<_>>(),
            ["four.rs", "four/inner.rs"]
        );
    });
}
