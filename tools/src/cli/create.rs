//! `blocknet create`.

use std::path::PathBuf;

use blocknet_engine::LayerDef;
use blocknet_geocode::{CurveKind, NetSpec};
use clap::ValueEnum;
use serde::Serialize;

use super::args::Signature;
use super::error::Result;
use super::io::Io;
use super::text::hex;
use super::write::CostJson;
use super::{DONE, store};

/// Create a store in an absent or empty directory, with the layer `main`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store's directory
    dir: PathBuf,
    /// Order in which cells are numbered
    #[arg(
        long,
        value_enum,
        default_value_t,
        help_heading = "Geocodes (fixed for ever)"
    )]
    curve: CurveArg,
    /// Planar digits; each halves the cells' sides twice
    #[arg(long, value_name = "N", default_value_t = NetSpec::city().planar_digits(),
          help_heading = "Geocodes (fixed for ever)")]
    planar_digits: u8,
    /// Altitude digits
    #[arg(long, value_name = "N", default_value_t = NetSpec::city().altitude_digits(),
          help_heading = "Geocodes (fixed for ever)")]
    altitude_digits: u8,
    /// Planar digits of a block, the unit that is hashed [default: 9, or fewer where the codes
    /// are shorter]
    #[arg(long, value_name = "N", help_heading = "Geocodes (fixed for ever)")]
    block_digits: Option<u8>,
    /// Leading altitude digits that split a block into bands; 0 for none
    #[arg(long, value_name = "N", default_value_t = NetSpec::city().band_digits(),
          help_heading = "Geocodes (fixed for ever)")]
    band_digits: u8,
    /// Lowest altitude, millimetres
    #[arg(long, value_name = "MM", allow_negative_numbers = true,
          default_value_t = NetSpec::city().altitude_floor_millimetres(),
          help_heading = "Geocodes (fixed for ever)")]
    altitude_floor: i64,
    /// Step of altitude, millimetres
    #[arg(long, value_name = "MM", default_value_t = NetSpec::city().altitude_step_millimetres(),
          help_heading = "Geocodes (fixed for ever)")]
    altitude_step: u64,
    /// Zone of the layer `main`, in which its dates are days [default: UTC]
    #[arg(long, value_name = "IANA")]
    time_zone: Option<String>,
    #[command(flatten)]
    signature: Signature,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum CurveArg {
    /// Bits of both axes in turn
    #[default]
    Morton,
    /// Neighbouring cells have neighbouring numbers
    Hilbert,
}

/// The geocoding of a store.
#[derive(Debug, Serialize)]
pub(crate) struct SpecJson {
    curve: String,
    planar_digits: u8,
    altitude_digits: u8,
    block_digits: u8,
    band_digits: u8,
    altitude_floor_mm: i64,
    altitude_step_mm: u64,
}

impl From<&NetSpec> for SpecJson {
    fn from(spec: &NetSpec) -> Self {
        Self {
            curve: spec.curve().to_string(),
            planar_digits: spec.planar_digits(),
            altitude_digits: spec.altitude_digits(),
            block_digits: spec.block_digits(),
            band_digits: spec.band_digits(),
            altitude_floor_mm: spec.altitude_floor_millimetres(),
            altitude_step_mm: spec.altitude_step_millimetres(),
        }
    }
}

impl SpecJson {
    pub(crate) fn text(&self) -> String {
        let bands = match self.band_digits {
            0 => String::new(),
            digits => format!(", {digits} of them for the bands of a block"),
        };
        format!(
            "{} order, {} planar digits of which {} name the block, {} altitude digits of {} mm \
             from {} mm{bands}",
            self.curve,
            self.planar_digits,
            self.block_digits,
            self.altitude_digits,
            self.altitude_step_mm,
            self.altitude_floor_mm
        )
    }
}

#[derive(Serialize)]
struct Created {
    dir: String,
    id: String,
    spec: SpecJson,
    cost: CostJson,
}

pub(crate) fn run(args: &Args, io: &mut Io<'_>) -> Result<u8> {
    let curve = match args.curve {
        CurveArg::Morton => CurveKind::Morton,
        CurveArg::Hilbert => CurveKind::Hilbert,
    };
    let builder = NetSpec::builder()
        .curve(curve)
        .planar_digits(args.planar_digits)
        .altitude_digits(args.altitude_digits)
        .band_digits(args.band_digits)
        .altitude_floor_millimetres(args.altitude_floor)
        .altitude_step_millimetres(args.altitude_step);
    let spec = match args.block_digits {
        Some(digits) => builder.block_digits(digits),
        None => builder,
    }
    .build()?;
    let mut main = LayerDef::new("main");
    if let Some(zone) = &args.time_zone {
        main.time_zone.clone_from(zone);
    }
    let net = store::builder()
        .signed(
            args.signature.author(),
            args.signature.reason.clone(),
            args.signature.source.clone().unwrap_or_default(),
        )
        .main_layer(main)
        .create(&args.dir, spec)?;
    let created = Created {
        dir: args.dir.display().to_string(),
        id: hex(net.id()),
        spec: net.spec().into(),
        cost: net.report().cost.into(),
    };
    net.close()?;
    if io.is_json() {
        io.object(&created)?;
    } else {
        io.line(format_args!(
            "created {}: {}",
            created.dir,
            created.spec.text()
        ))?;
    }
    Ok(DONE)
}
