//! Time from outside: RFC 3161 timestamps over the signed note of a checkpoint.
//!
//! A store's own clock and key show little to somebody who does not trust its owner. A time-stamping
//! authority signs "these bytes were there at this time" without seeing them: it gets their hash.
//! This crate writes the [`Request`] and checks the reply ([`verify`]) offline, against root
//! certificates that the reader of the evidence chooses. It opens no connection, reads no clock and
//! no file.
//!
//! ```
//! use blocknet_timestamp::{Certificates, Options, Request, verify};
//!
//! # let note = include_bytes!("../tests/fixtures/note.txt");
//! # let query_kept = include_bytes!("../tests/fixtures/rsa.tsq");
//! # let reply = include_bytes!("../tests/fixtures/rsa.tsr");
//! # let root_pem = include_bytes!("../tests/fixtures/root_rsa.pem");
//! let request = Request::new(note, None)?;
//! let query: &[u8] = request.to_der(); // POST as application/timestamp-query, and keep it
//!
//! // The authority's answer, perhaps years later:
//! let mut roots = Certificates::default();
//! roots.add(root_pem)?;
//! # let request = Request::from_der(query_kept)?;
//! let stamp = verify(reply, note, Some(&request), &roots, &Options::default())?;
//! println!("there at {}, not proven: {:?}", stamp.time_text(), stamp.not_proven());
//! # assert!(query.len() > 50);
//! # Ok::<(), blocknet_timestamp::Error>(())
//! ```
//!
//! # What a stamp shows
//!
//! The bytes existed at [`Stamp::time`] (within [`Stamp::accuracy`]), according to an authority whose
//! certificate was valid at that time and leads to one of the given roots. It does not show who made
//! them, nor that nothing else existed.
//!
//! # Evidence that lasts
//!
//! A certificate that has expired since does not weaken a stamp here: what counts is that it was valid
//! when it signed. That is only as good as the keys and hashes of then. Three things remain with the
//! keeper of the evidence, because nothing offline can show them:
//!
//! * *Revocation.* Whether a certificate of the chain was revoked before the stamp was made, or for a
//!   compromised key (RFC 3161, section 4), stands in the authority's revocation lists: fetch them
//!   while they are published and keep them.
//! * *Renewal.* Before [`Stamp::certificate_until`], or when an algorithm weakens, get a new stamp
//!   over the note *and* the old reply: then the old reply provably existed while nobody could
//!   forge it (RFC 4998 describes chains of such stamps).
//! * *Legal standing.* Whether an authority is a qualified one under eIDAS is a property of the root
//!   that is given, to be looked up in the trusted lists of the time.
//!
//! # Accepted
//!
//! Message imprints and digests: SHA-256, SHA-384, SHA-512. Signatures: RSA PKCS#1 v1.5 and PSS with
//! keys of 2048 to 8192 bits, ECDSA over P-256 and P-384 with SHA-256 or SHA-384, Ed25519. SHA-1 is
//! accepted in one place only: the old `SigningCertificate` attribute (RFC 2634) can name its
//! certificate by nothing else, and that certificate must lead to a root all the same.
#![forbid(unsafe_code)]

mod asn1;
mod certificates;
mod error;
mod reply;
mod request;
mod stamp;

pub use certificates::{CERTIFICATES_LEN_BYTES_MAX, Certificates};
pub use error::{Error, Result};
pub use reply::{Options, REPLY_LEN_BYTES_MAX, verify};
pub use request::{REQUEST_LEN_BYTES_MAX, Request};
pub use stamp::Stamp;
