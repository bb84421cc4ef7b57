//! The identity provider at which people sign in, as the settings name it.

use anyhow::Result;
use clap::Args;
use server::{Oidc, OidcOptions};

use crate::{config::Config, failure::Failure};

/// The flags about it.
#[derive(Args)]
pub(crate) struct OidcArgs {
    /// Let people sign in to the dashboard at this OpenID Connect provider, by its issuer address
    /// [env: LOCKSTEP_OIDC_ISSUER]
    #[arg(long, value_name = "URL")]
    oidc_issuer: Option<String>,
    /// What the provider calls this server [env: LOCKSTEP_OIDC_CLIENT_ID]
    #[arg(long, value_name = "ID")]
    oidc_client_id: Option<String>,
    /// File with the secret that the provider gave this server; without one it is a public client
    /// [env: LOCKSTEP_OIDC_CLIENT_SECRET_FILE, or LOCKSTEP_OIDC_CLIENT_SECRET for the secret]
    #[arg(long, value_name = "FILE")]
    oidc_client_secret_file: Option<String>,
    /// Where browsers reach this server; /ui/sign-in/callback below it is what the provider sends
    /// them back to [env: LOCKSTEP_OIDC_ADDRESS]
    #[arg(long, value_name = "URL")]
    oidc_address: Option<String>,
    /// What the button to sign in with says [default: single sign-on] [env: LOCKSTEP_OIDC_LABEL]
    #[arg(long, value_name = "TEXT")]
    oidc_label: Option<String>,
    /// The claim that is the name of the user [default: preferred_username]
    /// [env: LOCKSTEP_OIDC_NAME_CLAIM]
    #[arg(long, value_name = "CLAIM")]
    oidc_name_claim: Option<String>,
    /// The claim with the groups of the user; dots lead into it [default: groups]
    /// [env: LOCKSTEP_OIDC_GROUPS_CLAIM]
    #[arg(long, value_name = "CLAIM")]
    oidc_groups_claim: Option<String>,
    /// Which roles groups give: `GROUP=ROLE@NAMESPACE` with commas between them, `*` for all
    /// namespaces [default: an administrator gives roles] [env: LOCKSTEP_OIDC_GRANTS]
    #[arg(long, value_name = "GRANTS")]
    oidc_grants: Option<String>,
}

impl OidcArgs {
    /// Gives the settings that the flags say.
    pub(crate) fn settings(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("oidc.issuer", self.oidc_issuer.clone()),
            ("oidc.client_id", self.oidc_client_id.clone()),
            ("oidc.client_secret_file", self.oidc_client_secret_file.clone()),
            ("oidc.address", self.oidc_address.clone()),
            ("oidc.label", self.oidc_label.clone()),
            ("oidc.name_claim", self.oidc_name_claim.clone()),
            ("oidc.groups_claim", self.oidc_groups_claim.clone()),
            ("oidc.grants", self.oidc_grants.clone()),
        ]
    }
}

/// Makes the client of the provider, if there is one.
pub(crate) fn of(config: &Config) -> Result<Option<Oidc>> {
    let text = |name: &str| config.text(name).to_owned();
    let issuer = text("oidc.issuer");
    if issuer.is_empty() {
        return Ok(None);
    }
    for name in ["oidc.client_id", "oidc.address"] {
        if text(name).is_empty() {
            let hint = "oidc.issuer, oidc.client_id and oidc.address go together";
            return Err(Failure::usage(format!("{name} is not set"), hint).into());
        }
    }
    let options = OidcOptions {
        issuer,
        client_id: text("oidc.client_id"),
        client_secret: config.secret("oidc.client_secret", "oidc.client_secret_file")?,
        address: text("oidc.address"),
        label: text("oidc.label"),
        name_claim: text("oidc.name_claim"),
        groups_claim: text("oidc.groups_claim"),
        grants: OidcOptions::parse_grants(&text("oidc.grants"))?,
    };
    let hint = "write the addresses of the provider and of this server as browsers see them";
    Ok(Some(Oidc::new(options).map_err(|error| Failure::hinted(error.into(), hint))?))
}
