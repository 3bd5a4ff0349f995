//! The check of a reply.
#![warn(clippy::indexing_slicing)]

use std::fmt::Write;
use std::time::Duration;

use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::SignerIdentifier;
use der::asn1::{ObjectIdentifier, OctetStringRef};
use der::oid::db::rfc5280::ID_KP_TIME_STAMPING;
use der::oid::db::rfc5280::{ID_CE_EXT_KEY_USAGE, ID_CE_KEY_USAGE, ID_CE_SUBJECT_KEY_IDENTIFIER};
use der::oid::db::rfc5911::{ID_CONTENT_TYPE, ID_MESSAGE_DIGEST, ID_SIGNED_DATA};
use der::oid::db::rfc5912::{ID_SHA_256, ID_SHA_384, RSA_ENCRYPTION};
use der::{AnyRef, Choice, DateTime, Decode, DecodeValue, Encode, Tag, Tagged};
use ring::digest;
use rustls_pki_types::{CertificateDer, UnixTime, alg_id};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, anchor_from_trusted_cert};
use x509_cert::Certificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier};
use x509_cert::name::Name;
use x509_cert::spki::AlgorithmIdentifierRef;
use x509_tsp::Accuracy;

use crate::asn1::{
    Attribute, CertificateId, CertificateIdV2, GenTime, Response, SIGNING_CERTIFICATE,
    SIGNING_CERTIFICATE_V2, SetBytes, SignedData, SignerInfo, SigningCertificate, StatusInfo,
    TST_INFO, TstInfo, check_shape, digest_algorithm, has_no_parameters, is_over,
};
use crate::certificates::{Certificates, check_len};
use crate::error::{Error, Result, printable};
use crate::request::{Request, parse_policy};
use crate::stamp::{Stamp, time_text};

/// The longest reply that is read. Real ones have 1 to 15 KiB, by the certificates in them.
pub const REPLY_LEN_BYTES_MAX: usize = 1 << 20;

const REPLY: &str = "the reply";
const STATEMENT: &str = "the statement in the reply";
const SIGNER: &str = "the signer's part of the reply";

/// What is asked of a reply beyond that it is valid.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The policy it must be made under, as an object identifier in decimals. The policy of a request
    /// is required in any case.
    pub policy: Option<&'a str>,
    /// Certificates that may be missing in the reply: the signer's, and those between it and a root.
    pub intermediates: Option<&'a Certificates>,
}

