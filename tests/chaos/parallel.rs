//! A thousand requests at the same moment for the last amount on a key: as many are admitted as it has room for.

use crate::clients::{self, Seen};
use crate::join::{join, quiet};
use crate::plan::{PRICES, Plan};
use crate::provider::Provider;
use crate::support::PATIENCE;
use crate::support::client::{Answer, Client};
use crate::support::gateway::{Gateway, Key, Setup};
use crate::wire::Wire;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// Tokens of every answer, which are as many as it allows.
pub(crate) const TOKENS: u64 = 40;
/// A number with the same count of digits as every other: the prompts are of one length.
const FIRST: u64 = 100_000;

const QUOTA: (u16, &str) = (402, "QUOTA_INSUFFICIENT");

pub(crate) struct Stage {
    pub(crate) provider: Provider,
    pub(crate) gateway: Gateway,
    next: u64,
    /// What is held for one request.
    pub(crate) held_nanos: u64,
    /// The request that showed it.
    measured: Option<Seen>,
}

impl Stage {
    /// A gateway that is not started yet, and what one request holds on it.
    pub(crate) async fn set() -> Self {
        let provider = Provider::start(true).await;
        let gateway = Gateway::prepare(&Setup::new(Wire::upstreams("u", provider.address, "")).prices(PRICES));
        let mut stage = Self { provider, gateway, next: FIRST, held_nanos: 0, measured: None };
        let key = stage.key("measure", 1_000_000_000).await;
        stage.gateway.serve().await;
        let seen = clients::send(stage.gateway.address, stage.plan(), &key.key, &mut None).await;
        assert!(seen.whole, "{seen:?}");
        stage.held_nanos = stage.gateway.wait_record().await["held_nanos"].as_u64().expect("a number");
        stage.measured = Some(seen);
        assert!(stage.held_nanos >= stage.plan().cost_nanos());
        stage
    }

    pub(crate) fn plan(&mut self) -> Plan {
        self.next += 1;
        Plan::chat(self.next, TOKENS)
    }

    async fn key(&self, name: &str, quota_nanos: u64) -> Key {
        let quota = format!("{}.{:09}", quota_nanos / 1_000_000_000, quota_nanos % 1_000_000_000);
        self.gateway.key(name, &["--quota-usd", &quota]).await
    }

    /// Room for so many requests, and a nano-USD too little for one more.
    fn quota_for(&self, room: u64) -> u64 {
        (room + 1) * self.held_nanos - 1
    }

    /// Sends one request with each of these credentials, all at the same moment.
    pub(crate) async fn storm(&mut self, credentials: impl Iterator<Item = String>) -> JoinSet<(String, Answer)> {
        let requests: Vec<_> = credentials.map(|key| (self.plan().request(&key), key)).collect();
        let barrier = Arc::new(Barrier::new(requests.len()));
        let mut storm = JoinSet::new();
        for (request, key) in requests {
            let (barrier, address) = (Arc::clone(&barrier), self.gateway.address);
            storm.spawn(async move {
                let client = Client::connect(address).await.expect("the gateway listens");
                barrier.wait().await;
                (key, client.send(&request).await)
            });
        }
        storm
    }

    /// Waits for everybody who is refused, while the others are kept waiting by the provider; how many were refused of
    /// each credential.
    pub(crate) async fn refusals(
        &self,
        storm: &mut JoinSet<(String, Answer)>,
        count: usize,
        (status, code): (u16, &str),
    ) -> Vec<String> {
        let mut refused = Vec::with_capacity(count);
        while refused.len() < count {
            let next = tokio::time::timeout(PATIENCE, storm.join_next()).await;
            let (key, answer) = next.expect("a refusal in time").expect("somebody waits").expect("no client panics");
            assert_eq!((answer.status, &*answer.error_code()), (status, code), "{}", answer.text());
            refused.push(key);
        }
        refused
    }

