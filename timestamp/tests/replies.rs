//! Replies of an authority made with openssl, good and bad.
//!
//! `fixtures/make.sh` made the files beside it, once; its comments say what each is. The same script
//! runs again in a temporary directory where openssl 3 is installed, so that the cases also hold for
//! keys, times and versions of openssl that nobody picked.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use blocknet_timestamp::{
    Certificates, Error, Options, REPLY_LEN_BYTES_MAX, Request, Stamp, verify,
};
use quickcheck::quickcheck;

/// A directory of fixtures.
struct Files(PathBuf);

impl Files {
    fn committed() -> Self {
        Self(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"))
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn certificates(&self, name: &str) -> Certificates {
        let mut certificates = Certificates::default();
        certificates.add(&self.read(name)).unwrap();
        certificates
    }

    fn request(&self, name: &str) -> Request {
        Request::from_der(&self.read(&format!("{name}.tsq"))).unwrap()
    }

    /// Checks a reply over the newest note without a request.
    fn check(&self, name: &str, root: &str) -> Result<Stamp, Error> {
        self.check_with(name, root, None, &Options::default())
    }

    fn check_with(
        &self,
        name: &str,
        root: &str,
        request: Option<&str>,
        options: &Options<'_>,
    ) -> Result<Stamp, Error> {
        verify(
            &self.read(&format!("{name}.tsr")),
            &self.read("note.txt"),
            request.map(|name| self.request(name)).as_ref(),
            &self.certificates(root),
            options,
        )
    }
}

#[track_caller]
fn refused(result: Result<Stamp, Error>, is_right: fn(&Error) -> bool) {
    let error = result.expect_err("must be refused");
    assert!(is_right(&error), "another reason: {error:?}: {error}");
}

fn check_all(files: &Files) {
    good(files);
    algorithms(files);
    refused_by_content(files);
    refused_by_certificate(files);
}

fn good(files: &Files) {
    let usual = Options::default();
    let rsa = files
        .check_with("rsa", "root_rsa.pem", Some("rsa"), &usual)
        .unwrap();
    assert!(rsa.time > Duration::from_secs(1_700_000_000), "{rsa:?}");
    assert_eq!(rsa.accuracy, Some(Duration::from_micros(1_500_100)));
    assert!(rsa.ordering && rsa.answers_request);
    assert_eq!(rsa.policy, "1.2.3.4.1");
    assert_eq!(rsa.certificate, "CN=rsa,O=Town");
    assert_eq!(rsa.tsa.as_deref(), Some("CN=rsa,O=Town"));
    assert_eq!(rsa.root, "CN=root_rsa,O=Town");
    assert_eq!(
        rsa.certificate_until,
        Duration::from_secs(4_102_444_799),
        "2099-12-31T23:59:59Z"
    );
    assert_eq!(rsa.certificate_sha256.len(), 64);
    assert_eq!(rsa.not_proven().len(), 2);

    let ec = files
        .check_with("ec", "root_ec.pem", Some("ec"), &usual)
        .unwrap();
    assert_eq!(ec.policy, "1.2.3.4.2");
    assert_eq!(ec.root, "CN=root_ec,O=Town");
    // The certificate between may itself be the root that is trusted.
    let root = files.certificates("between_ec.pem");
    assert_eq!(root.len(), 2);
    let between = files.check("ec", "between_ec.pem").unwrap();
    assert_eq!(between.root, "CN=between,O=Town");
    assert!(!between.answers_request);
    assert_eq!(between.not_proven().len(), 3);

    files
        .check_with("sha512", "root_ec.pem", Some("sha512"), &usual)
        .unwrap();
    files.check("no_nonce", "root_ec.pem").unwrap();
    files
        .check_with("ess_v1", "root_rsa.pem", Some("rsa"), &usual)
        .unwrap();

    // Certificates that the reply leaves out can be given.
    refused(files.check("no_certificate", "root_ec.pem"), |error| {
        *error == Error::NoSigner
    });
    let given = files.certificates("between_ec.pem");
    let options = Options {
        policy: Some("1.2.3.4.1"),
        intermediates: Some(&given),
    };
    files
        .check_with(
            "no_certificate",
            "root_ec.pem",
            Some("no_certificate"),
            &options,
        )
        .unwrap();
}

fn algorithms(files: &Files) {
    for name in [
        "rsa_sha256",
        "rsa_sha384",
        "rsa_sha512",
        "pss_sha256",
        "pss_sha384",
        "pss_sha512",
    ] {
        files
            .check(name, "root_rsa.pem")
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    files.check("p384", "root_ec.pem").unwrap();
    files.check("by_key_id", "root_ec.pem").unwrap();
    for (name, root) in [("p384_sha512", "root_ec.pem"), ("rsa_sha1", "root_rsa.pem")] {
        refused(files.check(name, root), |error| {
            matches!(error, Error::Unsupported { .. })
        });
    }
}

fn refused_by_content(files: &Files) {
    // The reply of an older checkpoint, played again; and these bytes with one of them changed.
    refused(files.check("old", "root_ec.pem"), |error| {
        *error == Error::OtherBytes
    });
    let (reply, root) = (files.read("ec.tsr"), files.certificates("root_ec.pem"));
    let mut note = files.read("note.txt");
    note[20] ^= 1;
    let result = verify(&reply, &note, None, &root, &Options::default());
    refused(result, |error| *error == Error::OtherBytes);

    let usual = Options::default();
    let result = files.check_with("old", "root_ec.pem", Some("old"), &usual);
    refused(result, |error| *error == Error::OtherRequest);
    for (reply, request) in [("again", "ec"), ("no_nonce", "again")] {
        let result = files.check_with(reply, "root_ec.pem", Some(request), &usual);
        refused(result, |error| matches!(error, Error::Nonce { .. }));
    }
    let result = files.check_with("sha512", "root_ec.pem", Some("again"), &usual);
    refused(result, |error| *error == Error::OtherBytes);
    let policy = Options {
        policy: Some("1.2.3.4.1"),
        ..usual
    };
    let result = files.check_with("ec", "root_ec.pem", Some("ec"), &policy);
    refused(result, |error| matches!(error, Error::Policy { .. }));

    refused(files.check("sha1", "root_ec.pem"), |error| {
        matches!(error, Error::Unsupported { .. })
    });
    let result = files.check("rejected", "root_ec.pem");
    refused(
        result,
        |error| matches!(error, Error::NotGranted(why) if why.contains("policy is not supported")),
    );
    for name in ["no_binding", "two_signers"] {
        refused(files.check(name, "root_ec.pem"), |error| {
            matches!(error, Error::Inconsistent(_))
        });
    }
}

fn refused_by_certificate(files: &Files) {
    for root in ["root_other.pem", "root_rsa.pem"] {
        let result = files.check("ec", root);
        refused(
            result,
            |error| matches!(error, Error::Chain { detail, .. } if detail.contains("no path")),
        );
    }
    let result = files.check("expired", "root_ec.pem");
    refused(
        result,
        |error| matches!(error, Error::Chain { detail, .. } if detail.contains("expired by then, on 2024-01-01")),
    );
    let result = files.check("early", "root_ec.pem");
    refused(
        result,
        |error| matches!(error, Error::Chain { detail, .. } if detail.contains("only from 2098-01-01")),
    );
    for name in ["no_eku", "two_ekus", "lax_eku", "no_signing"] {
        let result = files.check(name, "root_ec.pem");
        refused(result, |error| matches!(error, Error::Purpose { .. }));
    }
    refused(files.check("issuer", "root_ec.pem"), |error| {
        matches!(error, Error::Purpose { .. })
    });

    let (reply, note) = (files.read("ec.tsr"), files.read("note.txt"));
    let result = verify(
        &reply,
        &note,
        None,
        &Certificates::default(),
        &Options::default(),
    );
    refused(result, |error| matches!(error, Error::Chain { .. }));
}

#[test]
fn committed_replies() {
    check_all(&Files::committed());
}

#[test]
fn fresh_replies() {
    let version = Command::new("openssl").arg("version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    if !version
        .as_ref()
        .is_ok_and(|version| version.starts_with("OpenSSL 3"))
    {
        println!("skipped: no openssl 3 here ({version:?})");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = Files::committed().0.join("make.sh");
    let status = Command::new("sh")
        .arg(script)
        .arg(dir.path())
        .status()
        .unwrap();
    assert!(status.success(), "make.sh: {status}");
    check_all(&Files(dir.path().to_path_buf()));
}

/// What our request says is what openssl reads in it.
#[test]
fn openssl_reads_our_request() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("our.tsq");
    let request = Request::new(b"abc", Some("1.2.3.4.2")).unwrap();
    fs::write(&file, request.to_der()).unwrap();
    let output = Command::new("openssl")
        .args(["ts", "-query", "-text", "-in"])
        .arg(&file)
        .output();
    let Ok(output) = output else {
        println!("skipped: no openssl here");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    for line in [
        "Version: 1",
        "Hash Algorithm: sha256",
        "ba 78 16 bf",
        "Policy OID: 1.2.3.4.2",
        "Nonce: 0x",
        "Certificate required: yes",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

/// Bits of a reply that may change without anybody's notice, by byte, with what stands there.
///
/// Only the status: "granted" and "granted with modifications" differ in one bit that nobody signs, and
/// state the same. Certificates that no chain uses would be others; there are none in these.
const FREE_BITS: &[(usize, u8)] = &[(8, 0)];

#[test]
fn no_changed_bit_goes_unnoticed() {
    let files = Files::committed();
    let note = files.read("note.txt");
    for (name, root) in [("rsa", "root_rsa.pem"), ("ec", "root_ec.pem")] {
        let (mut reply, root) = (files.read(&format!("{name}.tsr")), files.certificates(root));
        let stamp = verify(&reply, &note, None, &root, &Options::default()).unwrap();
        let mut free = Vec::new();
        for at in 0..reply.len() {
            for bit in 0..8 {
                reply[at] ^= 1 << bit;
                if let Ok(other) = verify(&reply, &note, None, &root, &Options::default()) {
                    assert_eq!(other, stamp, "{name}: bit {bit} of byte {at}");
                    free.push((at, bit));
                }
                reply[at] ^= 1 << bit;
            }
        }
        assert_eq!(free, FREE_BITS, "{name}");
    }
}

#[test]
fn a_cut_or_long_reply_is_refused() {
    let files = Files::committed();
    let (reply, note) = (files.read("ec.tsr"), files.read("note.txt"));
    let root = files.certificates("root_ec.pem");
    let check = |reply: &[u8]| verify(reply, &note, None, &root, &Options::default());
    for len in 0..reply.len() {
        assert!(check(&reply[..len]).is_err(), "cut to {len}");
    }
    assert!(check(&[&reply[..], &[0]].concat()).is_err(), "a byte more");
    let long = vec![0x30; REPLY_LEN_BYTES_MAX + 1];
    assert!(matches!(check(&long), Err(Error::TooLong { .. })));
}

#[test]
fn certificates_are_read_from_pem_and_der() {
    let files = Files::committed();
    let pem = [files.read("root_rsa.pem"), files.read("root_ec.pem")].concat();
    let mut two = Certificates::default();
    assert_eq!(two.add(&pem), Ok(2));
    for name in ["rsa", "ec"] {
        let reply = files.read(&format!("{name}.tsr"));
        verify(
            &reply,
            &files.read("note.txt"),
            None,
            &two,
            &Options::default(),
        )
        .unwrap();
    }
    let mut certificates = Certificates::default();
    for bad in [
        &b""[..],
        b"no certificate",
        b"\x30\x00",
        &pem[..pem.len() / 4],
        &files.read("ec.tsr"),
    ] {
        assert!(
            matches!(certificates.add(bad), Err(Error::Malformed { .. })),
            "{bad:?}"
        );
    }
    assert!(certificates.is_empty());
}

quickcheck! {
    /// No bytes whatever make anything panic, and none verify.
    fn random_bytes_are_refused(bytes: Vec<u8>) -> bool {
        let root = Files::committed().certificates("root_ec.pem");
        let _no_panic = Request::from_der(&bytes);
        Certificates::default().add(&bytes).is_err()
            && verify(&bytes, b"abc", None, &root, &Options::default()).is_err()
    }

    /// Nor do several changed bytes, which reach further than random ones.
    fn changed_bytes_are_refused(changes: Vec<(u16, u8)>) -> bool {
        let files = Files::committed();
        let (whole, note) = (files.read("ec.tsr"), files.read("note.txt"));
        let root = files.certificates("root_ec.pem");
        let mut reply = whole.clone();
        for (at, byte) in changes {
            let at = usize::from(at) % reply.len();
            reply[at] = byte;
        }
        let check = |reply: &[u8]| verify(reply, &note, None, &root, &Options::default());
        check(&reply).is_err() || check(&reply) == check(&whole)
    }
}
