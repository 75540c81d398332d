//! What is wrong with a table of sites.

use std::path::PathBuf;

use miette::Diagnostic;

use crate::sites::SitesError;

/// What is wrong with a table of sites. Whatever it is, nothing was changed.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(super) enum TableError {
    #[error("`{}` has no column `{column}`; its columns are {found}", path.display())]
    #[diagnostic(
        code("no-column"),
        help(
            "the first line names the columns: name, key or key_file, and perhaps hosts, serials, certificate, base_url"
        )
    )]
    NoColumn {
        path: PathBuf,
        column: &'static str,
        found: String,
    },
    #[error("`{}` has a column `{column}`, which means nothing here", path.display())]
    #[diagnostic(
        code("unknown-column"),
        help("allowed: name, key, key_file, hosts, serials, certificate, base_url")
    )]
    UnknownColumn { path: PathBuf, column: String },
    #[error("`{}` has two columns `{column}`; allowed: one of each", path.display())]
    #[diagnostic(code("repeated-column"), help("remove one of them, or rename it"))]
    RepeatedColumn { path: PathBuf, column: &'static str },
    #[error("`{}` lists no site", path.display())]
    #[diagnostic(
        code("empty-table"),
        help("a line a site, below the line that names the columns")
    )]
    Empty { path: PathBuf },
    #[error("line {line} of `{}` is no line of the table: {reason}", path.display())]
    #[diagnostic(
        code("malformed-table"),
        help("a cell with a comma or a quote in it stands in \"quotes\"; the file is UTF-8")
    )]
    Malformed {
        path: PathBuf,
        line: u64,
        reason: String,
    },
    #[error("line {line} of `{}`: {reason}", path.display())]
    #[diagnostic(code("malformed-cell"), help("correct the cell `{column}`"))]
    Cell {
        path: PathBuf,
        line: u64,
        column: &'static str,
        reason: String,
    },
    #[error("line {line} of `{}`", path.display())]
    #[diagnostic(forward(source))]
    Site {
        path: PathBuf,
        line: u64,
        source: Box<SitesError>,
    },
    #[error("`{}` has more faults than these", path.display())]
    #[diagnostic(code("more-faults"), help("correct these first"))]
    More { path: PathBuf },
}
