//! A check of `RocksDB`'s manifest before `RocksDB` may read it.
//!
//! The manifest is the list of live files. `RocksDB` reads it leniently. A length is not covered
//! by its record's checksum, so that one flipped bit can hide all later records, whereupon
//! opening for writing deletes the files these name. Another single flip made version 11.8.1
//! loop for ever at open: an empty record's type turned into that of a recycled log. So every
//! record is checked here, to the last byte.
//!
//! The price: a manifest whose last record was cut short by a power failure, which `RocksDB`
//! would accept, is refused too, and the store has to be rebuilt.
//!
//! Format: `RocksDB` wiki, "Write Ahead Log File Format", which the manifest shares. Blocks of
//! 32 KiB hold records of checksum (4 bytes), length (2) and type (1), little-endian, and
//! payload; a record does not cross blocks, and what is too short for a header is zero. The
//! checksum is CRC-32C of type and payload, rotated and offset.

#![warn(clippy::indexing_slicing)]

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

const BLOCK_LEN_BYTES: usize = 32 << 10;
const HEADER_LEN_BYTES: usize = 7;

const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// Whether the manifest at `path` consists of whole records with right checksums, at least one.
///
/// # Errors
///
/// The file could not be read; damage is not an error here but the outer `Ok`'s `Err`.
pub(super) fn check(path: &Path) -> io::Result<Result<(), String>> {
    let mut file = File::open(path)?;
    let mut block = Vec::with_capacity(BLOCK_LEN_BYTES);
    let mut offset_bytes = 0_u64;
    let mut inside = false;
    loop {
        block.clear();
        (&mut file)
            .take(BLOCK_LEN_BYTES as u64)
            .read_to_end(&mut block)?;
        if block.is_empty() {
            break;
        }
        if let Err((at, what)) = check_block(&block, &mut inside) {
            let at = offset_bytes.saturating_add(at as u64);
            return Ok(Err(format!("damaged at byte {at}: {what}")));
        }
        offset_bytes = offset_bytes.saturating_add(block.len() as u64);
    }
    Ok(match (offset_bytes, inside) {
        (0, _) => Err("the manifest is empty".to_owned()),
        (_, true) => Err(format!(
            "damaged at byte {offset_bytes}: the last record has no end"
        )),
        (_, false) => Ok(()),
    })
}

/// Checks one block; `inside` says whether the records so far leave a fragmented one open.
///
/// A failure gives the offset in the block and what is wrong there.
fn check_block(block: &[u8], inside: &mut bool) -> Result<(), (usize, &'static str)> {
    let mut rest = block;
    while !rest.is_empty() {
        let at = block.len() - rest.len();
        let Some((header, tail)) = rest.split_first_chunk::<HEADER_LEN_BYTES>() else {
            // Zeros fill a block that goes on to its full length; at the end of the file a cut
            // header is a cut record.
            let filled = block.len() == BLOCK_LEN_BYTES && rest.iter().all(|byte| *byte == 0);
            return if filled {
                Ok(())
            } else {
                Err((at, "part of a record"))
            };
        };
        let [c0, c1, c2, c3, len0, len1, kind] = *header;
        let len = usize::from(u16::from_le_bytes([len0, len1]));
        let Some((payload, tail)) = tail.split_at_checked(len) else {
            return Err((at, "the record is longer than its block or the file"));
        };
        if mask(crc32c(kind, payload)) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err((at, "checksum mismatch"));
        }
        *inside = match (kind, *inside) {
            (FULL, false) | (LAST, true) => false,
            (FIRST, false) | (MIDDLE, true) => true,
            _ => return Err((at, "a record of a kind that does not belong here")),
        };
        rest = tail;
    }
    Ok(())
}

/// `RocksDB` stores checksums changed like this, so that a checksum over bytes that contain
/// checksums is not trivial.
fn mask(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// CRC-32C (Castagnoli), reflected, of `kind` followed by `payload`.
fn crc32c(kind: u8, payload: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        let [low, ..] = crc.to_le_bytes();
        // PANIC-FREE: the table has an entry per byte value.
        #[expect(clippy::indexing_slicing, reason = "256 entries, indexed by a byte")]
        let change = CRC32C_TABLE[usize::from(low ^ byte)];
        (crc >> 8) ^ change
    };
    !payload.iter().fold(step(u32::MAX, &kind), step)
}

#[expect(
    clippy::indexing_slicing,
    reason = "computed at compile time, which checks the bounds"
)]
const CRC32C_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_u32;
    while byte < 256 {
        let mut crc = byte;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82F6_3B78
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
        let crc = mask(crc32c(kind, payload)).to_le_bytes();
        let len = u16::try_from(payload.len()).unwrap().to_le_bytes();
        [&crc[..], &len, &[kind], payload].concat()
    }

    fn verdict(bytes: &[u8]) -> Result<(), String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        check(file.path()).unwrap()
    }

    #[test]
    fn checksum_is_the_published_one() {
        // RFC 3720, B.4: 32 bytes of ones; and the check value of "123456789".
        assert_eq!(crc32c(0xFF, &[0xFF; 31]), 0x62A8_AB43);
        assert_eq!(crc32c(b'1', b"23456789"), 0xE306_9283);
    }

    #[test]
    fn whole_records_pass_and_everything_else_does_not() {
        let full = record(FULL, b"payload");
        let split = [record(FIRST, b"a"), record(MIDDLE, b""), record(LAST, b"b")].concat();
        assert_eq!(verdict(&[full.clone(), split.clone()].concat()), Ok(()));
        // A block whose last 6 bytes are too few for a header.
        let mut long = record(FULL, &vec![7; BLOCK_LEN_BYTES - 2 * HEADER_LEN_BYTES + 1]);
        assert_eq!(long.len(), BLOCK_LEN_BYTES - 6);
        long.extend([0; 6]);
        assert_eq!(verdict(&[long.clone(), full.clone()].concat()), Ok(()));

        assert!(verdict(b"").is_err());
        assert!(verdict(&[0; 100]).is_err());
        assert!(verdict(&record(LAST, b"without a first")).is_err());
        assert!(verdict(&record(FIRST, b"without a last")).is_err());
        assert!(verdict(&record(5, b"recycled")).is_err());
        *long.last_mut().unwrap() = 1;
        assert!(verdict(&[long, full.clone()].concat()).is_err());
        for len in 1..full.len() {
            let cut = verdict(&[&split, &full[..len]].concat()).unwrap_err();
            assert!(cut.contains(&format!("at byte {}", split.len())), "{cut}");
        }
    }
}
