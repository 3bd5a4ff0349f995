//! The structures of RFC 3161 and RFC 5652 as they are read here, where those of `x509-tsp` and `cms`
//! do not serve: theirs read no fractions of a second, sort sets in quadratic time and decode every
//! certificate. These keep the bytes as received, which is what hashes and signatures are over.
#![warn(clippy::indexing_slicing)]

use cms::content_info::CmsVersion;
use cms::signed_data::{EncapsulatedContentInfo, SignerIdentifier};
use der::asn1::{BitStringRef, Int, ObjectIdentifier, OctetStringRef, Utf8StringRef};
use der::referenced::OwnedToRef;
use der::{
    AnyRef, DecodeValue, EncodeValue, FixedTag, Header, Length, Reader, Sequence, SliceReader, Tag,
    Tagged, Writer,
};
use ring::digest;
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::AlgorithmIdentifierRef;
use x509_tsp::{Accuracy, MessageImprint, TspVersion};

use crate::error::{Error, Result};

/// id-ct-TSTInfo (RFC 3161, section 2.4.2).
pub(crate) const TST_INFO: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
/// id-aa-signingCertificate (RFC 2634, section 5.4): names the certificate by its SHA-1.
pub(crate) const SIGNING_CERTIFICATE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
/// id-aa-signingCertificateV2 (RFC 5035, section 3).
pub(crate) const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

/// Members of a set: certificates, signers, attributes, parts of a name. Replies have one to ten.
pub(crate) const MEMBERS_MAX: usize = 64;

/// Values within values. Replies have about 20.
const DEPTH_MAX: usize = 64;

/// `TimeStampResp` (RFC 3161, section 2.4.2).
#[derive(Sequence)]
pub(crate) struct Response<'a> {
    pub(crate) status: StatusInfo<'a>,
    #[asn1(optional = "true")]
    pub(crate) token: Option<AnyRef<'a>>,
}

/// `PKIStatusInfo` (RFC 3161, section 2.4.2).
#[derive(Sequence)]
pub(crate) struct StatusInfo<'a> {
    pub(crate) status: u32,
    #[asn1(optional = "true")]
    pub(crate) text: Option<Vec<Utf8StringRef<'a>>>,
    #[asn1(optional = "true")]
    pub(crate) failure: Option<BitStringRef<'a>>,
}

/// `SignedData` (RFC 5652, section 5.1).
#[derive(Sequence)]
pub(crate) struct SignedData<'a> {
    pub(crate) version: CmsVersion,
    pub(crate) digest_algorithms: SetBytes<'a>,
    pub(crate) content: EncapsulatedContentInfo,
    #[asn1(
        context_specific = "0",
        tag_mode = "IMPLICIT",
        constructed = "true",
        optional = "true"
    )]
    pub(crate) certificates: Option<SetBytes<'a>>,
    #[asn1(
        context_specific = "1",
        tag_mode = "IMPLICIT",
        constructed = "true",
        optional = "true"
    )]
    pub(crate) crls: Option<SetBytes<'a>>,
    pub(crate) signers: SetBytes<'a>,
}

/// `SignerInfo` (RFC 5652, section 5.3).
#[derive(Sequence)]
pub(crate) struct SignerInfo<'a> {
    pub(crate) version: CmsVersion,
    pub(crate) id: SignerIdentifier,
    pub(crate) digest_algorithm: AlgorithmIdentifierRef<'a>,
    #[asn1(
        context_specific = "0",
        tag_mode = "IMPLICIT",
        constructed = "true",
        optional = "true"
    )]
    pub(crate) signed_attributes: Option<SetBytes<'a>>,
    pub(crate) signature_algorithm: AlgorithmIdentifierRef<'a>,
    pub(crate) signature: OctetStringRef<'a>,
    #[asn1(
        context_specific = "1",
        tag_mode = "IMPLICIT",
        constructed = "true",
        optional = "true"
    )]
    pub(crate) unsigned_attributes: Option<SetBytes<'a>>,
}

/// `Attribute` (RFC 5652, section 5.3).
#[derive(Sequence)]
pub(crate) struct Attribute<'a> {
    pub(crate) kind: ObjectIdentifier,
    pub(crate) values: SetBytes<'a>,
}

/// `SigningCertificate` (RFC 2634) and `SigningCertificateV2` (RFC 5035): they differ in `ESSCertID`.
#[derive(Sequence)]
pub(crate) struct SigningCertificate<'a> {
    pub(crate) certificates: Vec<AnyRef<'a>>,
    #[asn1(optional = "true")]
    pub(crate) policies: Option<AnyRef<'a>>,
}

/// `ESSCertID` (RFC 2634, section 5.4.1). The hash is over all of the certificate, so that its issuer
/// and number add nothing.
#[derive(Sequence)]
pub(crate) struct CertificateId<'a> {
    pub(crate) hash: OctetStringRef<'a>,
    #[asn1(optional = "true")]
    pub(crate) issuer_serial: Option<AnyRef<'a>>,
}

