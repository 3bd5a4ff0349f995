//! Replies that are signed properly and say what no reply may say.
//!
//! They are made of the structures of [`crate::asn1`] and signed with the Ed25519 key among the
//! fixtures (`tests/fixtures/make.sh`).

use der::asn1::{Int, OctetString, SetOfVec};
use der::oid::db::rfc5912::ID_SHA_512;
use der::{Any, Encode};
use ring::signature::Ed25519KeyPair;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::RelativeDistinguishedName;
use x509_cert::spki::AlgorithmIdentifier;
use x509_tsp::{MessageImprint, TspVersion};

use super::*;
use crate::asn1::MEMBERS_MAX;

const NOTE: &[u8] = include_bytes!("../tests/fixtures/note.txt");
const ROOT: &[u8] = include_bytes!("../tests/fixtures/root_ec.pem");
const CERTIFICATE: &[u8] = include_bytes!("../tests/fixtures/ed25519.der");
const KEY: &[u8] = include_bytes!("../tests/fixtures/ed25519.key.der");
/// RFC 8410, section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// What the authority is made to sign; the rest follows.
struct Forgery<'a> {
    statement: TstInfo<'a>,
    /// Signed attributes in DER, in this order.
    attributes: Vec<Vec<u8>>,
    /// Whether `attributes` gets the digest of the statement.
    signs_statement: bool,
    /// The signer's, and others behind it.
    certificates: Vec<Vec<u8>>,
}

impl Forgery<'_> {
    /// A proper one.
    fn new() -> Self {
        let kind = attribute(ID_CONTENT_TYPE, &[TST_INFO.to_der().unwrap()]);
        Self {
            statement: TstInfo {
                version: TspVersion::V1,
                policy: ObjectIdentifier::new_unwrap("1.2.3.4"),
                imprint: MessageImprint {
                    hash_algorithm: AlgorithmIdentifier {
                        oid: ID_SHA_256,
                        parameters: None,
                    },
                    hashed_message: octets(digest::digest(&digest::SHA256, NOTE).as_ref()),
                },
                serial: Int::new(&[0x7f; 20]).unwrap(),
                time: GenTime(b"20261125120000.125Z"),
                accuracy: None,
                ordering: false,
                nonce: None,
                tsa: None,
                extensions: None,
            },
            attributes: vec![kind, names(CERTIFICATE)],
            signs_statement: true,
            certificates: vec![CERTIFICATE.to_vec()],
        }
    }

    fn sign(&self) -> Vec<u8> {
        let statement = self.statement.to_der().unwrap();
        let mut attributes = self.attributes.concat();
        if self.signs_statement {
            let digest = digest::digest(&digest::SHA512, &statement);
            let digest = octets(digest.as_ref()).to_der().unwrap();
            attributes.extend(attribute(ID_MESSAGE_DIGEST, &[digest]));
        }
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(KEY).unwrap();
        let signature = key.sign(&SetBytes(&attributes).to_der().unwrap());
        let sha512 = AlgorithmIdentifierRef {
            oid: ID_SHA_512,
            parameters: None,
        };
        let certificate = Certificate::from_der(&self.certificates[0]).unwrap();
        let certificate = certificate.tbs_certificate;
        let signer = SignerInfo {
            version: CmsVersion::V1,
            id: SignerIdentifier::IssuerAndSerialNumber(cms::cert::IssuerAndSerialNumber {
                issuer: certificate.issuer,
                serial_number: certificate.serial_number,
            }),
            digest_algorithm: sha512,
            signed_attributes: Some(SetBytes(&attributes)),
            signature_algorithm: AlgorithmIdentifierRef {
                oid: ED25519,
                parameters: None,
            },
            signature: OctetStringRef::new(signature.as_ref()).unwrap(),
            unsigned_attributes: None,
        };
        let content = SignedData {
            version: CmsVersion::V3,
            digest_algorithms: SetBytes(&sha512.to_der().unwrap()),
            content: cms::signed_data::EncapsulatedContentInfo {
                econtent_type: TST_INFO,
                econtent: Some(Any::encode_from(&octets(&statement)).unwrap()),
            },
            certificates: Some(SetBytes(&self.certificates.concat())),
            crls: None,
            signers: SetBytes(&signer.to_der().unwrap()),
        }
        .to_der()
        .unwrap();
        let token = ContentInfo {
            content_type: ID_SIGNED_DATA,
            content: Any::from_der(&content).unwrap(),
        };
        let token = token.to_der().unwrap();
        let response = Response {
            status: StatusInfo {
                status: 0,
                text: None,
                failure: None,
            },
            token: Some(AnyRef::from_der(&token).unwrap()),
        };
        response.to_der().unwrap()
    }

    fn verify(&self) -> Result<Stamp> {
        let mut roots = Certificates::default();
        roots.add(ROOT).unwrap();
        verify(&self.sign(), NOTE, None, &roots, &Options::default())
    }
}

fn octets(bytes: &[u8]) -> OctetString {
    OctetString::new(bytes).unwrap()
}