/// Checks a reply (`TimeStampResp` in DER, RFC 3161, section 2.4.2) and returns what it states.
///
/// * `over`: the bytes that were stamped.
/// * `request`: as kept; then the reply must be the answer to it.
/// * `roots`: whom to trust.
///
/// Certificates must be valid at the time of the stamp, not today: see the crate's "Evidence that
/// lasts". Parts of a reply that nobody signs and that this function does not use are not looked at:
/// certificates of no chain, revocation lists, unsigned attributes, the authority's remarks.
///
/// # Errors
/// Any [`Error`] but [`Error::Random`]; what an error says of the content is not yet proven.
pub fn verify(
    reply: &[u8],
    over: &[u8],
    request: Option<&Request>,
    roots: &Certificates,
    options: &Options<'_>,
) -> Result<Stamp> {
    check_len(REPLY, reply, REPLY_LEN_BYTES_MAX)?;
    check_shape(REPLY, reply)?;
    let response = Response::from_der(reply).map_err(|error| Error::malformed(REPLY, error))?;
    check_status(&response.status)?;
    let token = response
        .token
        .ok_or(Error::Inconsistent("it is granted, but not there"))?;
    let token: ContentInfo = decode(REPLY, token)?;
    if token.content_type != ID_SIGNED_DATA {
        return Err(Error::Inconsistent("it is not signed data"));
    }
    let data: SignedData<'_> = decode(REPLY, (&token.content).into())?;
    // What else is not "version 3" here has parts that no stamp has (RFC 5652, section 5.1).
    if data.version != CmsVersion::V3 || data.content.econtent_type != TST_INFO {
        return Err(Error::Inconsistent("its content is not that of a stamp"));
    }
    let content = data.content.econtent.as_ref();
    let content = content.ok_or(Error::Inconsistent("its content is missing"))?;
    let content: OctetStringRef<'_> = decode(REPLY, content.into())?;
    check_shape(STATEMENT, content.as_bytes())?;
    let statement = TstInfo::from_der(content.as_bytes())
        .map_err(|error| Error::malformed(STATEMENT, error))?;

    let time = gen_time(statement.time)?;
    check_statement(&statement, over, request, options)?;

    let [signer] = data.signers.members(SIGNER)?[..] else {
        return Err(Error::Inconsistent("it has not exactly one signer"));
    };
    let signer: SignerInfo<'_> = decode(SIGNER, signer)?;
    check_versions(&data, &signer)?;

    let mut certificates = certificates_of(&data)?;
    certificates.extend(
        options
            .intermediates
            .iter()
            .flat_map(|given| given.0.iter().cloned()),
    );
    let (certificate_der, certificate) = find_signer(&signer.id, &certificates)?;
    let end_entity = EndEntityCert::try_from(certificate_der)
        .map_err(|error| Error::malformed("the signer's certificate", error))?;
    check_attributes(&signer, content.as_bytes(), certificate_der)?;
    check_signature(&signer, &end_entity)?;
    check_purpose(&certificate)?;
    let root = check_chain(&end_entity, &certificate, &certificates, roots, time)?;

    let sha256 = digest::digest(&digest::SHA256, certificate_der);
    Ok(Stamp {
        time,
        accuracy: statement.accuracy.as_ref().map(accuracy).transpose()?,
        ordering: statement.ordering,
        serial: serial(statement.serial.as_bytes()),
        policy: statement.policy.to_string(),
        tsa: statement.tsa.as_ref().map(general_name),
        certificate: name(&certificate.tbs_certificate.subject),
        certificate_sha256: hex(sha256.as_ref()),
        certificate_until: certificate
            .tbs_certificate
            .validity
            .not_after
            .to_unix_duration(),
        root,
        answers_request: request.is_some(),
    })
}

fn decode<'a, T: Choice<'a> + DecodeValue<'a>>(what: &'static str, value: AnyRef<'a>) -> Result<T> {
    value
        .decode_as()
        .map_err(|error| Error::malformed(what, error))
}

/// RFC 3161, section 2.4.2: anything but "granted" and "granted with modifications" has no stamp.
fn check_status(info: &StatusInfo<'_>) -> Result<()> {
    /// Bits of `PKIFailureInfo`.
    const FAILURES: [(usize, &str); 8] = [
        (0, "unknown or unsupported algorithm"),
        (2, "the request is not permitted or supported"),
        (5, "the request has the wrong format"),
        (14, "no time is available"),
        (15, "the policy is not supported"),
        (16, "the extension is not supported"),
        (17, "the additional information is not available"),
        (25, "system failure"),
    ];
    if info.status <= 1 {
        return Ok(());
    }
    let status = match info.status {
        2 => "rejection".to_owned(),
        3 => "waiting".to_owned(),
        4 | 5 => "revocation".to_owned(),
        other => format!("status {other}"),
    };
    let bits: Vec<bool> = info
        .failure
        .iter()
        .flat_map(|failure| failure.bits())
        .collect();
    let failures = FAILURES
        .iter()
        .filter(|(bit, _)| bits.get(*bit) == Some(&true));
    let texts = info.text.iter().flatten().map(|text| text.as_str());
    let reasons: Vec<&str> = failures.map(|(_, reason)| *reason).chain(texts).collect();
    let joined = if reasons.is_empty() {
        status
    } else {
        format!("{status}, {}", reasons.join(", "))
    };
    Err(Error::NotGranted(printable(&joined)))
}

