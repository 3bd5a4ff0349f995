//! Witnesses: somebody else, who sees checkpoints of a net, remembers the last, and cosigns only what
//! extends it (C2SP tlog-cosignature, cosignature/v1; the rules are those of C2SP tlog-witness).
//!
//! A net that shows one history to one reader and another to the next needs two checkpoints of one
//! size; an honest witness cosigns one of them.
#![warn(clippy::indexing_slicing)]

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::key::{Keys, PublicKey, Role, SecretKey};
use crate::log::extends;
use crate::note::{Checkpoint, Note};
use crate::text::{Lines, base64, checked, decimal, push_line};

const STATE_FIRST_LINE: &str = "blocknet/witness-state@v1";
/// Largest state file, in bytes: some ten thousand nets.
const STATE_LEN_BYTES_MAX: usize = 1 << 20;

/// Why a witness does not cosign. It does not say that the net is wrong: ask it for a consistency
/// proof, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The witness was never told to follow this net.
    #[error("origin {0}: not a net that this witness follows; have it accept the net first")]
    UnknownOrigin(String),
    /// The checkpoint is older than one that was cosigned.
    #[error("checkpoint of {size} commits: one of {seen} was cosigned already")]
    Smaller {
        /// Its size.
        size: u64,
        /// The size remembered.
        seen: u64,
    },
    /// Two checkpoints of one size are not the same: the net has two histories.
    #[error("checkpoint of {size} commits: another root was cosigned for this size (a fork)")]
    Fork {
        /// Their size.
        size: u64,
    },
    /// No proof that the checkpoint extends the one that was cosigned.
    #[error("checkpoint of {size} commits: not shown to extend the {seen} commits cosigned before")]
    NotExtending {
        /// Its size.
        size: u64,
        /// The size remembered.
        seen: u64,
    },
}

/// What a witness remembers: of each net it follows, the size and root it cosigned last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// By origin; size 0 and a root of zeros for a net that is followed and was not seen yet.
    seen: BTreeMap<String, (u64, Hash)>,
}

impl State {
    /// Follows the net of a checkpoint from now on, whatever it shows first. Has no effect for a net
    /// that is followed already.
    pub fn accept(&mut self, checkpoint: &Checkpoint) {
        let first = (0, crate::hash::ZERO);
        self.seen.entry(checkpoint.origin()).or_insert(first);
    }

    /// Size and root that were cosigned last for an origin.
    pub fn last(&self, origin: &str) -> Option<(u64, Hash)> {
        self.seen.get(origin).copied()
    }

    /// Text of the state file: a first line, then for each origin in order `origin size root`.
    pub fn encode(&self) -> String {
        let mut text = format!("{STATE_FIRST_LINE}\n");
        for (origin, (size, root)) in &self.seen {
            push_line(&mut text, &[origin, &size.to_string(), &base64(root)]);
        }
        text
    }

    /// Reads a state file.
    ///
    /// # Errors
    /// [`Error::Line`] when it is not in the form that is written; [`Error::Limit`] above 1 MiB. Never
    /// go on without a state that was there: the witness would forget what it has cosigned.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut lines = Lines::new(checked(bytes, STATE_LEN_BYTES_MAX)?);
        lines.expect(STATE_FIRST_LINE, "not a witness's state of version 1")?;
        let mut state = Self::default();
        while lines.peek().is_some() {
            let line = lines.next()?;
            let mut words = line.split(' ');
            let entry = (|| {
                let (origin, size, root) = (words.next()?, decimal(words.next()?)?, words.next()?);
                let text = format!("{origin}\n{}\n{root}\n", size.max(1));
                // An entry has what the three lines of a checkpoint have.
                let note = Note::decode(text.as_bytes()).ok()?;
                let checkpoint = *note.checkpoint();
                let unseen = size == 0 && checkpoint.root() != crate::hash::ZERO;
                (words.next().is_none() && !unseen).then_some((
                    checkpoint.origin(),
                    size,
                    checkpoint,
                ))
            })();
            let (origin, size, checkpoint) =
                entry.ok_or_else(|| lines.error("origin, size and root are due"))?;
            if state
                .seen
                .last_key_value()
                .is_some_and(|(last, _)| *last >= origin)
            {
                return Err(lines.error("origins are sorted, each has one line"));
            }
            state.seen.insert(origin, (size, checkpoint.root()));
        }
        Ok(state)
    }
}

