//! A server over a fixture, as a script of the ancestor's own tests sees it.

use std::{
    cell::RefCell,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use model::Data;
use server::{Options, Rate, RpcOptions};

use super::{Caller, Strings, V, b, i, l, s, t, tu};
use crate::{Fixture, World};

/// Starts a server on free ports, and gives the addresses of HTTP and of CBOR-RPC.
#[track_caller]
pub fn listen(fixture: &Fixture, open: bool, config: Option<Data>) -> (SocketAddr, SocketAddr) {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let options = Options { listen, open, rate: Rate::Unlimited, grace: Duration::ZERO };
    let clock = fixture.clock.clone();
    let rpc = RpcOptions { listen, open, clock, config };
    let bound = server::bind(options, fixture.backend()).expect("a free port");
    let bound = bound.with_rpc(rpc).expect("a free port");
    let addresses = (bound.address(), bound.rpc_address().expect("an address"));
    // The server ends with the runtime of the fixture.
    fixture.block_on(async { drop(tokio::spawn(bound.serve(std::future::pending()))) });
    addresses
}

/// A script's connection to a server of its own.
pub struct Jobs {
    /// The empty namespace behind the server.
    pub world: World,
    /// Where CBOR-RPC is spoken.
    pub address: SocketAddr,
    /// How strings of either kind are sent.
    pub strings: Strings,
    caller: RefCell<Caller>,
}

impl Jobs {
    /// Starts a server over a fixture and connects to it.
    #[track_caller]
    pub fn new(fixture: Fixture, strings: Strings) -> Self {
        let (_, address) = listen(&fixture, true, None);
        let world = World::new(Arc::new(fixture), "");
        let caller = RefCell::new(Caller::open(address, strings));
        Self { world, address, strings, caller }
    }

    /// Calls a method that must not fail.
    #[track_caller]
    pub fn call(&self, method: &str, params: impl IntoIterator<Item = V>) -> V {
        let result = self.try_call(method, params);
        result.unwrap_or_else(|message| panic!("{method} fails: {message}"))
    }

    /// Calls a method.
    #[track_caller]
    pub fn try_call(&self, method: &str, params: impl IntoIterator<Item = V>) -> Result<V, String> {
        self.caller.borrow_mut().call(method, params)
    }

    /// Calls a method that answers a pair, whose message must be null, and gives the value.
    #[track_caller]
    pub fn pair(&self, method: &str, params: impl IntoIterator<Item = V>) -> V {
        let told = self.call(method, params);
        let [value, message] = told.items() else { panic!("{method} gives {told:?}") };
        assert_eq!(*message, V::Null, "{method}");
        assert!(matches!(told, V::List(_)), "a pair is a list");
        value.clone()
    }

    /// Calls a method whose pair must hold this value and this message.
    #[track_caller]
    pub fn refused(
        &self,
        method: &str,
        params: impl IntoIterator<Item = V>,
        value: V,
        message: &str,
    ) {
        assert_eq!(self.call(method, params), l([value, t(message)]), "{method}");
    }

    /// Calls a method whose pair must hold true.
    #[track_caller]
    pub fn done(&self, method: &str, params: impl IntoIterator<Item = V>) {
        assert_eq!(self.pair(method, params), V::Bool(true), "{method}");
    }

    /// Sets a spec.
    #[track_caller]
    pub fn set_spec<const N: usize>(&self, name: &str, more: [(&str, V); N]) {
        let V::Map(mut pairs) = super::m(more) else { return };
        pairs.push((s("name"), s(name)));
        self.done("set_work_spec", [V::Map(pairs)]);
    }

    /// Adds units without data.
    #[track_caller]
    pub fn add<const N: usize>(&self, spec: &str, keys: [&str; N]) {
        let units = keys.map(|key| tu([s(key), super::m([])]));
        self.done("add_work_units", [s(spec), l(units)]);
    }

    /// Gets one unit, and gives its key.
    #[track_caller]
    pub fn work(&self, worker: &str) -> Option<String> {
        let unit = self.pair("get_work", [s(worker), super::m([])]);
        assert!(matches!(unit, V::Tuple(_)), "{unit:?}");
        match unit.items() {
            [V::Text(_), V::Bytes(key), V::Map(_)] => {
                Some(String::from_utf8(key.clone()).expect("a readable key"))
            }
            [V::Null, V::Null, V::Null] => None,
            other => panic!("get_work gives {other:?}"),
        }
    }

    /// Changes a unit for the worker `worker`.
    #[track_caller]
    pub fn update(&self, spec: &str, key: &str, status: i32) -> V {
        let options = super::m([("status", i(status)), ("worker_id", s("worker"))]);
        self.pair("update_work_unit", [s(spec), s(key), options])
    }

    /// Gives the number of a unit's state.
    #[track_caller]
    pub fn state(&self, spec: &str, key: &str) -> i128 {
        let told = self.pair("get_work_unit_status", [s(spec), l([s(key)])]);
        match told.items() {
            [one] => match one.at("status") {
                V::Int(state) => *state,
                other => panic!("{other:?} is no state"),
            },
            other => panic!("{other:?} is not one status"),
        }
    }

    /// Gives the keys of units in the order of the answer.
    #[track_caller]
    pub fn keys<const N: usize>(&self, spec: &str, options: [(&str, V); N]) -> Vec<String> {
        let units = self.pair("get_work_units", [s(spec), super::m(options)]);
        let key = |unit: &V| match unit.items() {
            [V::Bytes(key), V::Map(_)] => String::from_utf8_lossy(key).into_owned(),
            other => panic!("get_work_units gives {other:?}"),
        };
        units.items().iter().map(key).collect()
    }

    /// Gives the data of a unit.
    #[track_caller]
    pub fn data(&self, spec: &str, key: &[u8]) -> V {
        let options = super::m([("work_unit_keys", l([b(key)]))]);
        let units = self.pair("get_work_units", [s(spec), options]);
        match units.items() {
            [one] => one.items().get(1).expect("data").clone(),
            other => panic!("{other:?} is not one unit"),
        }
    }
}
