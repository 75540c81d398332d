//! Why handshakes fail, in a few words: the label of the metric is for machines.

/// What a label of `FailureReason` means; the label itself where it has no words.
pub(super) fn words(label: &str) -> &str {
    let words = WORDS.iter().find(|(known, _)| *known == label);
    words.map_or(label, |(_, words)| words)
}

const WORDS: [(&str, &str); 18] = [
    ("bad-certificate", "does not accept our certificate"),
    (
        "certificate-expired",
        "finds our certificate expired; is its clock right?",
    ),
    (
        "closed-after-certificate",
        "left after our certificate; is the chain too large, or its root another?",
    ),
    ("closed-before-certificate", "left before our certificate"),
    ("closed-before-hello", "left before it had said hello"),
    ("invalid-server-name", "asked for a name that is none"),
    ("malformed-hello", "said a malformed hello"),
    ("no-common-cipher", "has no cipher suite that we have"),
    ("no-common-group", "has no key exchange that we have"),
    ("no-common-protocol", "speaks another application protocol"),
    ("no-common-signature", "has no signature for our key"),
    ("not-tls", "did not speak TLS"),
    ("other", "other"),
    ("other-alert", "gave another alert"),
    ("rsa-key-exchange-only", "has RSA key exchange only"),
    ("timed-out", "went silent"),
    ("tls-version", "has no TLS version that we have"),
    ("unknown-ca", "does not know our root"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::FailureReason;

    #[test]
    fn each_reason_has_words() {
        for (_, label) in FailureReason::LABELS {
            assert!(WORDS.iter().any(|(known, _)| *known == label), "{label}");
        }
        assert_eq!(words("unheard-of"), "unheard-of");
    }
}
