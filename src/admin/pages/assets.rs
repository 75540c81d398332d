//! The style sheet and the script. Their names change with what they say, so that browsers keep them
//! for ever and never show a new page with an old style.

use std::sync::LazyLock;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// A file that pages ask for.
#[derive(Debug)]
pub(super) struct Asset {
    path: String,
    pub(super) media_type: &'static str,
    pub(super) contents: &'static str,
}

impl Asset {
    fn new(name: &str, ending: &str, media_type: &'static str, contents: &'static str) -> Self {
        let hash = HEXLOWER.encode(&Sha256::digest(contents)[..8]);
        Self {
            path: format!("{FOLDER}{name}-{hash}.{ending}"),
            media_type,
            contents,
        }
    }

    /// Where it is asked for.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The one of this path.
    pub(super) fn at(path: &str) -> Option<&'static Self> {
        [&*STYLE, &*REFRESH].into_iter().find(|it| it.path == path)
    }
}

pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let contents = include_str!("style.css");
    Asset::new("style", "css", "text/css; charset=utf-8", contents)
});

pub(super) static REFRESH: LazyLock<Asset> = LazyLock::new(|| {
    let contents = include_str!("refresh.js");
    Asset::new("refresh", "js", "text/javascript; charset=utf-8", contents)
});

const FOLDER: &str = "/assets/";