/// Cosigns a checkpoint if it extends what the witness remembers. Gives the note with the
/// cosignature added (after the lines it has) and the state to remember, which must be stored
/// *before* the note is handed out.
///
/// * `log`: the net's public key, under which the checkpoint must verify. Other lines are kept.
/// * `consistency`: RFC 6962 hashes from the remembered size; empty for a net seen first and for an
///   unchanged checkpoint.
/// * `time`: now, in seconds since 1970-01-01T00:00:00Z.
///
/// # Errors
/// [`Error::Witness`] when it refuses; [`Error::Unsigned`], [`Error::Signature`] when the log has not
/// signed; [`Error::Key`] when `key` is not a witness's or `log` not a log's.
pub fn cosign(
    key: &SecretKey,
    state: &State,
    note: &Note,
    log: &PublicKey,
    consistency: &[Hash],
    time: u64,
) -> Result<(Note, State)> {
    if key.role() != Role::Witness {
        return Err(Error::Key(
            "a log's key does not cosign; make one for a witness",
        ));
    }
    let mut signed_by_log = Note::new(*note.checkpoint());
    signed_by_log.take_from(note, log);
    signed_by_log.open(&Keys::new(vec![log.clone()], Vec::new())?)?;

    let checkpoint = note.checkpoint();
    let (origin, size, root) = (checkpoint.origin(), checkpoint.size(), checkpoint.root());
    let (seen, seen_root) = state
        .last(&origin)
        .ok_or_else(|| Refusal::UnknownOrigin(origin.clone()))?;
    if size < seen {
        return Err(Refusal::Smaller { size, seen }.into());
    }
    if size == seen && root != seen_root {
        return Err(Refusal::Fork { size }.into());
    }
    let extending = match seen {
        // Nothing was seen that it could contradict.
        0 => consistency.is_empty(),
        _ => extends(consistency, seen, &seen_root, size, &root),
    };
    if !extending {
        return Err(Refusal::NotExtending { size, seen }.into());
    }

    let mut signature = time.to_be_bytes().to_vec();
    signature.extend_from_slice(&key.sign(&message(time, &checkpoint.encode())));
    let mut note = note.clone();
    note.add(&key.public(), signature)?;
    let mut state = state.clone();
    state.seen.insert(origin, (size, root));
    Ok((note, state))
}