/// That the statement is about these bytes, answers the request, and hides nothing.
fn check_statement(
    statement: &TstInfo<'_>,
    over: &[u8],
    request: Option<&Request>,
    options: &Options<'_>,
) -> Result<()> {
    if request.is_some_and(|request| !request.is_over(over)) {
        return Err(Error::OtherRequest);
    }
    if !is_over(&statement.imprint, over)? {
        return Err(Error::OtherBytes);
    }
    if let Some(request) = request {
        let (asked, found) = (&request.imprint, &statement.imprint);
        if asked.hash_algorithm.oid != found.hash_algorithm.oid {
            return Err(Error::OtherBytes);
        }
        match &statement.nonce {
            None => return Err(Error::Nonce { found: "no nonce" }),
            Some(nonce) if *nonce != request.nonce => {
                return Err(Error::Nonce {
                    found: "another nonce",
                });
            }
            Some(_) => {}
        }
    }
    let asked = options.policy.map(parse_policy).transpose()?;
    let asked_by_request = request.and_then(|request| request.policy);
    for asked in asked.into_iter().chain(asked_by_request) {
        if asked != statement.policy {
            return Err(Error::Policy {
                asked: asked.to_string(),
                found: statement.policy.to_string(),
            });
        }
    }
    // A critical extension may change what the rest means (RFC 3161, section 2.4.2 "extensions").
    if statement
        .extensions
        .iter()
        .flatten()
        .any(|extension| extension.critical)
    {
        return Err(Error::Inconsistent(
            "it has a critical extension unknown here",
        ));
    }
    Ok(())
}

/// `genTime` (RFC 3161, section 2.4.2): `YYYYMMDDhhmmss[.s...]Z`, no zeros at the end of a fraction.
fn gen_time(text: GenTime<'_>) -> Result<Duration> {
    const WHAT: &str = "the time in the reply";
    let parse = || {
        let text = std::str::from_utf8(text.0).ok()?.strip_suffix('Z')?;
        let (whole, nanos) = match text.split_once('.') {
            None => (text, 0),
            Some((whole, fraction)) => {
                let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
                // Nine digits are nanoseconds; no clock of an authority has more.
                if !digits || !(1..=9).contains(&fraction.len()) || fraction.ends_with('0') {
                    return None;
                }
                (whole, format!("{fraction:0<9}").parse().ok()?)
            }
        };
        if whole.len() != 14 || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let part = |at: std::ops::Range<usize>| whole.get(at)?.parse::<u8>().ok();
        let year = whole.get(0..4)?.parse().ok()?;
        let (month, day) = (part(4..6)?, part(6..8)?);
        let (hour, minute, second) = (part(8..10)?, part(10..12)?, part(12..14)?);
        let date = DateTime::new(year, month, day, hour, minute, second).ok()?;
        Some(date.unix_duration() + Duration::from_nanos(nanos))
    };
    parse().ok_or_else(|| {
        let text = String::from_utf8_lossy(text.0);
        Error::malformed(WHAT, format!("`{text}` is not a time in UTC after 1970"))
    })
}

/// `Accuracy` (RFC 3161, section 2.4.2): what is missing counts as zero.
fn accuracy(accuracy: &Accuracy) -> Result<Duration> {
    let part = |value: Option<i16>| match value {
        None => Ok(0),
        Some(value @ 1..=999) => Ok(u64::from(value.unsigned_abs())),
        Some(_) => Err(Error::malformed(STATEMENT, "an accuracy out of range")),
    };
    let seconds = Duration::from_secs(accuracy.seconds.unwrap_or(0));
    let parts = Duration::from_millis(part(accuracy.millis)?)
        + Duration::from_micros(part(accuracy.micros)?);
    seconds
        .checked_add(parts)
        .ok_or_else(|| Error::malformed(STATEMENT, "an accuracy out of range"))
}

/// What nobody signs is determined by what is signed: no two replies differ in it (RFC 5652,
/// sections 5.1 and 5.3).
fn check_versions(data: &SignedData<'_>, signer: &SignerInfo<'_>) -> Result<()> {
    let version = match signer.id {
        SignerIdentifier::IssuerAndSerialNumber(_) => CmsVersion::V1,
        SignerIdentifier::SubjectKeyIdentifier(_) => CmsVersion::V3,
    };
    if signer.version != version {
        return Err(Error::Inconsistent("the signer's version does not fit"));
    }
    let mut listed = false;
    for algorithm in data.digest_algorithms.members(REPLY)? {
        let algorithm: AlgorithmIdentifierRef<'_> = decode(REPLY, algorithm)?;
        listed |= algorithm.oid == signer.digest_algorithm.oid && has_no_parameters(algorithm);
    }
    if !listed {
        return Err(Error::Inconsistent(
            "the signer's hash is not in the list of hashes",
        ));
    }
    Ok(())
}

