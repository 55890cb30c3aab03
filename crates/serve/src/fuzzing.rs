//! What only the fuzz targets call.

use crate::config::Limits;
use crate::http;

/// Reads the body of a request to a path: how many documents it has, or the status and the words
/// with which it is refused.
pub fn read(path: &str, body: &[u8]) -> Result<usize, (u16, String)> {
    http::read(path, body, &Limits::default())
}
