//! Why a request, a reply or a certificate is refused.

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something is refused, and what to do. The texts are for people and no interface.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More bytes than such a thing can have; nothing was decoded.
    #[error("{what} has {len_bytes} bytes, more than {max_bytes}: is it the right file?")]
    TooLong {
        /// What was to be read.
        what: &'static str,
        /// Its length.
        len_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// The bytes are not what they should be. Get the file again.
    #[error("{what} cannot be read: {detail}: get the file again from where it was made")]
    Malformed {
        /// Which structure.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The authority refused to stamp. Correct what it complains about, and ask again.
    #[error("the authority gave no stamp: {0}: make a new request, or ask another authority")]
    NotGranted(String),
    /// An algorithm or a form this crate does not accept. Ask another authority.
    #[error("{what} {found} is not accepted: use an authority that offers {accepted}")]
    Unsupported {
        /// What the algorithm is for.
        what: &'static str,
        /// What was found, usually an object identifier.
        found: String,
        /// What would be accepted.
        accepted: &'static str,
    },
    /// The stamp is over other bytes: a reply for another checkpoint, or a changed note.
    #[error("the stamp is over other bytes: find the reply that belongs to this note")]
    OtherBytes,
    /// The kept request is over other bytes than those given.
    #[error("the request is over other bytes: find the request that belongs to this note")]
    OtherRequest,
    /// The reply does not repeat the number of the request: it answers another one.
    #[error(
        "the reply answers another request ({found}): find the reply to this request, or ask again"
    )]
    Nonce {
        /// What stands in the reply.
        found: &'static str,
    },
    /// The stamp was given under another policy than the one asked for.
    #[error("the stamp was given under policy {found}, not {asked}: ask again, naming the policy")]
    Policy {
        /// The policy required.
        asked: String,
        /// The policy of the stamp.
        found: String,
    },
    /// The signed message contradicts itself or lacks a part that must be there.
    #[error("the signed message is not a proper stamp: {0}: ask the authority for a new one")]
    Inconsistent(&'static str),
    /// No certificate at hand is the signer's.
    #[error("the signer's certificate is missing: give it as an intermediate certificate")]
    NoSigner,
    /// The signature is not that of the signer's certificate.
    #[error("the signature does not fit: the reply was changed or forged, keep it and ask again")]
    Signature,
    /// The certificate is not one for stamping and nothing else (RFC 3161, section 2.3).
    #[error("the certificate of {subject} is not for time-stamping: {detail}: do not rely on it")]
    Purpose {
        /// The certificate's subject.
        subject: String,
        /// Which rule is broken.
        detail: &'static str,
    },
    /// The certificate did not lead to one of the given roots at the time of the stamp.
    #[error("the certificate of {subject} does not hold at {time}: {detail}")]
    Chain {
        /// The certificate's subject.
        subject: String,
        /// The time of the stamp.
        time: String,
        /// What fails, and what to do.
        detail: String,
    },
    /// The operating system gave no random number. Nothing was made.
    #[error("no random number from the operating system: {0}: try again")]
    Random(String),
}

impl Error {
    pub(crate) fn malformed(what: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Malformed {
            what,
            detail: printable(&detail.to_string()),
        }
    }
}

/// Text of unknown origin, for people: at most 256 characters, none of which moves a cursor.
pub(crate) fn printable(text: &str) -> String {
    const CHARS_MAX: usize = 256;
    // Directions of writing (U+202A to U+202E, U+2066 to U+2069) can make a line read as another.
    let hidden = |c: char| c.is_control() || ('\u{200b}'..='\u{206f}').contains(&c);
    let chars = text.chars().take(CHARS_MAX);
    chars.map(|c| if hidden(c) { '?' } else { c }).collect()
}