fn attribute(kind: ObjectIdentifier, values: &[Vec<u8>]) -> Vec<u8> {
    let values = values.concat();
    let attribute = Attribute {
        kind,
        values: SetBytes(&values),
    };
    attribute.to_der().unwrap()
}

/// The attribute that names a certificate by its SHA-256.
fn names(certificate: &[u8]) -> Vec<u8> {
    let hash = digest::digest(&digest::SHA256, certificate);
    let id = CertificateIdV2 {
        algorithm: None,
        hash: OctetStringRef::new(hash.as_ref()).unwrap(),
        issuer_serial: None,
    };
    let id = id.to_der().unwrap();
    let value = SigningCertificate {
        certificates: vec![AnyRef::from_der(&id).unwrap()],
        policies: None,
    };
    attribute(SIGNING_CERTIFICATE_V2, &[value.to_der().unwrap()])
}

#[test]
fn a_proper_one_verifies() {
    let stamp = Forgery::new().verify().unwrap();
    assert_eq!(stamp.time_text(), "2026-11-25T12:00:00.125Z");
    assert_eq!(stamp.serial, "7f".repeat(20));
    assert_eq!(stamp.certificate, "CN=ed25519,O=Town");
    assert_eq!(stamp.accuracy, None);
}

#[test]
fn attributes_must_be_there_once_and_fit() {
    let kind = attribute(ID_CONTENT_TYPE, &[TST_INFO.to_der().unwrap()]);
    let data = attribute(ID_CONTENT_TYPE, &[ID_SIGNED_DATA.to_der().unwrap()]);
    let twice = TST_INFO.to_der().unwrap();
    let twice = attribute(ID_CONTENT_TYPE, &[twice.clone(), twice]);
    let wrong = attribute(ID_MESSAGE_DIGEST, &[octets(&[0; 64]).to_der().unwrap()]);
    let none = SigningCertificate {
        certificates: Vec::new(),
        policies: None,
    };
    let none = attribute(SIGNING_CERTIFICATE_V2, &[none.to_der().unwrap()]);
    let old = octets(&[0; 20]).to_der().unwrap();
    let old = CertificateId {
        hash: OctetStringRef::from_der(&old).unwrap(),
        issuer_serial: None,
    };
    let old = old.to_der().unwrap();
    let old = SigningCertificate {
        certificates: vec![AnyRef::from_der(&old).unwrap()],
        policies: None,
    };
    let old = attribute(SIGNING_CERTIFICATE, &[old.to_der().unwrap()]);
    let own = names(CERTIFICATE);
    let cases = [
        (vec![own.clone()], "no content type"),
        (vec![data, own.clone()], "another content type"),
        (vec![twice, own.clone()], "two values"),
        (
            vec![kind.clone(), kind.clone(), own.clone()],
            "two content types",
        ),
        (vec![kind.clone()], "no certificate"),
        (vec![kind.clone(), names(ROOT)], "another certificate"),
        (vec![kind.clone(), none], "an empty list of certificates"),
        (
            vec![kind.clone(), own.clone(), old],
            "the two attributes differ",
        ),
        (vec![kind.clone(), own.clone(), wrong], "two digests"),
    ];
    for (attributes, what) in cases {
        let forgery = Forgery {
            attributes,
            ..Forgery::new()
        };
        let result = forgery.verify();
        assert!(
            matches!(result, Err(Error::Inconsistent(_))),
            "{what}: {result:?}"
        );
    }
    let wrong = attribute(ID_MESSAGE_DIGEST, &[octets(&[0; 64]).to_der().unwrap()]);
    for attributes in [vec![kind.clone(), own.clone(), wrong], vec![kind, own]] {
        let forgery = Forgery {
            attributes,
            signs_statement: false,
            ..Forgery::new()
        };
        let result = forgery.verify();
        assert!(matches!(result, Err(Error::Inconsistent(_))), "{result:?}");
    }
}

#[test]
fn times_are_read_strictly() {
    let good = [
        ("19700101000000Z", Duration::ZERO),
        ("20240229235959Z", Duration::from_secs(1_709_251_199)),
        ("20240229235959.000000001Z", Duration::new(1_709_251_199, 1)),
    ];
    for (text, time) in good {
        assert_eq!(gen_time(GenTime(text.as_bytes())), Ok(time), "{text}");
    }
    let bad = [
        "",
        "Z",
        "20240229235959",
        "20240229235959+0100",
        "202402292359Z",
        "20240230000000Z",
        "20240229240000Z",
        "20240229235960Z",
        "20240229235959.Z",
        "20240229235959.10Z",
        "20240229235959,5Z",
        "20240229235959.0000000001Z",
        "19691231235959Z",
        "2024022923595 Z",
        "+0240229235959Z",
        "20240229235959.-1Z",
        "20240229235959.5ZZ",
        "2024022923595\u{662}Z",
    ];
    for text in bad {
        let result = gen_time(GenTime(text.as_bytes()));
        assert!(
            matches!(result, Err(Error::Malformed { .. })),
            "{text}: {result:?}"
        );
    }
    let mut forgery = Forgery::new();
    forgery.statement.time = GenTime(b"20190101000000Z");
    assert!(
        matches!(forgery.verify(), Err(Error::Chain { .. })),
        "before the certificate"
    );
}

