//! The routes of nodes that share a store.

use model::Resource::Server;

use crate::{
    http::{ops, peer},
    route::{Place, Route, Speaks, get, post},
    wire,
};

/// Everything that can be called about nodes, or by one of them.
pub(super) const ROUTES: &[Route] = &[
    get("/node", "list_nodes", "Lists the nodes of a shared store", to!(ops::nodes))
        .reads(Server, Place::Server)
        .speaks(Speaks::Json)
        .gives::<wire::NodeList>(200),
    post("/v1/peer/greet", "peer_greet", "Says that this node takes writes", to!(peer::greet))
        .for_nodes()
        .speaks(Speaks::Json)
        .gives::<model::PassedOn>(200),
    post("/v1/peer/write", "peer_write", "Takes writes that a node passes on", to!(peer::write))
        .for_nodes()
        .speaks(Speaks::Json)
        .takes::<Vec<model::Write>>()
        .large()
        .gives::<Vec<model::PassedOn>>(200),
];