    /// Waits until so many requests are at the provider, and asserts that nobody else is.
    pub(crate) async fn in_flight(&self, before: usize, count: usize) {
        let started = Instant::now();
        while self.provider.arrived() < before + count {
            assert!(started.elapsed() < PATIENCE, "{} of {count} arrived", self.provider.arrived() - before);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(self.provider.arrived(), before + count, "more were admitted than there was room for");
        assert_eq!(self.gateway.metric("tollgate_holds_open", &[]).await, count as f64);
    }

    /// Spent to the nano-USD, nothing held.
    fn assert_balance(&self, name: &str, answered: u64) {
        let row = self.gateway.key_row(name);
        assert_eq!(row["spent_nanos"], answered * Plan::chat(FIRST, TOKENS).cost_nanos(), "{row}");
        assert_eq!(row["held_nanos"], 0, "{row}");
        assert!(row["spent_nanos"].as_u64() <= row["quota_nanos"].as_u64(), "{row}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_requests_at_once_as_many_are_admitted_as_there_is_room_for() {
    const REQUESTS: usize = 1_000;
    let _alone = crate::alone().await;
    let mut stage = Stage::set().await;
    let mut keys = Vec::new();
    for room in [1, 7, 100, 999] {
        let name = format!("room-{room}");
        let key = stage.key(&name, stage.quota_for(room as u64)).await;
        stage.provider.set_open(false);
        let before = stage.provider.arrived();
        let mut storm = stage.storm(std::iter::repeat_n(key.key.clone(), REQUESTS)).await;
        stage.refusals(&mut storm, REQUESTS - room, QUOTA).await;
        stage.in_flight(before, room).await;
        stage.provider.set_open(true);
        while let Some(done) = storm.join_next().await {
            let (_, answer) = done.expect("no client panics");
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        quiet(&stage.gateway).await;
        stage.assert_balance(&name, room as u64);
        keys.push(key);
    }
    assert_eq!(stage.gateway.records().len(), 1 + 1 + 7 + 100 + 999);
    stage.gateway.finish(&keys.iter().collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_keys_do_not_get_into_each_others_way() {
    const KEYS: u64 = 50;
    const EACH: u64 = 20;
    let _alone = crate::alone().await;
    let mut stage = Stage::set().await;
    let room = |index: u64| index % (EACH + 1);
    let mut keys = Vec::new();
    for index in 0..KEYS {
        keys.push(stage.key(&format!("key-{index}"), stage.quota_for(room(index))).await);
    }
    stage.provider.set_open(false);
    let before = stage.provider.arrived();
    let credentials: Vec<_> = (0..EACH).flat_map(|_| keys.iter().map(|key| key.key.clone())).collect();
    let admitted: u64 = (0..KEYS).map(room).sum();
    let mut storm = stage.storm(credentials.into_iter()).await;
    let refused = stage.refusals(&mut storm, (KEYS * EACH - admitted) as usize, QUOTA).await;
    for (index, key) in (0..).zip(&keys) {
        let count = refused.iter().filter(|credential| **credential == key.key).count() as u64;
        assert_eq!(count, EACH - room(index), "refusals of {}", key.name);
    }
    stage.in_flight(before, admitted as usize).await;
    stage.provider.set_open(true);
    while let Some(done) = storm.join_next().await {
        assert_eq!(done.expect("no client panics").1.status, 200);
    }
    quiet(&stage.gateway).await;
    for (index, key) in (0..).zip(&keys) {
        stage.assert_balance(&key.name, room(index));
    }
    stage.gateway.finish(&keys.iter().collect::<Vec<_>>()).await;
}

/// Settlements give room back while others ask for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_that_settlements_give_back_is_used_and_never_overspent() {
    const LANES: u64 = 40;
    const EACH: u64 = 25;
    let _alone = crate::alone().await;
    let mut stage = Stage::set().await;
    let quota = stage.quota_for(30);
    let key = stage.key("churn", quota).await;
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        let (address, credential) = (stage.gateway.address, key.key.clone());
        let plans: Vec<_> = (0..EACH).map(|_| stage.plan()).collect();
        lanes.spawn(async move {
            let (mut seen, mut kept) = (Vec::new(), None);
            for plan in plans {
                seen.push(clients::send(address, plan, &credential, &mut kept).await);
            }
            seen
        });
    }
    let mut seen = Vec::new();
    while let Some(done) = lanes.join_next().await {
        seen.extend(done.expect("no client panics"));
    }
    // Alone now: what is left is spent, as far as it covers a hold.
    let mut kept = None;
    loop {
        let last = clients::send(stage.gateway.address, stage.plan(), &key.key, &mut kept).await;
        let is_whole = last.whole;
        seen.push(last);
        if !is_whole {
            break;
        }
    }
    quiet(&stage.gateway).await;
    let answered = seen.iter().filter(|seen| seen.whole).count() as u64;
    assert_eq!(answered + seen.iter().filter(|seen| seen.refused.is_some()).count() as u64, seen.len() as u64);
    assert!(answered > 30, "nothing was given back: {answered}");
    stage.assert_balance("churn", answered);
    let spent = answered * Plan::chat(FIRST, TOKENS).cost_nanos();
    assert!(quota - spent < stage.held_nanos, "refused, though {} of {quota} are left", quota - spent);
    seen.extend(stage.measured.take());
    join(&stage.gateway, &seen, &[&stage.provider]).assert_clean("churn");
    stage.gateway.finish(&[&key]).await;
}
