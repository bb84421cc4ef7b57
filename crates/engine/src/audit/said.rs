//! What the audit log says of each command. What workers do all day is not in it: claims, renewals,
//! ends of attempts, units that are added. It is in the history of the attempts.

use model::{
    AdminCommand, Command, Control, DefinitionCommand, Grant, InstanceCommand, InstanceControl,
    MailCommand, QueueCommand, Reply, Running, SecretCommand, SpecMeta, TokenInfo, TriggerControl,
    UnitChange, UnitFilter, UserChange, UserCommand, UserName,
};

/// What is said of one change.
pub(super) struct Said {
    pub(super) kind: &'static str,
    pub(super) record: String,
    pub(super) summary: String,
    /// Whether it is about the whole installation.
    pub(super) everywhere: bool,
}

fn said(kind: &'static str, record: String, summary: impl Into<String>) -> Option<Said> {
    Some(Said { kind, record, summary: summary.into(), everywhere: false })
}

/// Says what a command did, if the audit log is to have it.
pub(super) fn of(namespace: &str, command: &Command, reply: &Reply) -> Option<Said> {
    match command {
        Command::Queue(command) => of_queue(namespace, command, reply),
        Command::Admin(command) => of_admin(command),
        Command::Definition(command) => of_definition(command, reply),
        Command::Instance(command) => of_instance(command, reply),
        Command::Mail(command) => of_mail(command),
        Command::User(command) => of_user(command),
        // Who sends content changes nothing until data refers to it.
        Command::Blob(_) => None,
        Command::Secret(command) => of_secret(namespace, command, reply),
    }
}

fn of_queue(namespace: &str, command: &QueueCommand, reply: &Reply) -> Option<Said> {
    let spec = |name: &dyn std::fmt::Display| format!("spec/{name}");
    match command {
        QueueCommand::CreateNamespace => {
            said("namespace.create", format!("namespace/{namespace}"), "")
        }
        QueueCommand::DestroyNamespace => {
            said("namespace.destroy", format!("namespace/{namespace}"), "with all that was in it")
        }
        QueueCommand::SetSpec { data } => {
            let dict = data.dict().unwrap_or_default();
            let name =
                SpecMeta::from_dict(&dict).map_or(String::new(), |(name, _)| name.to_string());
            said("spec.set", spec(&name), keys(dict.keys()))
        }
        QueueCommand::ChangeSpec { spec: of, data } => {
            said("spec.change", spec(&of.name), keys(data.dict().unwrap_or_default().keys()))
        }
        QueueCommand::SetSpecMeta { spec: of, meta } => {
            said("spec.meta", spec(&of.name), meta_text(meta))
        }
        QueueCommand::ControlSpec { spec: of, control } => {
            said("spec.control", spec(&of.name), control_text(control))
        }
        QueueCommand::DestroySpec { spec: of } => {
            said("spec.destroy", spec(&of.name), "with its units")
        }
        QueueCommand::SetUnits(set) => {
            let (kind, what) = change_text(&set.change);
            let count = match reply {
                Reply::Swept { count, .. } => *count,
                _ => 0,
            };
            let summary = format!("{count} units{}{what}", filter_text(&set.filter));
            said(kind, spec(&set.spec.name), summary)
        }
        QueueCommand::ClearActive { unit } => {
            said("unit.detach", format!("unit/{}/{}", unit.spec, unit.name), "")
        }
        QueueCommand::AddUnits(_)
        | QueueCommand::Claim(_)
        | QueueCommand::MakeAttempt(_)
        | QueueCommand::ChangeAttempts(_)
        | QueueCommand::CreateWorker { .. }
        | QueueCommand::UpdateWorker(_)
        | QueueCommand::DeactivateWorker { .. }
        | QueueCommand::SetParent { .. }
        | QueueCommand::ChangeLocks(_)
        | QueueCommand::DropLocks { .. } => None,
    }
}

/// Names keys and never their values, which may be anything.
fn keys<'k>(keys: impl Iterator<Item = &'k String>) -> String {
    let keys: Vec<&str> = keys.map(String::as_str).collect();
    format!("keys: {}", keys.join(", "))
}

fn meta_text(meta: &SpecMeta) -> String {
    format!(
        "priority {}, weight {}, paused {}, continuous {}, interval {} s, max_running {}",
        meta.priority,
        meta.weight,
        meta.paused,
        meta.continuous,
        meta.interval.as_secs(),
        meta.max_running
    )
}