/// What a cosignature signs.
fn message(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// The time of a cosignature that is the key's over this checkpoint.
pub(crate) fn verify(key: &PublicKey, text: &str, signature: &[u8]) -> Option<u64> {
    let (time, signature) = signature.split_first_chunk::<8>()?;
    let time = u64::from_be_bytes(*time);
    // The specification's limit.
    let in_range = i64::try_from(time).is_ok();
    (in_range && key.verifies(&message(time, text), signature)).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::node;
    use crate::log::leaf_hash;

    fn key(name: &str, role: Role, seed: u8) -> SecretKey {
        SecretKey::from_seed(name, role, &[seed; 32]).unwrap()
    }

    fn log_key() -> SecretKey {
        key("log", Role::Log, 1)
    }

    fn witness_key() -> SecretKey {
        key("witness", Role::Witness, 2)
    }

    fn note(net: u8, size: u64, root: Hash) -> Note {
        let mut note = Note::new(Checkpoint::new([net; 16], size, root).unwrap());
        note.sign(&log_key()).unwrap();
        note
    }

    fn run(state: &State, note: &Note, proof: &[Hash]) -> Result<(Note, State)> {
        cosign(
            &witness_key(),
            state,
            note,
            &log_key().public(),
            proof,
            1_700_000_000,
        )
    }

    /// A log of three: roots of its first one, two and three commits.
    fn roots() -> [Hash; 3] {
        let [a, b, c] = [1, 2, 3].map(|n| leaf_hash(&[n; 32]));
        [a, node(&a, &b), node(&node(&a, &b), &c)]
    }

    #[test]
    fn only_what_extends_is_cosigned() {
        let [one, two, three] = roots();
        let first = note(7, 1, one);
        let refused = |result: Result<(Note, State)>| match result.unwrap_err() {
            Error::Witness(refusal) => refusal,
            other => panic!("{other}"),
        };
        let unknown = refused(run(&State::default(), &first, &[]));
        assert!(matches!(unknown, Refusal::UnknownOrigin(_)));

        let mut state = State::default();
        state.accept(first.checkpoint());
        assert_eq!(State::decode(state.encode().as_bytes()).unwrap(), state);
        let refusal = refused(run(&state, &first, &[two]));
        assert_eq!(refusal, Refusal::NotExtending { size: 1, seen: 0 });
        let (cosigned, state) = run(&state, &first, &[]).unwrap();
        assert_eq!(state.last(&first.checkpoint().origin()), Some((1, one)));
        let keys = Keys::new(vec![log_key().public()], vec![witness_key().public()]).unwrap();
        let signers = cosigned.open(&keys).unwrap();
        assert_eq!(signers[1].time, Some(1_700_000_000));
        assert!(matches!(
            first.open(&keys),
            Err(Error::WitnessMissing { .. })
        ));
        // The same again, and with an earlier cosignature in it, which is replaced.
        let (again, _) = run(&state, &cosigned, &[]).unwrap();
        assert_eq!(again, cosigned);

        let c = leaf_hash(&[3; 32]);
        let second = note(7, 3, three);
        let proof = [leaf_hash(&[2; 32]), c];
        for wrong in [&[][..], &proof[..1], &[c, proof[0]]] {
            let refusal = refused(run(&state, &second, wrong));
            assert_eq!(refusal, Refusal::NotExtending { size: 3, seen: 1 });
        }
        let (_, state) = run(&state, &second, &proof).unwrap();

        let refusal = refused(run(&state, &note(7, 2, two), &[]));
        assert_eq!(refusal, Refusal::Smaller { size: 2, seen: 3 });
        let refusal = refused(run(&state, &note(7, 3, two), &[]));
        assert_eq!(refusal, Refusal::Fork { size: 3 });
        let refusal = refused(run(&state, &note(8, 3, three), &[]));
        assert!(matches!(refusal, Refusal::UnknownOrigin(_)));
        // A second net beside the first.
        let mut state = state;
        state.accept(note(8, 3, three).checkpoint());
        let (_, state) = run(&state, &note(8, 3, three), &[]).unwrap();
        assert_eq!(State::decode(state.encode().as_bytes()).unwrap(), state);
        // Accepting again forgets nothing.
        let mut accepted = state.clone();
        accepted.accept(second.checkpoint());
        assert_eq!(accepted, state);
    }

    /// Computed with Python: hashlib, base64 and the Ed25519 of its package cryptography.
    const COSIGNED: &str = concat!(
        "blocknet/07070707070707070707070707070707\n",
        "1\n",
        "3P/nht7RbSg8ZjhGrQxP8mVY/M3jbKnTCy6hnq3p/A4=\n",
        "\n",
        "— log rMMpEynFWlk/ccF2tfIWvWRjyAN3osOtQ+cvNL3Dl3wWRzpUBjbGkJqdvTv4C9jH8EWgiQNIo3RvLs8wDfT+eKxU7g8=\n",
        "— witness rRchTAAAAABlU/EAtt552OHm4xdor00Zte75iqKqSu1FkJKipnZymCeJTSdmAhdXkoZZn/xOOgc4PAnhNjgikAB/wqQzgE1XuOsQAQ==\n",
    );

    #[test]
    fn a_cosigned_note_has_these_bytes() {
        let first = note(7, 1, roots()[0]);
        let mut state = State::default();
        state.accept(first.checkpoint());
        let (cosigned, state) = run(&state, &first, &[]).unwrap();
        assert_eq!(cosigned.encode(), COSIGNED);
        assert_eq!(
            state.encode(),
            "blocknet/witness-state@v1\nblocknet/07070707070707070707070707070707 1 3P/nht7RbSg8ZjhGrQxP8mVY/M3jbKnTCy6hnq3p/A4=\n"
        );
    }

    #[test]
    fn only_what_the_log_signed_is_cosigned() {
        let [one, ..] = roots();
        let unsigned = Note::new(*note(7, 1, one).checkpoint());
        let mut state = State::default();
        state.accept(unsigned.checkpoint());
        assert!(matches!(
            run(&state, &unsigned, &[]),
            Err(Error::Unsigned { .. })
        ));
        let mut by_other = unsigned;
        by_other.sign(&key("log", Role::Log, 9)).unwrap();
        assert!(matches!(
            run(&state, &by_other, &[]),
            Err(Error::Unsigned { .. })
        ));
        let log = log_key().public();
        let result = cosign(&log_key(), &state, &note(7, 1, one), &log, &[], 0);
        assert!(matches!(result, Err(Error::Key(_))));
    }

    #[test]
    fn every_changed_bit_of_a_cosigned_note_is_refused() {
        let [one, ..] = roots();
        let mut state = State::default();
        state.accept(note(7, 1, one).checkpoint());
        let (note, _) = run(&state, &note(7, 1, one), &[]).unwrap();
        let keys = Keys::new(vec![log_key().public()], vec![witness_key().public()]).unwrap();
        let good = note.encode().into_bytes();
        assert!(Note::decode(&good).unwrap().open(&keys).is_ok());
        for bit in 0..8 * good.len() {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let opened = Note::decode(&bytes).and_then(|note| note.open(&keys));
            assert!(opened.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn states_of_another_form_are_refused() {
        let [one, ..] = roots();
        let mut state = State::default();
        state.accept(note(7, 1, one).checkpoint());
        state.accept(note(8, 1, one).checkpoint());
        let good = state.encode();
        assert_eq!(State::decode(good.as_bytes()), Ok(state));
        let mut lines: Vec<&str> = good.lines().collect();
        lines.swap(1, 2);
        let swapped = lines.join("\n") + "\n";
        for wrong in [
            good.replace("@v1", "@v2"),
            good.replace(" 0 ", " 00 "),
            good.replace(" 0 ", "  0 "),
            good.replace("blocknet/07", "blocknet/7"),
            format!("{good}\n"),
            good.trim_end().to_owned(),
            swapped,
            String::new(),
        ] {
            assert!(State::decode(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
