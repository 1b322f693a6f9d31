//! Descriptions of `landfast generate`: the first line, with what follows it as
//! the content of every file that it names.
#![no_main]

use landfast_node::generate::Description;
use landfast_pki::Secret;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (line, file) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(description) = Description::read(line) else { return };
    let _ = description.node_config("node-1");
    let mut documents = description.documents();
    documents.extend(
        description
            .pod_documents(&|_| Ok(Secret::new(file.as_bytes().to_vec())))
            .unwrap_or_default(),
    );
    // What is called JSON is JSON, whatever is in it.
    for document in documents {
        if document.path.extension().is_some_and(|end| end == "json") {
            serde_json::from_str::<serde_json::Value>(&document.text).expect("JSON");
        }
    }
});
