//! What is sent to the authority.
#![warn(clippy::indexing_slicing)]

use der::asn1::{Int, Null, ObjectIdentifier, OctetString};
use der::oid::db::rfc5912::ID_SHA_256;
use der::referenced::OwnedToRef;
use der::{Any, Decode, Encode};
use ring::digest;
use x509_cert::spki::AlgorithmIdentifier;
use x509_tsp::{MessageImprint, TimeStampReq, TspVersion};

use crate::asn1::{digest_algorithm, is_over};
use crate::certificates::check_len;
use crate::error::{Error, Result};

/// The longest request that is read. Ours have about 70 bytes.
pub const REQUEST_LEN_BYTES_MAX: usize = 4096;

/// Bytes of the longest number that is read: the 160 bits that RFC 3161 asks readers to accept of
/// serial numbers, and a sign.
const NONCE_LEN_BYTES_MAX: usize = 21;

/// A request for a stamp (`TimeStampReq`, RFC 3161, section 2.4.1).
///
/// Keep its bytes beside the note: only with them can be shown that a reply answers this request and
/// was not made before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    der: Vec<u8>,
    pub(crate) imprint: MessageImprint,
    pub(crate) policy: Option<ObjectIdentifier>,
    pub(crate) nonce: Int,
}

impl Request {
    /// A request over the SHA-256 of these bytes, with a random number of 64 bits, that asks for the
    /// authority's certificate.
    ///
    /// * `policy`: an object identifier in decimals, such as `0.4.0.2023.1.1` (ETSI EN 319 421, "best
    ///   practices"), or the authority's own choice.
    ///
    /// # Errors
    /// [`Error::Malformed`] where `policy` is no object identifier; [`Error::Random`].
    pub fn new(over: &[u8], policy: Option<&str>) -> Result<Self> {
        let policy = policy.map(parse_policy).transpose()?;
        let nonce = getrandom::u64().map_err(|error| Error::Random(error.to_string()))?;
        Self::encode(over, policy, nonce).map_err(|error| Error::malformed("the request", error))
    }

    fn encode(over: &[u8], policy: Option<ObjectIdentifier>, nonce: u64) -> der::Result<Self> {
        let imprint = MessageImprint {
            // NULL stands here in the requests of openssl and others; some authorities insist.
            hash_algorithm: AlgorithmIdentifier {
                oid: ID_SHA_256,
                parameters: Some(Any::from(Null)),
            },
            hashed_message: OctetString::new(digest::digest(&digest::SHA256, over).as_ref())?,
        };
        // The detour through DER gives a number with its high bit set the zero in front that keeps it
        // positive.
        let nonce = Int::from_der(&nonce.to_der()?)?;
        let request = TimeStampReq {
            version: TspVersion::V1,
            message_imprint: imprint.clone(),
            req_policy: policy,
            nonce: Some(nonce.clone()),
            cert_req: true,
            extensions: None,
        };
        Ok(Self {
            der: request.to_der()?,
            imprint,
            policy,
            nonce,
        })
    }

    /// The bytes to send (as `application/timestamp-query`) and to keep.
    pub fn to_der(&self) -> &[u8] {
        &self.der
    }

    /// Reads a kept request; one that another program made is accepted if it has a nonce.
    ///
    /// # Errors
    /// [`Error::TooLong`]; [`Error::Malformed`] where the bytes are not the DER form of a request with
    /// a positive nonce and without extensions; [`Error::Unsupported`] for other hashes.
    pub fn from_der(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "the request";
        check_len(WHAT, bytes, REQUEST_LEN_BYTES_MAX)?;
        let fault = |error| Error::malformed(WHAT, error);
        let read = TimeStampReq::from_der(bytes).map_err(fault)?;
        // The decoder forgives what DER does not allow, such as a default that is written out.
        if read.to_der().map_err(fault)? != bytes {
            return Err(Error::malformed(WHAT, "not in DER"));
        }
        let algorithm = read.message_imprint.hash_algorithm.owned_to_ref();
        let algorithm = digest_algorithm("the hash", algorithm)?;
        if read.message_imprint.hashed_message.as_bytes().len() != algorithm.output_len() {
            return Err(Error::malformed(WHAT, "a hash of the wrong length"));
        }
        let nonce = read
            .nonce
            .ok_or_else(|| Error::malformed(WHAT, "no nonce"))?;
        let negative = |first: &u8| *first >= 0x80;
        if nonce.as_bytes().len() > NONCE_LEN_BYTES_MAX
            || nonce.as_bytes().first().is_some_and(negative)
        {
            return Err(Error::malformed(
                WHAT,
                "a nonce of more than 160 bits, or a negative one",
            ));
        }
        if read.extensions.is_some() {
            return Err(Error::malformed(WHAT, "extensions"));
        }
        Ok(Self {
            der: bytes.to_vec(),
            imprint: read.message_imprint,
            policy: read.req_policy,
            nonce,
        })
    }

