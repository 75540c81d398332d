//! Text as an operator's programs write it: UTF-8 with or without a byte order mark, and UTF-16 with
//! one, as Windows PowerShell's `>` and Notepad's "Unicode" do.

use std::ops::Deref;
use std::path::Path;

use memchr::memmem;
use zeroize::Zeroizing;

use crate::{ReadError, read_regular_file};

/// The contents of a text file: no byte order mark, and never UTF-16. Wiped when dropped, if it was
/// decoded or read here.
///
/// A file in UTF-8 is not looked through: where each line stands for itself, a comment in another
/// encoding harms no other line. [`Text::to_str`] does, for whoever needs the whole.
#[derive(Default)]
pub struct Text<'a> {
    contents: Contents<'a>,
    encoding: TextEncoding,
}

enum Contents<'a> {
    Borrowed(&'a [u8]),
    Owned(Zeroizing<Vec<u8>>),
}

impl<'a> Text<'a> {
    /// Decodes the contents of a file. Refuses UTF-16 that is cut, or has half of a surrogate pair.
    pub fn decode(contents: &'a [u8]) -> Result<Self, TextError> {
        let encoding = TextEncoding::detect(contents);
        let rest = &contents[encoding.mark().len()..];
        let contents = match encoding {
            TextEncoding::Utf8 | TextEncoding::Utf8WithMark => Contents::Borrowed(rest),
            TextEncoding::Utf16Le => Contents::Owned(decode_utf16(rest, u16::from_le_bytes)?),
            TextEncoding::Utf16Be => Contents::Owned(decode_utf16(rest, u16::from_be_bytes)?),
        };
        Ok(Self { contents, encoding })
    }

    /// The same; a refusal names the file and its part.
    pub fn of_file(what: &'static str, path: &Path, contents: &'a [u8]) -> Result<Self, ReadError> {
        Self::decode(contents).map_err(|problem| ReadError::not_text(what, path, problem))
    }

    /// How the file has it.
    pub fn encoding(&self) -> TextEncoding {
        self.encoding
    }

    /// The contents of the file with one more line, in its encoding and with its line ends.
    pub fn with_line(&self, line: &[u8]) -> Zeroizing<Vec<u8>> {
        let is_open = !self.is_empty() && !self.ends_with(b"\n");
        let line_end = self.line_end().as_bytes();
        let before = if is_open { line_end } else { b"" };
        self.encoding
            .encode(&Zeroizing::new([self, before, line, line_end].concat()))
    }

    /// How its lines end; what is added to it ends its lines in the same way.
    pub fn line_end(&self) -> &'static str {
        match memmem::find(self, b"\r\n") {
            Some(_) => "\r\n",
            None => "\n",
        }
    }

    /// The text, if all of it is. Refuses zero bytes, which are no text in any of these encodings.
    pub fn to_str(&self) -> Result<&str, TextError> {
        let text = str::from_utf8(self).map_err(|error| TextError::NotUtf8 {
            offset: self.encoding.mark().len() + error.valid_up_to(),
        })?;
        match text.find('\0') {
            None => Ok(text),
            Some(at) => Err(TextError::ZeroByte {
                offset: self.encoding.encode(&text.as_bytes()[..at]).len(),
            }),
        }
    }

    /// The bytes of the text in UTF-8, without a byte order mark.
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        match self.contents {
            Contents::Borrowed(bytes) => Zeroizing::new(bytes.to_vec()),
            Contents::Owned(bytes) => bytes,
        }
    }
}

impl Text<'static> {
    /// Reads a text file of at most `max_bytes`, whatever its encoding: in UTF-8, what was UTF-16 may
    /// be half as long again.
    pub fn read(what: &'static str, path: &Path, max_bytes: usize) -> Result<Self, ReadError> {
        let mut contents = read_regular_file(what, path, max_bytes)?;
        let text = Text::of_file(what, path, &contents)?;
        let encoding = text.encoding;
        let contents = match text.contents {
            Contents::Owned(decoded) => decoded,
            Contents::Borrowed(_) => {
                contents.drain(..encoding.mark().len());
                contents
            }
        };
        Ok(Self {
            contents: Contents::Owned(contents),
            encoding,
        })
    }
}

/// Reads a file of which every byte has to be text; see [`Text::read`].
pub fn read_text(
    what: &'static str,
    path: &Path,
    max_bytes: usize,
) -> Result<Zeroizing<String>, ReadError> {
    let text = Text::read(what, path, max_bytes)?;
    let text = text
        .to_str()
        .map_err(|problem| ReadError::not_text(what, path, problem))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// For text of our own, which has no byte order mark.
impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self {
            contents: Contents::Borrowed(text.as_bytes()),
            encoding: TextEncoding::Utf8,
        }
    }
}

