//! What a checked reply states.

use std::time::Duration;

use der::DateTime;

/// What a reply states after everything that can be checked was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stamp {
    /// The authority's time (`genTime`), since 1970-01-01T00:00:00Z without leap seconds.
    pub time: Duration,
    /// How far the time may be off in either direction, where the authority says so.
    pub accuracy: Option<Duration>,
    /// Whether any two stamps of this authority are ordered by their times, whatever the accuracy.
    pub ordering: bool,
    /// The authority's number of this stamp, in hexadecimal digits.
    pub serial: String,
    /// Object identifier of the policy the stamp was made under.
    pub policy: String,
    /// The name that the authority gives itself in the stamp.
    pub tsa: Option<String>,
    /// Subject of the certificate that signed.
    pub certificate: String,
    /// SHA-256 of that certificate, in hexadecimal digits.
    pub certificate_sha256: String,
    /// Last second at which that certificate is valid, since 1970-01-01T00:00:00Z: renew the stamp
    /// before.
    pub certificate_until: Duration,
    /// Subject of the root that the certificate led to.
    pub root: String,
    /// Whether the stamp was found to answer the request given.
    pub answers_request: bool,
}

impl Stamp {
    /// The time as RFC 3339 writes it, with as many digits as the authority gave.
    pub fn time_text(&self) -> String {
        time_text(self.time)
    }

    /// [`Stamp::certificate_until`] as RFC 3339 writes it.
    pub fn certificate_until_text(&self) -> String {
        time_text(self.certificate_until)
    }

    /// What the stamp does not show, one sentence each.
    pub fn not_proven(&self) -> Vec<&'static str> {
        let mut sentences = vec![
            "that no certificate of the chain was revoked: revocation lists are not asked",
            "that the authority's clock was right and its key nobody else's: the root is trusted",
        ];
        if !self.answers_request {
            sentences.push("that the stamp was made after the request: no request was given");
        }
        sentences
    }
}

/// A time since 1970 as RFC 3339 writes it, in UTC.
pub(crate) fn time_text(time: Duration) -> String {
    let whole = Duration::from_secs(time.as_secs());
    // `DateTime` ends with the year 9999, as the times of certificates and stamps do.
    let mut text = DateTime::from_unix_duration(whole).map_or_else(
        |_| format!("{}s after 1970", time.as_secs()),
        |date| date.to_string(),
    );
    if time.subsec_nanos() > 0 && text.pop() == Some('Z') {
        let digits = format!("{:09}", time.subsec_nanos());
        text = format!("{text}.{}Z", digits.trim_end_matches('0'));
    }
    text
}