/// The certificates in the reply, as received. Attribute certificates and other things are left out.
fn certificates_of(data: &SignedData<'_>) -> Result<Vec<CertificateDer<'static>>> {
    let Some(set) = data.certificates else {
        return Ok(Vec::new());
    };
    let members = set.members("the list of certificates in the reply")?;
    let certificates = members
        .into_iter()
        .filter(|member| member.tag() == Tag::Sequence);
    certificates
        .map(|member| member.to_der().map(CertificateDer::from))
        .collect::<der::Result<_>>()
        .map_err(|error| Error::malformed(REPLY, error))
}

/// The certificate that the signer names (RFC 5652, section 5.3 "sid").
fn find_signer<'c>(
    id: &SignerIdentifier,
    certificates: &'c [CertificateDer<'static>],
) -> Result<(&'c CertificateDer<'static>, Certificate)> {
    let is_named = |certificate: &Certificate| match id {
        SignerIdentifier::IssuerAndSerialNumber(named) => {
            let certificate = &certificate.tbs_certificate;
            certificate.issuer == named.issuer && certificate.serial_number == named.serial_number
        }
        SignerIdentifier::SubjectKeyIdentifier(named) => {
            extension(certificate, ID_CE_SUBJECT_KEY_IDENTIFIER)
                .and_then(|found| SubjectKeyIdentifier::from_der(found.extn_value.as_bytes()).ok())
                .is_some_and(|found| found == *named)
        }
    };
    certificates
        .iter()
        .filter_map(|der| Some((der, Certificate::from_der(der).ok()?)))
        .find(|(_, certificate)| is_named(certificate))
        .ok_or(Error::NoSigner)
}

/// The signed attributes: what is signed is this content (RFC 5652, section 11) and this certificate
/// (RFC 3161, section 2.4.2; RFC 5816).
fn check_attributes(
    signer: &SignerInfo<'_>,
    content: &[u8],
    certificate: &CertificateDer<'_>,
) -> Result<()> {
    let attributes = signer.signed_attributes;
    let attributes = attributes.ok_or(Error::Inconsistent("it has no signed attributes"))?;
    let attributes = attributes.members(SIGNER)?.into_iter();
    let attributes: Vec<Attribute<'_>> = attributes
        .map(|attribute| decode(SIGNER, attribute))
        .collect::<Result<_>>()?;

    let kind = the_value(&attributes, ID_CONTENT_TYPE)?;
    let kind = kind.ok_or(Error::Inconsistent("the kind of content is not signed"))?;
    if kind.decode_as::<ObjectIdentifier>().ok() != Some(TST_INFO) {
        return Err(Error::Inconsistent("another kind of content is signed"));
    }

    let algorithm = digest_algorithm("the digest", signer.digest_algorithm)?;
    let digest_signed = the_value(&attributes, ID_MESSAGE_DIGEST)?;
    let digest_signed = digest_signed.ok_or(Error::Inconsistent("the content is not signed"))?;
    let digest_signed: OctetStringRef<'_> = decode(SIGNER, digest_signed)?;
    if digest::digest(algorithm, content).as_ref() != digest_signed.as_bytes() {
        return Err(Error::Inconsistent("another content is signed"));
    }

    let old = the_value(&attributes, SIGNING_CERTIFICATE)?;
    let new = the_value(&attributes, SIGNING_CERTIFICATE_V2)?;
    if old.is_none() && new.is_none() {
        return Err(Error::Inconsistent("its certificate is not signed"));
    }
    let names = |first: AnyRef<'_>, is_new: bool| -> Result<bool> {
        let (algorithm, hash) = if is_new {
            let id: CertificateIdV2<'_> = decode(SIGNER, first)?;
            let algorithm = id.algorithm.unwrap_or(AlgorithmIdentifierRef {
                oid: ID_SHA_256,
                parameters: None,
            });
            (
                digest_algorithm("the hash of the certificate", algorithm)?,
                id.hash,
            )
        } else {
            let id: CertificateId<'_> = decode(SIGNER, first)?;
            (&digest::SHA1_FOR_LEGACY_USE_ONLY, id.hash)
        };
        Ok(digest::digest(algorithm, certificate).as_ref() == hash.as_bytes())
    };
    for (value, is_new) in old
        .map(|old| (old, false))
        .into_iter()
        .chain(new.map(|new| (new, true)))
    {
        let value: SigningCertificate<'_> = decode(SIGNER, value)?;
        // The first is the signer's, the others are its chain (RFC 5035, section 3).
        let first = value.certificates.first();
        let first = first.ok_or(Error::Inconsistent("its certificate is not signed"))?;
        if !names(*first, is_new)? {
            return Err(Error::Inconsistent("another certificate is signed"));
        }
    }
    Ok(())
}

