//! Why nothing was adopted.

use std::io;
use std::path::PathBuf;

use miette::Diagnostic;

use engage_wire::pki::ChainError;

/// Why nothing was adopted. Whatever it is, the old folder was not touched.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(super) enum AdoptError {
    #[error("no script in `{}` announces a certificate: none has `cert_url` and `hash` as text", folder.display())]
    #[diagnostic(
        code("no-announcement"),
        help(
            "name the folder with `Example_Non_Secure_API_Server.py`; if its scripts compute these values, docs/MIGRATION.md \
             shows how to move over by hand"
        )
    )]
    NoAnnouncement { folder: PathBuf },
    #[error("`cert_url` of `{}` is {cert_url:?}; allowed: `http://HOST[:PORT]/PATH/NAME.der`", script.display())]
    #[diagnostic(
        code("cert-url"),
        help(
            "devices cannot have fetched it: correct it in the script, or move over by hand as docs/MIGRATION.md shows"
        )
    )]
    CertUrl { script: PathBuf, cert_url: String },
    #[error("{what} `{name}`, which `{}` names, is not in `{}`", script.display(), folder.display())]
    #[diagnostic(
        code("missing-file"),
        help("copy the whole folder of the old server, with `static/Device_Certificates`")
    )]
    MissingFile {
        what: &'static str,
        name: String,
        script: PathBuf,
        folder: PathBuf,
    },
    #[error("the site key does not give the old server's hash `{hash}` for `{}`", certificate.display())]
    #[diagnostic(
        code("other-site-key"),
        help(
            "find the key of this ENGAGE site: with another one no device would accept a certificate; \
             or was the certificate replaced after the hash was made?"
        )
    )]
    OtherSiteKey { hash: String, certificate: PathBuf },
    #[error("no site key was named")]
    #[diagnostic(
        code("no-site-key"),
        help(
            "name its file with `--site-key-file FILE`, or run this on a terminal, which asks for it"
        )
    )]
    NoSiteKey,
    #[error("failed to read the site key from the terminal")]
    #[diagnostic(code("no-site-key"), help("name its file with `--site-key-file FILE`"))]
    Terminal(#[source] io::Error),
    #[error("the site key that was typed cannot be used")]
    #[diagnostic(
        code("malformed-site-key"),
        help("type it as Base64 (44 characters) or hex (64 digits)")
    )]
    TypedKey(#[source] engage_wire::site::KeyTextError),
    #[error("private key `{}` does not belong to server certificate `{}`", key.display(), certificate.display())]
    #[diagnostic(
        code("foreign-key"),
        help(
            "compare `openssl pkey -in {} -pubout` with `openssl x509 -in {} -noout -pubkey`, and bring the right one back",
            key.display(),
            certificate.display()
        )
    )]
    ForeignKey { key: PathBuf, certificate: PathBuf },
    #[error("a device that trusts `{}` does not accept server certificate `{}`", anchor.display(), certificate.display())]
    #[diagnostic(forward(source))]
    Chain {
        anchor: PathBuf,
        certificate: PathBuf,
        source: Box<ChainError>,
    },
    #[error("`{}` lies in the old server's folder, which is left as it is", target.display())]
    #[diagnostic(
        code("inside-old-folder"),
        help("name another folder with `--dir DIR`")
    )]
    InsideOldFolder { target: PathBuf },
    /// `fs_err` has named the path.
    #[error(transparent)]
    #[diagnostic(
        code("unusable-file"),
        help("name the folder of the old server: `API_Server`")
    )]
    OldFolder { source: io::Error },
    #[error("`{}` exists already and is another file", path.display())]
    #[diagnostic(
        code("exists"),
        help(
            "nothing is overwritten: name an empty folder with `--dir DIR`, or move that file away"
        )
    )]
    Exists { path: PathBuf },
}
