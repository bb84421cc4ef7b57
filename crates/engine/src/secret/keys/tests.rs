//! What is sealed is opened with its key and in its place, and nowhere else.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn keys(of: &[u8]) -> Keys {
    Keys::new(&of.iter().map(|byte| [*byte; KEY_BYTES].into()).collect::<Vec<_>>()).unwrap()
}

/// A place that owns its names.
#[derive(Clone, Debug, PartialEq)]
struct Owned(String, Id, String, Revision);

impl Owned {
    fn with<T>(&self, with: impl FnOnce(Place<'_>) -> T) -> T {
        let namespace = Namespace::new(self.0.as_str()).unwrap();
        let name = SecretName::new(self.2.as_str()).unwrap();
        with(Place { namespace: &namespace, live: self.1, name: &name, revision: self.3 })
    }
}

fn shop() -> Owned {
    Owned("shop".to_owned(), 3, "erp".to_owned(), 12)
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

#[test]
fn what_an_older_program_has_sealed_is_opened() {
    // Made by another implementation, from what the book says of the format.
    let sealed = unhex("000102030405060708090a0b96c2113b5973c380fd0396e774eabd019635a910d236");
    let keys = keys(&[7]);
    assert_eq!(keys.ids(), ["6ffb43d29ead1606"]);
    let opened = shop().with(|place| keys.open(&keys.first_id().unwrap(), place, &sealed));
    assert_eq!(opened.unwrap().as_slice(), b"s3cret");
    let digest = "bc3b8bf12d7c6d0945760a6063b235e404e11680b85726ab8166e58d2799505d";
    assert_eq!(keys.digest("s3cret").unwrap(), digest);
}

#[test]
fn the_first_key_seals_and_all_open() {
    let (old, both, new) = (keys(&[1]), keys(&[2, 1]), keys(&[2]));
    let (old_id, new_id) = (old.first_id().unwrap(), new.first_id().unwrap());
    assert_eq!(both.first_id().unwrap(), new_id);
    shop().with(|place| {
        let sealed = old.seal(place, "v").unwrap();
        assert_eq!(both.open(&old_id, place, &sealed).unwrap().as_slice(), b"v");
        let refused = new.open(&old_id, place, &sealed).unwrap_err();
        assert!(refused.to_string().contains(&hex(&old_id)), "{refused}");
        // Neither does it help to say that it was another key.
        assert!(new.open(&new_id, place, &sealed).is_err());
        let sealed = both.seal(place, "v").unwrap();
        assert!(new.open(&new_id, place, &sealed).is_ok() && !old.has(&new_id));
    });
}

#[test]
fn no_two_nonces_are_alike() {
    let keys = keys(&[1]);
    let nonces: BTreeSet<Vec<u8>> = (0..10_000)
        .map(|_| shop().with(|place| keys.seal(place, "v").unwrap())[..NONCE_LEN].to_vec())
        .collect();
    assert_eq!(nonces.len(), 10_000);
}

#[test]
fn keys_that_make_no_sense_are_refused() {
    let made =
        |of: &[u8]| Keys::new(&of.iter().map(|byte| [*byte; KEY_BYTES].into()).collect::<Vec<_>>());
    assert!(made(&[]).is_err() && made(&[1, 2, 1]).is_err());
    let many: Vec<u8> = (0..17).collect();
    assert!(made(&many).is_err() && made(&many[..16]).is_ok());
    // What is shown of keys are their ids.
    assert_eq!(format!("{:?}", keys(&[7])), r#"Keys(["6ffb43d29ead1606"])"#);
}

fn places() -> impl Strategy<Value = Owned> {
    ("[a-c]{0,2}", 1..3_u64, "[a-c]{1,2}", 1..3_u64)
        .prop_map(|(namespace, live, name, revision)| Owned(namespace, live, name, revision))
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened_in_its_place_only(
        text in "\\PC{1,40}",
        (sealed_for, opened_for) in (places(), places()),
        flip in any::<Option<prop::sample::Index>>(),
        bit in 0..8_u8,
    ) {
        let keys = keys(&[9, 8]);
        let mut sealed = sealed_for.with(|place| keys.seal(place, &text)).unwrap();
        prop_assert_eq!(sealed.len(), text.len() + NONCE_LEN + AES_256_GCM.tag_len());
        if text.len() > 3 {
            let shown = sealed.windows(text.len()).any(|part| part == text.as_bytes());
            prop_assert!(!shown);
        }
        if let Some(flip) = flip {
            let at = flip.index(sealed.len());
            sealed[at] ^= 1 << bit;
        }
        let id = keys.first_id().unwrap();
        let opened = opened_for.with(|place| keys.open(&id, place, &sealed));
        if flip.is_none() && sealed_for == opened_for {
            let opened = opened.unwrap();
            prop_assert_eq!(opened.as_slice(), text.as_bytes());
        } else {
            prop_assert!(matches!(opened, Err(Error::SecretNotOpened(_))));
        }
    }

    #[test]
    fn what_is_cut_off_is_not_opened(length in 0..33_usize) {
        let keys = keys(&[9]);
        let id = keys.first_id().unwrap();
        let opened = shop().with(|place| {
            let sealed = keys.seal(place, "value").unwrap();
            keys.open(&id, place, sealed.get(..length).unwrap_or(&sealed[1..])).map(drop)
        });
        prop_assert!(opened.is_err());
    }
}
