//! Whether everyone can use the pages: the rules of axe-core, in both themes and on both screens.

use std::{fs, path::Path};

use serde_json::Value;

use super::{
    filled::fill,
    stage::{check_seen, start},
};

/// Where `cargo xtask test` puts the rules.
const AXE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/axe/node_modules/axe-core/axe.min.js");

#[test]
fn no_page_has_a_serious_barrier() {
    let rules = fs::read_to_string(Path::new(AXE)).unwrap_or_else(|error| {
        panic!("{AXE}: {error}: `cargo xtask test` installs axe-core with npm")
    });
    let (server, mut browser) = start(1440);
    let pages = fill(&server);
    // Whoever wants to look at all pages says where to put them.
    let pictures = std::env::var_os("LOCKSTEP_PICTURES");
    for (theme, width) in [("light", 1440), ("dark", 1440), ("light", 390), ("dark", 390)] {
        browser.set_theme(theme);
        browser.set_width(width);
        for page in &pages {
            browser.go(&format!("{}{page}", server.url));
            if let Some(place) = &pictures {
                let name = page.replace(['/', '?', '&', '=', '%'], "_");
                let place = Path::new(place).join(format!("{theme}-{width}{name}.png"));
                fs::write(place, browser.picture()).unwrap();
            }
            let wide = browser.eval("document.documentElement.scrollWidth > innerWidth");
            assert_eq!(wide, false, "{page} is wider than {width} pixels");
            // On the narrow screen only what depends on the width is looked at again.
            let only =
                if width == 1440 { "" } else { "runOnly: ['target-size', 'color-contrast']," };
            browser.eval(&rules);
            let found = browser.eval(&format!(
                "axe.run({{{only} resultTypes: ['violations']}}).then(found => found.violations\
                 .filter(one => ['serious', 'critical'].includes(one.impact))\
                 .map(one => [one.id, one.help, one.nodes.slice(0, 3).map(node => node.html)]))"
            ));
            assert_eq!(found, Value::Array(vec![]), "{page}, {theme}, {width} pixels");
        }
    }
    check_seen(&browser.take_seen(), &server);
}