/// The only value of an attribute that may be there once and have one value (RFC 5652, section 11).
fn the_value<'a>(
    attributes: &[Attribute<'a>],
    kind: ObjectIdentifier,
) -> Result<Option<AnyRef<'a>>> {
    let mut found = attributes.iter().filter(|attribute| attribute.kind == kind);
    let Some(attribute) = found.next() else {
        return Ok(None);
    };
    match attribute.values.members(SIGNER)?[..] {
        [value] if found.next().is_none() => Ok(Some(value)),
        _ => Err(Error::Inconsistent("an attribute stands there twice")),
    }
}

/// The signature over the signed attributes (RFC 5652, section 5.4): over their bytes as received,
/// under the tag of a set. An encoding that is not DER fails unless it is what was signed.
fn check_signature(signer: &SignerInfo<'_>, certificate: &EndEntityCert<'_>) -> Result<()> {
    let fault = |error| Error::malformed(SIGNER, error);
    let attributes = signer.signed_attributes.unwrap_or(SetBytes(&[]));
    let message = attributes.to_der().map_err(fault)?;
    let named = signer.signature_algorithm;
    let encoded;
    let wanted: &[u8] = if named.oid == RSA_ENCRYPTION && has_no_parameters(named) {
        // CMS allows the key's algorithm here; then the digest's name completes it (RFC 3370, 3.2).
        match signer.digest_algorithm.oid {
            ID_SHA_256 => alg_id::RSA_PKCS1_SHA256.as_ref(),
            ID_SHA_384 => alg_id::RSA_PKCS1_SHA384.as_ref(),
            _ => alg_id::RSA_PKCS1_SHA512.as_ref(),
        }
    } else {
        // `webpki` keeps algorithm identifiers without tag and length.
        encoded = named.to_der().map_err(fault)?;
        AnyRef::from_der(&encoded).map_err(fault)?.value()
    };
    let mut known = false;
    for algorithm in ALL_VERIFICATION_ALGS {
        if algorithm.signature_alg_id().as_ref() != wanted {
            continue;
        }
        known = true;
        // Several may have this name, one for each kind of key.
        let signature = signer.signature.as_bytes();
        if certificate
            .verify_signature(*algorithm, &message, signature)
            .is_ok()
        {
            return Ok(());
        }
    }
    if known {
        return Err(Error::Signature);
    }
    Err(Error::Unsupported {
        what: "the signature algorithm",
        found: named.oid.to_string(),
        accepted: "RSA with SHA-2, ECDSA over P-256 or P-384 with SHA-256 or SHA-384, or Ed25519",
    })
}