#[test]
fn an_unknown_critical_extension_is_refused() {
    let mut forgery = Forgery::new();
    let extension = |critical| Extension {
        extn_id: ObjectIdentifier::new_unwrap("1.2.3.4"),
        critical,
        extn_value: octets(&[5, 0]),
    };
    forgery.statement.extensions = Some(vec![extension(false)]);
    forgery.verify().unwrap();
    forgery.statement.extensions = Some(vec![extension(false), extension(true)]);
    assert!(matches!(forgery.verify(), Err(Error::Inconsistent(_))));
}

#[test]
fn an_accuracy_out_of_range_is_refused() {
    let mut forgery = Forgery::new();
    let cases = [
        (Some(1), Some(999), true),
        (None, Some(1000), false),
        (None, Some(0), false),
        (Some(u64::MAX), Some(1), true),
    ];
    for (seconds, micros, is_good) in cases {
        forgery.statement.accuracy = Some(Accuracy {
            seconds,
            millis: None,
            micros,
        });
        assert_eq!(forgery.verify().is_ok(), is_good, "{seconds:?} {micros:?}");
    }
}

/// `der` sorts a set by insertion, and the worst name of a MiB would take it minutes. Nested values it
/// would follow until the stack ends.
#[test]
fn large_sets_and_deep_nests_are_refused_before_they_cost() {
    let wrap = |tag, content: &[u8]| AnyRef::new(tag, content).unwrap().to_der().unwrap();
    let member = wrap(Tag::Utf8String, b"name");
    check_shape(REPLY, &wrap(Tag::Set, &member.repeat(MEMBERS_MAX))).unwrap();
    let large = wrap(Tag::Set, &member.repeat(MEMBERS_MAX + 1));
    for bytes in [
        large.clone(),
        wrap(Tag::Sequence, &[member.clone(), large.clone()].concat()),
    ] {
        assert!(matches!(
            check_shape(REPLY, &bytes),
            Err(Error::Malformed { .. })
        ));
    }
    let mut deep = member;
    for _ in 0..1000 {
        deep = wrap(Tag::Sequence, &deep);
    }
    assert!(matches!(
        check_shape(REPLY, &deep),
        Err(Error::Malformed { .. })
    ));

    // In a reply, and in the statement, which is a string of octets to the reply.
    let mut forgery = Forgery::new();
    forgery.attributes.push(attribute(TST_INFO, &[large]));
    assert!(matches!(
        forgery.verify(),
        Err(Error::Malformed { what: REPLY, .. })
    ));
    let mut forgery = Forgery::new();
    let names = (0..=MEMBERS_MAX).map(|n| {
        let text = Any::new(
            Tag::Utf8String,
            [
                b'a' + u8::try_from(n % 26).unwrap(),
                b'a' + u8::try_from(n / 26).unwrap(),
            ],
        );
        AttributeTypeAndValue {
            oid: ObjectIdentifier::new_unwrap("2.5.4.3"),
            value: text.unwrap(),
        }
    });
    let names = RelativeDistinguishedName(SetOfVec::try_from(names.collect::<Vec<_>>()).unwrap());
    forgery.statement.tsa = Some(GeneralName::DirectoryName(x509_cert::name::RdnSequence(
        vec![names],
    )));
    assert!(matches!(
        forgery.verify(),
        Err(Error::Malformed {
            what: STATEMENT,
            ..
        })
    ));
}

/// Certificates that all could have issued each other make as many paths as they have orders.
#[test]
fn a_thicket_of_certificates_is_refused_in_time() {
    let mut anchor = Certificates::default();
    anchor.add(ROOT).unwrap();
    let issuer = Certificate::from_der(&anchor.0[0]).unwrap();
    let mut own = Certificate::from_der(CERTIFICATE).unwrap();
    own.tbs_certificate.issuer = own.tbs_certificate.subject.clone();
    let mut certificates = vec![own.to_der().unwrap()];
    for n in 1..u8::try_from(MEMBERS_MAX).unwrap() {
        let mut certificate = issuer.clone();
        let certificate_body = &mut certificate.tbs_certificate;
        certificate_body.issuer = own.tbs_certificate.subject.clone();
        certificate_body.subject = own.tbs_certificate.subject.clone();
        let mut key = certificate_body
            .subject_public_key_info
            .subject_public_key
            .raw_bytes()
            .to_vec();
        key[10] = n;
        certificate_body.subject_public_key_info.subject_public_key =
            der::asn1::BitString::from_bytes(&key).unwrap();
        certificates.push(certificate.to_der().unwrap());
    }
    let mut forgery = Forgery::new();
    forgery.attributes[1] = names(&certificates[0]);
    forgery.certificates = certificates;
    let result = forgery.verify();
    assert!(
        matches!(&result, Err(Error::Chain { detail, .. }) if detail.contains("PathBuildCalls")),
        "{result:?}"
    );
}