fn control_text(control: &Control) -> String {
    let Control { continuous, paused, priority, weight, interval, max_running } = control;
    let interval = interval.map(|interval| format!("interval {} s", interval.as_secs()));
    let fields = [
        continuous.map(|value| format!("continuous {value}")),
        paused.map(|value| format!("paused {value}")),
        priority.map(|value| format!("priority {value}")),
        weight.map(|value| format!("weight {value}")),
        interval,
        max_running.map(|value| format!("max_running {value}")),
    ];
    fields.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn change_text(change: &UnitChange) -> (&'static str, String) {
    match change {
        UnitChange::Delete => ("unit.delete", String::new()),
        UnitChange::Priority(to) => ("unit.priority", format!(" to {to}")),
        UnitChange::Adjust(by) => ("unit.priority", format!(" by {by}")),
        UnitChange::Meta(meta) => ("unit.meta", format!(" to priority {}", meta.priority)),
        UnitChange::Again => ("unit.again", String::new()),
        UnitChange::Data(_) => ("unit.data", String::new()),
    }
}

fn filter_text(filter: &UnitFilter) -> String {
    let names = match filter.names.as_deref() {
        Some([name]) => format!(" named {name}"),
        Some(names) => format!(" of {} names", names.len()),
        None => String::new(),
    };
    let statuses: Vec<_> = filter.statuses.iter().flatten().map(|status| status.as_str()).collect();
    match statuses.as_slice() {
        [] => names,
        _ => format!("{names} that were {}", statuses.join(" or ")),
    }
}

fn of_admin(command: &AdminCommand) -> Option<Said> {
    let said = match command {
        AdminCommand::CreateToken { info, .. } => {
            said("token.create", format!("token/{}", info.id), token_text(info))
        }
        AdminCommand::RevokeToken { id } => said("token.revoke", format!("token/{id}"), ""),
    };
    said.map(|said| Said { everywhere: true, ..said })
}

fn token_text(info: &TokenInfo) -> String {
    let scopes: Vec<String> = info.scopes.iter().map(ToString::to_string).collect();
    let place = match &info.namespace {
        Some(namespace) => format!("in namespace \"{namespace}\""),
        None => "in all namespaces".to_owned(),
    };
    let end = info.expires.map_or(String::new(), |time| format!(", until {time}"));
    format!("{} {place}{end}", scopes.join(" "))
}

/// Never says anything of a password but that there is another one.
fn of_user(command: &UserCommand) -> Option<Said> {
    let record = |name: &UserName| format!("user/{name}");
    let said = match command {
        UserCommand::Add { name, grants, identity, .. } => {
            let from = identity.as_ref().map(|who| format!(", known to {}", who.issuer));
            let summary = format!("{}{}", grants_text(grants), from.unwrap_or_default());
            said("user.add", record(name), summary)
        }
        UserCommand::Remove { name } => said("user.remove", record(name), ""),
        UserCommand::Change { name, change } => {
            let (kind, summary) = match change {
                UserChange::Grant(grant) => ("user.grant", grant.to_string()),
                UserChange::Ungrant { namespace: Some(namespace) } => {
                    ("user.ungrant", format!("in namespace \"{namespace}\""))
                }
                UserChange::Ungrant { namespace: None } => {
                    ("user.ungrant", "in all namespaces".to_owned())
                }
                UserChange::Grants(grants) => ("user.grants", grants_text(grants)),
                UserChange::Disable => ("user.disable", String::new()),
                UserChange::Enable => ("user.enable", String::new()),
                UserChange::Password(_) => ("user.password", String::new()),
                UserChange::SignOut => ("user.sign_out", "everywhere".to_owned()),
            };
            said(kind, record(name), summary)
        }
        UserCommand::BeginSession { holder, .. } => said("session.begin", holder.record(), ""),
        UserCommand::SeeSession { .. } | UserCommand::EndSession { .. } => None,
    };
    said.map(|said| Said { everywhere: true, ..said })
}

fn grants_text(grants: &[Grant]) -> String {
    match grants {
        [] => "no role".to_owned(),
        _ => grants.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn of_definition(command: &DefinitionCommand, reply: &Reply) -> Option<Said> {
    let record = |name: &str| format!("definition/{name}");
    if let Reply::Definition(published) = reply
        && !published.is_changed
    {
        return None;
    }
    match command {
        DefinitionCommand::Publish(_) => {
            let Reply::Definition(published) = reply else { return None };
            let version = published.version.as_deref().unwrap_or_default();
            let summary = format!("version {version}, run {}", published.run);
            said("definition.publish", record(&published.name), summary)
        }
        DefinitionCommand::Retract { name, running, .. } => {
            said("definition.retract", record(name), running_text(*running))
        }
        DefinitionCommand::Delete { name, running, .. } => {
            said("definition.delete", record(name), running_text(*running))
        }
        DefinitionCommand::DeleteVersion { name, version, .. } => {
            said("definition.delete_version", record(name), format!("version {version}"))
        }
        DefinitionCommand::Rollback { name, version, .. } => {
            said("definition.rollback", record(name), format!("to version {version}"))
        }
        DefinitionCommand::SaveDraft { name, source } => {
            said("definition.draft", record(name), format!("{} bytes", source.len()))
        }
        DefinitionCommand::DeleteDraft { name } => {
            said("definition.forget_draft", record(name), "")
        }
    }
}

fn running_text(running: Running) -> &'static str {
    match running {
        Running::Keep => "running instances go on",
        Running::Pause => "running instances are paused",
        Running::Cancel => "running instances are cancelled",
    }
}

fn of_instance(command: &InstanceCommand, reply: &Reply) -> Option<Said> {
    match command {
        InstanceCommand::Start(_) | InstanceCommand::Send(_) => None,
        InstanceCommand::Control { instance, control } => {
            let (kind, summary) = instance_text(control, reply);
            said(kind, format!("instance/{instance}"), summary)
        }
        InstanceCommand::Invite(invite) => {
            let summary = format!("a link for {}, until {}", invite.wait, invite.expires);
            said("instance.invite", format!("instance/{}", invite.instance), summary)
        }
        InstanceCommand::AnswerInvite { instance, data, .. } => {
            let summary = match data.get("approved").and_then(serde_json::Value::as_bool) {
                Some(true) => "approved",
                Some(false) => "declined",
                None => "",
            };
            said("instance.answer", format!("instance/{instance}"), summary)
        }
        InstanceCommand::ControlTrigger { definition, trigger, control } => {
            let record = format!("schedule/{definition}/{trigger}");
            match control {
                TriggerControl::Pause => said("schedule.pause", record, ""),
                TriggerControl::Resume => said("schedule.resume", record, ""),
                TriggerControl::Backfill { from, until } => {
                    said("schedule.backfill", record, format!("from {from} until {until}"))
                }
            }
        }
    }
}

fn instance_text(control: &InstanceControl, reply: &Reply) -> (&'static str, String) {
    let at = |step: &Option<String>| {
        step.as_ref().map_or("the step that failed".to_owned(), |step| format!("step {step}"))
    };
    match control {
        InstanceControl::Cancel => ("instance.cancel", String::new()),
        InstanceControl::Pause => ("instance.pause", String::new()),
        InstanceControl::Resume => ("instance.resume", String::new()),
        InstanceControl::Retry { step, input } => {
            let edited = if input.is_some() { " with edited input" } else { "" };
            ("instance.retry", format!("{}{edited}", at(step)))
        }
        InstanceControl::Skip { step, .. } => ("instance.skip", at(step)),
        InstanceControl::Restart { step } => {
            let step = step.as_ref().map_or("the first step".to_owned(), |s| format!("step {s}"));
            let new = match reply {
                Reply::Id(id) => format!(" as instance {id}"),
                _ => String::new(),
            };
            ("instance.restart", format!("from {step}{new}"))
        }
    }
}

fn of_mail(command: &MailCommand) -> Option<Said> {
    let record = |account: &str| format!("mail/{account}");
    match command {
        MailCommand::Open { account, interval } => {
            said("mail.open", record(account), format!("a round every {} s", interval.as_secs()))
        }
        MailCommand::Approve { account, token } => {
            said("mail.approve", record(account), format!("the removals held as {token}"))
        }
        MailCommand::Forget { account } => said("mail.forget", record(account), ""),
        MailCommand::Record(_) => None,
    }
}

/// Says which secret it was, and nothing of its value.
fn of_secret(namespace: &str, command: &SecretCommand, reply: &Reply) -> Option<Said> {
    match command {
        SecretCommand::Set { name, .. } => said("secret.set", format!("secret/{name}"), ""),
        SecretCommand::Remove { name } => said("secret.remove", format!("secret/{name}"), ""),
        SecretCommand::Reseal { .. } => match reply {
            Reply::Resealed { count, .. } if *count > 0 => {
                let summary = format!("{count} secrets under the first key");
                said("secret.reseal", format!("namespace/{namespace}"), summary)
            }
            _ => None,
        },
    }
}