impl Deref for Text<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.contents
    }
}

impl Deref for Contents<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl Default for Contents<'_> {
    fn default() -> Self {
        Self::Borrowed(b"")
    }
}

/// How a text file is encoded. UTF-16 is only known by its byte order mark.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TextEncoding {
    /// Without a mark.
    #[default]
    Utf8,
    /// As Windows PowerShell's `-Encoding utf8` writes it.
    Utf8WithMark,
    /// As Windows PowerShell's `>` writes it.
    Utf16Le,
    /// The high byte first.
    Utf16Be,
}

impl TextEncoding {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Utf8, Self::Utf8WithMark, Self::Utf16Le, Self::Utf16Be];

    fn detect(contents: &[u8]) -> Self {
        let marked = Self::ALL.into_iter().skip(1);
        let mut marked = marked.filter(|it| contents.starts_with(it.mark()));
        marked.next().unwrap_or_default()
    }

    /// The byte order mark, U+FEFF, in this encoding.
    pub fn mark(self) -> &'static [u8] {
        match self {
            Self::Utf8 => b"",
            Self::Utf8WithMark => b"\xef\xbb\xbf",
            Self::Utf16Le => b"\xff\xfe",
            Self::Utf16Be => b"\xfe\xff",
        }
    }

    /// What a file of this encoding has for this text, with its mark. Bytes that are not UTF-8 stay as
    /// they are, but for UTF-16, which has no place for them.
    pub fn encode(self, text: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut encoded = Zeroizing::new(Vec::with_capacity(2 * text.len() + 3));
        encoded.extend_from_slice(self.mark());
        let to_bytes = match self {
            Self::Utf8 | Self::Utf8WithMark => {
                encoded.extend_from_slice(text);
                return encoded;
            }
            Self::Utf16Le => u16::to_le_bytes,
            Self::Utf16Be => u16::to_be_bytes,
        };
        for chunk in text.utf8_chunks() {
            let replaced = (!chunk.invalid().is_empty()).then_some(REPLACEMENT);
            let units = chunk.valid().encode_utf16().chain(replaced);
            encoded.extend(units.flat_map(to_bytes));
        }
        encoded
    }
}

/// Why a file is not text. Never quotes it: it may be a secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TextError {
    /// Neither UTF-8 nor UTF-16 by its mark.
    #[error("what follows its first {offset} bytes is not UTF-8")]
    NotUtf8 {
        /// How many bytes of the file are.
        offset: usize,
    },
    /// As UTF-16 without a mark has them.
    #[error(
        "what follows its first {offset} bytes is a zero byte, as in UTF-16 without a byte order mark"
    )]
    ZeroByte {
        /// How many bytes stand before it.
        offset: usize,
    },
    /// UTF-16 that was cut, or put together of two files.
    #[error("it begins as UTF-16, and what follows its first {offset} bytes is half of a pair")]
    LoneSurrogate {
        /// How many bytes stand before it.
        offset: usize,
    },
    /// UTF-16 that was cut.
    #[error("it begins as UTF-16, and what follows its first {offset} bytes is a single byte")]
    HalfUnit {
        /// How many bytes stand before it.
        offset: usize,
    },
}

impl TextError {
    /// What to do, for whoever wrote the file.
    pub const HINT: &str = "save it as UTF-8, in Windows PowerShell with `Out-File -Encoding utf8`; \
                            a file that was cut is to be copied again";

    /// What would be taken.
    pub const ALLOWED: &str = "UTF-8, or UTF-16 with a byte order mark";
}

/// Decodes what follows the mark.
fn decode_utf16(
    contents: &[u8],
    from_bytes: fn([u8; 2]) -> u16,
) -> Result<Zeroizing<Vec<u8>>, TextError> {
    let (pairs, half) = contents.as_chunks::<2>();
    // As large as it gets: a vector that grows leaves copies of a key behind.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_BYTES_PER_UNIT * pairs.len()));
    let mut offset = UTF16_MARK_BYTES;
    for character in char::decode_utf16(pairs.iter().copied().map(from_bytes)) {
        let character = character.map_err(|_| TextError::LoneSurrogate { offset })?;
        offset += 2 * character.len_utf16();
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    if half.is_empty() {
        Ok(text)
    } else {
        Err(TextError::HalfUnit { offset })
    }
}

const UTF16_MARK_BYTES: usize = 2;

/// A character of two bytes in UTF-16 has up to three in UTF-8, and one of four has four.
const MAX_BYTES_PER_UNIT: usize = 3;

/// U+FFFD.
const REPLACEMENT: u16 = 0xfffd;

#[cfg(test)]
mod tests;
