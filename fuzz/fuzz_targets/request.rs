//! The body of a request, in each of the APIs.

#![no_main]

use libfuzzer_sys::fuzz_target;
use whetstone_serve::fuzzing::read;

fuzz_target!(|bytes: &[u8]| {
    let mut unknown = 0;
    for path in ["/rerank", "/v1/rerank", "/v2/rerank"] {
        match read(path, bytes) {
            Ok(documents) => assert!(documents > 0),
            Err((status, message)) => {
                assert!((400..500).contains(&status), "{path}: {status} {message}");
                assert!(!message.is_empty());
                unknown += usize::from(message.contains("the body is not"));
            }
        }
    }
    // What is no JSON is none in any of the APIs.
    assert!(unknown == 0 || unknown == 3, "{unknown}");
});
