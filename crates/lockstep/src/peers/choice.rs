//! Which node writes in a namespace: a function of names, so that all nodes that see the same
//! nodes choose the same one without asking each other.

use model::Namespace;
use sha2::{Digest, Sha256};

/// Chooses among names. When a name comes or goes, only what it has or had moves.
pub(super) fn choose<'n>(
    namespace: &Namespace,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    // Of equal weights, which nobody will ever see, the greater name counts for all.
    names.into_iter().max_by_key(|name| (weight(namespace, name), *name))
}

fn weight(namespace: &Namespace, name: &str) -> [u8; 32] {
    let length = u64::try_from(name.len()).unwrap_or(u64::MAX);
    let digest = Sha256::new().chain_update(length.to_be_bytes()).chain_update(name);
    digest.chain_update(namespace.as_str()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespaces() -> impl Iterator<Item = Namespace> {
        (0..1_000).map(|number| Namespace::new(format!("n{number}")).unwrap())
    }

    #[test]
    fn the_order_of_the_names_does_not_matter() {
        for namespace in namespaces() {
            let there = choose(&namespace, ["a", "b", "c"]);
            assert_eq!(there, choose(&namespace, ["c", "a", "b"]));
        }
        assert_eq!(choose(&Namespace::empty(), []), None);
        assert_eq!(choose(&Namespace::empty(), ["a"]), Some("a"));
    }

    #[test]
    fn a_node_that_comes_or_goes_moves_only_its_own_share() {
        let mut moved = 0;
        for namespace in namespaces() {
            let (before, after) =
                (choose(&namespace, ["a", "b"]), choose(&namespace, ["a", "b", "c"]));
            if before != after {
                assert_eq!(after, Some("c"), "{namespace} moved between nodes that stayed");
                moved += 1;
            }
        }
        assert!((250..420).contains(&moved), "a third moves to the third node, not {moved}");
    }

    #[test]
    fn each_node_has_its_share() {
        for name in ["a", "b", "c"] {
            let own = namespaces().filter(|it| choose(it, ["a", "b", "c"]) == Some(name)).count();
            assert!((250..420).contains(&own), "{name} has {own} of 1000");
        }
    }

    #[test]
    fn a_choice_never_changes_between_versions() {
        let chosen: Vec<_> = ["", "mail", "nightly", "work"]
            .map(|name| choose(&Namespace::new(name).unwrap(), ["a", "b", "c"]).unwrap())
            .into();
        assert_eq!(chosen, ["b", "a", "a", "a"]);
    }
}