/// `ESSCertIDv2` (RFC 5035, section 4): SHA-256 where no algorithm is named.
#[derive(Sequence)]
pub(crate) struct CertificateIdV2<'a> {
    #[asn1(optional = "true")]
    pub(crate) algorithm: Option<AlgorithmIdentifierRef<'a>>,
    pub(crate) hash: OctetStringRef<'a>,
    #[asn1(optional = "true")]
    pub(crate) issuer_serial: Option<AnyRef<'a>>,
}

/// `TSTInfo` (RFC 3161, section 2.4.2): the statement that is signed.
#[derive(Sequence)]
pub(crate) struct TstInfo<'a> {
    pub(crate) version: TspVersion,
    pub(crate) policy: ObjectIdentifier,
    pub(crate) imprint: MessageImprint,
    pub(crate) serial: Int,
    pub(crate) time: GenTime<'a>,
    #[asn1(optional = "true")]
    pub(crate) accuracy: Option<Accuracy>,
    #[asn1(default = "Default::default")]
    pub(crate) ordering: bool,
    #[asn1(optional = "true")]
    pub(crate) nonce: Option<Int>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) tsa: Option<GeneralName>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) extensions: Option<Extensions>,
}

/// A `GeneralizedTime` that may have a fraction of a second, as text.
#[derive(Clone, Copy)]
pub(crate) struct GenTime<'a>(pub(crate) &'a [u8]);

impl FixedTag for GenTime<'_> {
    const TAG: Tag = Tag::GeneralizedTime;
}

/// The content of a set, as received.
#[derive(Clone, Copy)]
pub(crate) struct SetBytes<'a>(pub(crate) &'a [u8]);

impl FixedTag for SetBytes<'_> {
    const TAG: Tag = Tag::Set;
}

/// Reads and writes the content as it is.
macro_rules! as_received {
    ($name:ident) => {
        impl<'a> DecodeValue<'a> for $name<'a> {
            fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
                reader.read_slice(header.length).map(Self)
            }
        }

        impl EncodeValue for $name<'_> {
            fn value_len(&self) -> der::Result<Length> {
                self.0.len().try_into()
            }

            fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
                writer.write(self.0)
            }
        }
    };
}
as_received!(GenTime);
as_received!(SetBytes);

impl<'a> SetBytes<'a> {
    /// The members in the order received, at most [`MEMBERS_MAX`].
    pub(crate) fn members(self, what: &'static str) -> Result<Vec<AnyRef<'a>>> {
        let fault = |error| Error::malformed(what, error);
        let mut reader = SliceReader::new(self.0).map_err(fault)?;
        let mut members = Vec::new();
        while !reader.is_finished() {
            if members.len() == MEMBERS_MAX {
                return Err(Error::malformed(
                    what,
                    format!("more than {MEMBERS_MAX} members"),
                ));
            }
            members.push(reader.decode().map_err(fault)?);
        }
        Ok(members)
    }
}

/// Refuses sets of more than [`MEMBERS_MAX`] and nests of more than [`DEPTH_MAX`], before a decoder
/// meets them: `der` sorts sets in quadratic time, which for a MiB is minutes.
pub(crate) fn check_shape(what: &'static str, bytes: &[u8]) -> Result<()> {
    fn walk(bytes: &[u8], count_max: usize, depth_max: usize) -> der::Result<bool> {
        let mut reader = SliceReader::new(bytes)?;
        let mut count = 0;
        while !reader.is_finished() {
            let value: AnyRef<'_> = reader.decode()?;
            count += 1;
            if count > count_max || depth_max == 0 {
                return Ok(false);
            }
            let count_max = if value.tag() == Tag::Set {
                MEMBERS_MAX
            } else {
                usize::MAX
            };
            if value.tag().is_constructed() && !walk(value.value(), count_max, depth_max - 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
    match walk(bytes, 1, DEPTH_MAX) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::malformed(what, "more in it than a reply can have")),
        Err(error) => Err(Error::malformed(what, error)),
    }
}

/// The hash of this name, without parameters (RFC 5754, section 2).
pub(crate) fn digest_algorithm(
    what: &'static str,
    algorithm: AlgorithmIdentifierRef<'_>,
) -> Result<&'static digest::Algorithm> {
    use der::oid::db::rfc5912::{ID_SHA_256, ID_SHA_384, ID_SHA_512};
    let found = match algorithm.oid {
        ID_SHA_256 => &digest::SHA256,
        ID_SHA_384 => &digest::SHA384,
        ID_SHA_512 => &digest::SHA512,
        other => {
            return Err(Error::Unsupported {
                what,
                found: other.to_string(),
                accepted: "SHA-256, SHA-384 or SHA-512",
            });
        }
    };
    if !has_no_parameters(algorithm) {
        return Err(Error::malformed(what, "a hash with parameters"));
    }
    Ok(found)
}

/// Whether parameters are absent or NULL, which mean the same for hashes and RSA.
pub(crate) fn has_no_parameters(algorithm: AlgorithmIdentifierRef<'_>) -> bool {
    algorithm.parameters.is_none_or(AnyRef::is_null)
}

/// Whether the imprint is that of these bytes.
pub(crate) fn is_over(imprint: &MessageImprint, over: &[u8]) -> Result<bool> {
    let algorithm = digest_algorithm("the hash", imprint.hash_algorithm.owned_to_ref())?;
    Ok(digest::digest(algorithm, over).as_ref() == imprint.hashed_message.as_bytes())
}
