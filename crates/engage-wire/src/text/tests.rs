use proptest::prelude::*;

use super::*;

fn problem(contents: &[u8]) -> TextError {
    let decoded = Text::decode(contents);
    decoded
        .and_then(|text| text.to_str().map(str::to_owned))
        .unwrap_err()
}

#[test]
fn utf_16_that_is_cut_is_refused_at_the_byte() {
    for (contents, expected) in [
        (&b"\xff\xfea\0b"[..], TextError::HalfUnit { offset: 4 }),
        (b"\xfe\xff\0", TextError::HalfUnit { offset: 2 }),
        (b"\xff\xfe\x3d\xd8", TextError::LoneSurrogate { offset: 2 }),
        (
            b"\xfe\xff\xd8\x3d\xde\0\xde\0",
            TextError::LoneSurrogate { offset: 6 },
        ),
        (
            b"\xff\xfea\0\x3d\xd8b\0",
            TextError::LoneSurrogate { offset: 4 },
        ),
    ] {
        assert_eq!(problem(contents), expected, "{contents:x?}");
    }
}

#[test]
fn what_is_no_text_is_refused_at_the_byte_in_the_file() {
    for (contents, expected) in [
        (&b"ab\xfc"[..], TextError::NotUtf8 { offset: 2 }),
        (b"\xef\xbb\xbfab\xfc", TextError::NotUtf8 { offset: 5 }),
        (b"a\0b\0", TextError::ZeroByte { offset: 1 }),
        (b"\xff\xfe\xfc\0\0\0", TextError::ZeroByte { offset: 4 }),
    ] {
        assert_eq!(problem(contents), expected, "{contents:x?}");
    }
}

#[test]
fn a_byte_that_is_not_utf_8_leaves_the_lines_beside_it() {
    let text = Text::decode(b"\xef\xbb\xbf# K\xfcche\r\nkey\r\n").unwrap();
    assert_eq!(&*text, b"# K\xfcche\r\nkey\r\n");
    assert_eq!(text.line_end(), "\r\n");
    assert_eq!(Text::default().line_end(), "\n");
}

#[test]
fn a_file_is_refused_by_its_name_and_never_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    for contents in [&b"\xff\xfes\0e\0c"[..], b"sec\xffret"] {
        fs_err::write(&path, contents).unwrap();
        let refused = read_text("token file", &path, 100).unwrap_err().to_string();
        let start = format!("token file `{}` is not text: ", path.display());
        assert!(refused.starts_with(&start), "{refused}");
        assert!(!refused[start.len()..].contains("sec"), "{refused}");
    }
}

#[test]
fn the_bound_is_of_bytes_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for encoding in TextEncoding::ALL {
        let contents = encoding.encode("\u{20ac}\u{20ac}".as_bytes());
        fs_err::write(&path, &contents).unwrap();
        assert!(Text::read("file", &path, contents.len()).is_ok());
        let refused = Text::read("file", &path, contents.len() - 1);
        assert!(matches!(refused, Err(ReadError::TooLarge { .. })));
    }
}

#[test]
fn a_line_is_added_as_the_others_are() {
    for encoding in TextEncoding::ALL {
        for (before, after) in [
            ("", "two\n"),
            ("one", "one\ntwo\n"),
            ("one\r\n\r\n", "one\r\n\r\ntwo\r\n"),
            ("# \u{fc}\r\none", "# \u{fc}\r\none\r\ntwo\r\n"),
        ] {
            let file = encoding.encode(before.as_bytes());
            let added = Text::decode(&file).unwrap().with_line(b"two");
            assert_eq!(
                added,
                encoding.encode(after.as_bytes()),
                "{encoding:?}: {before}"
            );
        }
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_again(text: String) {
        // A text that begins with a mark of its own is one in UTF-8 with a mark.
        let text = text.trim_start_matches('\u{feff}');
        for encoding in TextEncoding::ALL {
            let encoded = encoding.encode(text.as_bytes());
            let decoded = Text::decode(&encoded).unwrap();
            prop_assert_eq!(decoded.encoding(), encoding);
            prop_assert_eq!(&*decoded, text.as_bytes());
            prop_assert_eq!(decoded.to_str().is_ok(), !text.contains('\0'));
            prop_assert_eq!(&*decoded.into_bytes(), text.as_bytes());
        }
    }

    #[test]
    fn no_bytes_make_it_panic_and_utf_16_becomes_utf_8(
        mark in prop::sample::select(TextEncoding::ALL.map(TextEncoding::mark).to_vec()),
        bytes: Vec<u8>,
    ) {
        let contents = [mark, &bytes].concat();
        if let Ok(text) = Text::decode(&contents) {
            let is_utf16 = [TextEncoding::Utf16Le, TextEncoding::Utf16Be].contains(&text.encoding());
            prop_assert!(!is_utf16 || str::from_utf8(&text).is_ok());
            prop_assert_eq!(&*text.encoding().encode(&text), &contents);
            let _ = (text.to_str(), text.line_end());
        }
    }
}
