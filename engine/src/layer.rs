//! Layers: named collections of entities and what all their records have in common.

use crate::codec::{Decoder, Encoder};
use crate::error::{Error, Fault, Result};

/// Number of a layer within its net, given in order of creation from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerId(pub(crate) u16);

impl LayerId {
    /// The layer `main`, which every net has.
    pub const MAIN: Self = Self(1);

    /// The number itself.
    pub fn number(self) -> u16 {
        self.0
    }
}

/// What kind of statement the records of a layer make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum LayerKind {
    /// What was seen to stand: surveys, traced maps, crowd-sourced data.
    Observed = 1,
    /// What may stand: permits and plans.
    Permitted = 2,
    /// What an authority has on its books.
    Register = 3,
    /// Anything else.
    Other = 4,
}

impl LayerKind {
    /// All kinds, in the order of their stored numbers.
    pub const ALL: [Self; 4] = [Self::Observed, Self::Permitted, Self::Register, Self::Other];

    /// The kind's name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Permitted => "permitted",
            Self::Register => "register",
            Self::Other => "other",
        }
    }
}

/// A layer as it is defined: everything but its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerDef {
    /// Name, unique in the net: 1 to [`LayerDef::TEXT_LEN_BYTES_MAX`] bytes, no control characters, no comma.
    pub name: String,
    /// What kind of statement its records make.
    pub kind: LayerKind,
    /// Where its data come from.
    pub source: String,
    /// Vertical datum of its altitudes, for example `NAP` or `EPSG:5773`; empty when unknown.
    pub vertical_datum: String,
    /// IANA name of the time zone in which its local times are to be read.
    pub time_zone: String,
    /// The rule by which a record counts as present, in the application's own language (the
    /// engine stores it and gives it back); empty for "a state is presence".
    pub presence: String,
}

impl LayerDef {
    /// Longest text of any member, in bytes.
    pub const TEXT_LEN_BYTES_MAX: usize = 1024;

    /// A layer of kind [`LayerKind::Other`] in UTC with nothing known about it but its name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: LayerKind::Other,
            source: String::new(),
            vertical_datum: String::new(),
            time_zone: "UTC".into(),
            presence: String::new(),
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let texts = [
            ("name", &self.name),
            ("source", &self.source),
            ("vertical datum", &self.vertical_datum),
            ("time zone", &self.time_zone),
            ("presence rule", &self.presence),
        ];
        for (what, text) in texts {
            if text.len() > Self::TEXT_LEN_BYTES_MAX {
                return Err(Error::invalid(format!(
                    "layer {what} has {} bytes; at most {} are allowed",
                    text.len(),
                    Self::TEXT_LEN_BYTES_MAX
                )));
            }
            if text.chars().any(char::is_control) {
                return Err(Error::invalid(format!(
                    "layer {what} holds a control character"
                )));
            }
        }
        if self.name.is_empty() || self.name.contains(',') {
            return Err(Error::invalid(format!(
                "layer name `{}`: a name is not empty and holds no comma",
                self.name
            )));
        }
        if jiff::tz::TimeZone::get(&self.time_zone).is_err() {
            return Err(Error::invalid(format!(
                "time zone `{}` is not in the time zone database; use an IANA name such as \
                 Europe/Amsterdam",
                self.time_zone
            )));
        }
        Ok(())
    }

    pub(crate) fn encode(&self, out: &mut Encoder) {
        out.u8(self.kind as u8);
        for text in [
            &self.name,
            &self.source,
            &self.vertical_datum,
            &self.time_zone,
            &self.presence,
        ] {
            out.short(text.as_bytes());
        }
    }

    pub(crate) fn decode(input: &mut Decoder<'_>) -> Result<Self, Fault> {
        let kind = match input.u8()? {
            1 => LayerKind::Observed,
            2 => LayerKind::Permitted,
            3 => LayerKind::Register,
            4 => LayerKind::Other,
            _ => return Err(Fault::Value { what: "layer kind" }),
        };
        Ok(Self {
            kind,
            name: input.text()?.into(),
            source: input.text()?.into(),
            vertical_datum: input.text()?.into(),
            time_zone: input.text()?.into(),
            presence: input.text()?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_read_back() {
        let def = LayerDef {
            kind: LayerKind::Permitted,
            source: "Municipality".into(),
            vertical_datum: "NAP".into(),
            time_zone: "Europe/Amsterdam".into(),
            presence: "status=Bouw gestart".into(),
            ..LayerDef::new("permits")
        };
        def.check().unwrap();
        let mut out = Encoder::default();
        def.encode(&mut out);
        let mut input = Decoder(&out.0);
        assert_eq!(LayerDef::decode(&mut input).unwrap(), def);
        input.finish().unwrap();
        for kind in LayerKind::ALL {
            let def = LayerDef {
                kind,
                ..LayerDef::new("x")
            };
            let mut out = Encoder::default();
            def.encode(&mut out);
            assert_eq!(LayerDef::decode(&mut Decoder(&out.0)).unwrap().kind, kind);
        }
    }

    #[test]
    fn bad_definitions_are_refused() {
        for def in [
            LayerDef::new(""),
            LayerDef::new("a,b"),
            LayerDef::new("a\nb"),
            LayerDef::new("x".repeat(1025)),
            LayerDef {
                time_zone: "Mars/Olympus".into(),
                ..LayerDef::new("x")
            },
        ] {
            assert!(def.check().is_err(), "{def:?}");
        }
    }
}
