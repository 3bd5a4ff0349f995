//! Certificates that the caller gives: roots and intermediate ones.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::{Error, Result};

/// The longest file of certificates. A list of all public roots has a quarter of it.
pub const CERTIFICATES_LEN_BYTES_MAX: usize = 1 << 20;

/// A list of X.509 certificates: roots to trust, or intermediate ones to build chains with.
///
/// A root is a *trust anchor* (RFC 5280, section 6.1.1): its name, key and name constraints count,
/// its own dates, signature and other extensions do not. It must be a certificate that issues others:
/// the authority's own is none.
#[derive(Clone, Debug, Default)]
pub struct Certificates(pub(crate) Vec<CertificateDer<'static>>);

impl Certificates {
    /// Adds the certificates of a file: one in DER, or one or more in PEM. Returns how many.
    ///
    /// # Errors
    /// [`Error::TooLong`], and [`Error::Malformed`] where there is no certificate or one cannot be
    /// read; then nothing was added.
    pub fn add(&mut self, file: &[u8]) -> Result<usize> {
        const WHAT: &str = "the file of certificates";
        check_len(WHAT, file, CERTIFICATES_LEN_BYTES_MAX)?;
        // A certificate in DER begins with the tag of a SEQUENCE; no line of PEM does.
        let found = if file.first() == Some(&0x30) {
            vec![CertificateDer::from(file.to_vec())]
        } else {
            CertificateDer::pem_slice_iter(file)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| Error::malformed(WHAT, error))?
        };
        if found.is_empty() {
            return Err(Error::malformed(WHAT, "no certificate in PEM or DER in it"));
        }
        for certificate in &found {
            webpki::anchor_from_trusted_cert(certificate)
                .map_err(|error| Error::malformed(WHAT, error))?;
        }
        self.0.extend_from_slice(&found);
        Ok(found.len())
    }

    /// Number of certificates.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Refuses what is longer than such a thing can be, before anything is decoded.
pub(crate) fn check_len(what: &'static str, bytes: &[u8], max_bytes: usize) -> Result<()> {
    if bytes.len() > max_bytes {
        return Err(Error::TooLong {
            what,
            len_bytes: bytes.len(),
            max_bytes,
        });
    }
    Ok(())
}