/// RFC 3161, section 2.3: exactly one extended key usage, critical, that of stamping. And a key usage
/// that allows signatures, if there is one (RFC 5280, section 4.2.1.3).
fn check_purpose(certificate: &Certificate) -> Result<()> {
    let refused = |detail| Error::Purpose {
        subject: name(&certificate.tbs_certificate.subject),
        detail,
    };
    let usage = extension(certificate, ID_CE_EXT_KEY_USAGE);
    let usage = usage.ok_or_else(|| refused("it has no extended key usage"))?;
    let purposes = ExtendedKeyUsage::from_der(usage.extn_value.as_bytes())
        .map_err(|error| Error::malformed("the signer's extended key usage", error))?;
    if purposes.0 != [ID_KP_TIME_STAMPING] {
        return Err(refused(
            "its extended key usage is not `timeStamping` alone",
        ));
    }
    if !usage.critical {
        return Err(refused("its extended key usage is not critical"));
    }
    if let Some(usage) = extension(certificate, ID_CE_KEY_USAGE) {
        let usage = KeyUsage::from_der(usage.extn_value.as_bytes())
            .map_err(|error| Error::malformed("the signer's key usage", error))?;
        if !usage.digital_signature() && !usage.non_repudiation() {
            return Err(refused("its key is not for signatures"));
        }
    }
    Ok(())
}

/// The chain to a root as of the time of the stamp (RFC 5280, section 6). Returns the root's subject.
fn check_chain(
    end_entity: &EndEntityCert<'_>,
    certificate: &Certificate,
    intermediates: &[CertificateDer<'_>],
    roots: &Certificates,
    time: Duration,
) -> Result<String> {
    /// Content of `ID_KP_TIME_STAMPING` in DER.
    const TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];
    let anchors: Vec<_> = roots
        .0
        .iter()
        .filter_map(|root| anchor_from_trusted_cert(root).ok())
        .collect();
    let chain = end_entity.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        intermediates,
        UnixTime::since_unix_epoch(time),
        // Of the certificates between: if they are limited to some purposes, stamping is one.
        webpki::KeyUsage::required_if_present(TIME_STAMPING),
        None,
        None,
    );
    match chain {
        Ok(chain) => {
            // An anchor's subject is kept without tag and length.
            let subject = AnyRef::new(Tag::Sequence, chain.anchor().subject.as_ref());
            let subject = subject.and_then(AnyRef::decode_as::<Name>);
            Ok(subject.map_or_else(|_| "?".to_owned(), |subject| name(&subject)))
        }
        Err(error) => Err(Error::Chain {
            subject: name(&certificate.tbs_certificate.subject),
            time: time_text(time),
            detail: chain_detail(&error),
        }),
    }
}

fn chain_detail(error: &webpki::Error) -> String {
    let text = |time: &UnixTime| time_text(Duration::from_secs(time.as_secs()));
    match error {
        webpki::Error::UnknownIssuer => "no path to one of the given roots: give the root of this \
             authority, if you trust it, and the certificates between"
            .to_owned(),
        webpki::Error::CertExpired { not_after, .. } => format!(
            "a certificate had expired by then, on {}: do not rely on the stamp",
            text(not_after)
        ),
        webpki::Error::CertNotValidYet { not_before, .. } => format!(
            "a certificate was valid only from {}: do not rely on the stamp",
            text(not_before)
        ),
        other => printable(&format!("{other}: do not rely on the stamp")),
    }
}

fn extension(certificate: &Certificate, id: ObjectIdentifier) -> Option<&Extension> {
    let extensions = certificate.tbs_certificate.extensions.as_ref()?;
    extensions.iter().find(|extension| extension.extn_id == id)
}

fn general_name(general: &GeneralName) -> String {
    match general {
        GeneralName::DirectoryName(found) => name(found),
        GeneralName::Rfc822Name(text)
        | GeneralName::DnsName(text)
        | GeneralName::UniformResourceIdentifier(text) => printable(text.as_str()),
        _ => "a name of another kind".to_owned(),
    }
}

fn name(found: &Name) -> String {
    printable(&found.to_string())
}

/// Hexadecimal digits of a number, without the zero that keeps its first bit from being a sign.
fn serial(bytes: &[u8]) -> String {
    match bytes {
        [0, rest @ ..] if !rest.is_empty() => hex(rest),
        _ => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // PANIC-FREE: a `String` takes everything.
        write!(text, "{byte:02x}").expect("a string can be written to");
        text
    })
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