    /// Whether the request is over these bytes.
    pub fn is_over(&self, bytes: &[u8]) -> bool {
        is_over(&self.imprint, bytes).is_ok_and(|is| is)
    }
}

pub(crate) fn parse_policy(text: &str) -> Result<ObjectIdentifier> {
    ObjectIdentifier::new(text)
        .map_err(|error| Error::malformed("the policy's object identifier", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_standard() {
        let request = Request::encode(b"abc", None, 0xfedc_ba98_7654_3210).unwrap();
        let mut expected = vec![0x30, 0x44, 2, 1, 1, 0x30, 0x31, 0x30, 13, 6, 9];
        expected.extend([0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 32]);
        expected.extend(digest::digest(&digest::SHA256, b"abc").as_ref());
        expected.extend([
            2, 9, 0, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10, 1, 1, 0xff,
        ]);
        assert_eq!(request.der, expected);
        assert_eq!(Request::from_der(&request.der).unwrap(), request);
        assert!(request.is_over(b"abc"));
        assert!(!request.is_over(b"abd"));
    }

    #[test]
    fn every_nonce_is_positive_and_reads_back() {
        for nonce in [
            0,
            1,
            0x7f,
            0x80,
            0xff,
            0x1ff,
            u64::MAX >> 1,
            1 << 63,
            u64::MAX,
        ] {
            let request = Request::encode(b"", None, nonce).unwrap();
            assert_eq!(
                Request::from_der(request.to_der()).unwrap(),
                request,
                "{nonce}"
            );
        }
    }

    #[test]
    fn nonces_differ() {
        let one = Request::new(b"abc", Some("1.2.3.4")).unwrap();
        let two = Request::new(b"abc", Some("1.2.3.4")).unwrap();
        assert_ne!(one.nonce, two.nonce);
        assert_eq!(Request::from_der(one.to_der()).unwrap(), one);
    }

    #[test]
    fn a_policy_must_be_an_object_identifier() {
        for policy in ["", "1", "best", "1.2.x", "9.9.9"] {
            let error = Request::new(b"", Some(policy)).unwrap_err();
            assert!(
                matches!(error, Error::Malformed { .. }),
                "{policy}: {error}"
            );
        }
    }

    #[test]
    fn a_request_is_read_strictly() {
        let whole = Request::new(b"abc", None).unwrap();
        let whole = whole.to_der();
        for len in 0..whole.len() {
            assert!(Request::from_der(&whole[..len]).is_err(), "cut to {len}");
        }
        assert!(
            Request::from_der(&[whole, &[0]].concat()).is_err(),
            "a byte more"
        );
        let long = vec![0x30; REQUEST_LEN_BYTES_MAX + 1];
        assert!(matches!(
            Request::from_der(&long),
            Err(Error::TooLong { .. })
        ));

        let altered = |change: fn(&mut TimeStampReq)| {
            let mut request = TimeStampReq::from_der(whole).unwrap();
            change(&mut request);
            Request::from_der(&request.to_der().unwrap())
        };
        assert!(altered(|_| ()).is_ok());
        assert!(altered(|request| request.cert_req = false).is_ok());
        assert!(altered(|request| request.nonce = None).is_err(), "no nonce");
        let negative =
            |request: &mut TimeStampReq| request.nonce = Some(Int::new(&[0x80]).unwrap());
        assert!(altered(negative).is_err(), "negative nonce");
        let long = |request: &mut TimeStampReq| request.nonce = Some(Int::new(&[1; 22]).unwrap());
        assert!(altered(long).is_err(), "long nonce");
        assert!(
            altered(|request| request.extensions = Some(Vec::new())).is_err(),
            "extensions"
        );
        let sha1 = |request: &mut TimeStampReq| {
            request.message_imprint.hash_algorithm.oid =
                ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
        };
        assert!(
            matches!(altered(sha1), Err(Error::Unsupported { .. })),
            "SHA-1"
        );
        let short = |request: &mut TimeStampReq| {
            request.message_imprint.hashed_message = OctetString::new([0; 31]).unwrap();
        };
        assert!(altered(short).is_err(), "short hash");
    }
}
