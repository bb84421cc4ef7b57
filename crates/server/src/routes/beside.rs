//! The routes of what is kept beside the work.

use model::Resource::{Audit, Blob, Secret, User};

use super::{LIMIT, PAGE};
use crate::{
    http::{audit, blob, secret, user},
    route::{
        Parameter,
        Place::{Own, Path, Server},
        Route, Speaks, delete, get, post, put,
    },
    wire,
};

const fn filter(name: &'static str, says: &'static str) -> Parameter {
    Parameter { name, says, kind: "string", many: false }
}

const AUDIT: &[Parameter] = &[
    filter("namespace", "The chain of this namespace; absent is that of the installation."),
    filter("actor", "Only what this one did."),
    filter("kind", "Only this kind, or all that begin with it, if it ends with a dot."),
    filter("record", "Only what was done to this record."),
    filter("since", "Only from this time on."),
    filter("until", "Only before this time."),
    Parameter {
        name: "before",
        says: "Only what comes before this place in the chain.",
        kind: "integer",
        many: false,
    },
    LIMIT,
];

/// The path of one secret, of which nothing can be read.
const SECRET: &str = "/namespace/{namespace}/secret/{secret}";

/// Everything that can be called about what is kept beside the work.
pub(super) const ROUTES: &[Route] = &[
    get("/audit", "list_audit", "Shows who changed what and when", to!(audit::list))
        .reads(Audit, Own)
        .speaks(Speaks::Json)
        .with(AUDIT)
        .gives::<wire::AuditPage>(200),
    get("/user", "list_users", "Lists users", to!(user::list))
        .reads(User, Server)
        .speaks(Speaks::Json)
        .with(PAGE)
        .gives::<wire::UserList>(200),
    post("/user", "add_user", "Adds a user", to!(user::add))
        .writes(User, Server)
        .speaks(Speaks::Json)
        .takes::<wire::NewUser>()
        .gives::<wire::ShownUser>(201),
    get("/user/{user}", "get_user", "Shows a user with its sessions", to!(user::show))
        .reads(User, Server)
        .speaks(Speaks::Json)
        .gives::<wire::ShownUser>(200),
    put("/user/{user}", "change_user", "Changes a user", to!(user::change))
        .writes(User, Server)
        .speaks(Speaks::Json)
        .takes::<wire::ChangedUser>(),
    delete("/user/{user}", "remove_user", "Removes a user", to!(user::remove))
        .writes(User, Server)
        .speaks(Speaks::Json),
    post("/namespace/{namespace}/blob", "put_blob", "Keeps content as a blob", to!(blob::put))
        .writes(Blob, Path)
        .speaks(Speaks::Json)
        .streams()
        .takes::<wire::BlobContent>()
        .gives::<model::BlobInfo>(201),
    get("/namespace/{namespace}/blob", "list_blobs", "Lists blobs", to!(blob::list))
        .reads(Blob, Path)
        .speaks(Speaks::Json)
        .with(PAGE)
        .gives::<wire::BlobList>(200),
    get("/namespace/{namespace}/blob/{blob}", "get_blob", "Gives a blob", to!(blob::get))
        .reads(Blob, Path)
        .speaks(Speaks::Text("application/octet-stream"))
        .gives::<wire::BlobContent>(200),
    put(SECRET, "set_secret", "Sets or replaces a secret", to!(secret::put))
        .writes(Secret, Path)
        .speaks(Speaks::Json)
        .any_media()
        .takes::<wire::SecretContent>(),
    delete(SECRET, "remove_secret", "Removes a secret", to!(secret::remove))
        .writes(Secret, Path)
        .speaks(Speaks::Json),
    get("/namespace/{namespace}/secret", "list_secrets", "Lists secrets", to!(secret::list))
        .reads(Secret, Path)
        .speaks(Speaks::Json)
        .with(PAGE)
        .gives::<wire::SecretList>(200),
];
