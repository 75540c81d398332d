//! Reading a request's body within its bound.

use axum::body::HttpBody;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

/// Why a body was not read whole.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It broke off, or a deadline of `[limits]` passed.
    Broken,
    /// It is longer than allowed.
    TooLong {
        /// As much as is allowed.
        beginning: Bytes,
    },
}

/// Reads at most `most` bytes. The socket keeps the deadlines.
pub(super) async fn collect<B>(mut body: B, most: usize) -> Result<Bytes, BodyError>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
            // Trailers carry nothing that is stored.
            continue;
        };
        let room = most - collected.len();
        collected.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            return Err(BodyError::TooLong {
                beginning: collected.freeze(),
            });
        }
    }
    Ok(collected.freeze())
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn a_body_of_the_longest_length_is_read_and_one_more_byte_is_not() {
        let whole = collect(Full::from("12345"), 5).await.unwrap();
        assert_eq!(whole, "12345");
        let error = collect(Full::from("123456"), 5).await.unwrap_err();
        assert!(matches!(error, BodyError::TooLong { beginning } if beginning == "12345"));
    }
}
