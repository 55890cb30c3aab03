//! What a run spends, and the caps on it.

use crate::config::LlmConfig;
use crate::journal::Sums;
use serde::Serialize;
use std::cell::{Cell, RefCell};
use tokio::sync::Notify;

/// The share of the price that a batch API charges.
const BATCH_SHARE: f64 = 0.5;

/// Calls, tokens and money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spent {
    pub requests: u64,
    pub tokens_in: u64,
    pub tokens_out: u64,
    /// In the config's currency; 0 where the LLM has no price.
    pub cost: f64,
}

impl Spent {
    fn add(&mut self, other: Spent) {
        self.requests += other.requests;
        self.tokens_in += other.tokens_in;
        self.tokens_out += other.tokens_out;
        self.cost += other.cost;
    }

    /// The sum of both.
    pub fn with(mut self, other: Spent) -> Self {
        self.add(other);
        self
    }

    pub fn tokens(&self) -> u64 {
        self.tokens_in + self.tokens_out
    }

    /// What was spent since `earlier`.
    pub fn since(&self, earlier: &Spent) -> Spent {
        Spent {
            requests: self.requests - earlier.requests,
            tokens_in: self.tokens_in - earlier.tokens_in,
            tokens_out: self.tokens_out - earlier.tokens_out,
            cost: self.cost - earlier.cost,
        }
    }
}

/// Returns what tokens of an LLM cost; 0 where it has no price.
pub fn cost(config: &LlmConfig, llm: &str, batch: bool, tokens_in: u64, tokens_out: u64) -> f64 {
    let Some(price) = config.prices.get(llm) else { return 0.0 };
    let share = if batch { BATCH_SHARE } else { 1.0 };
    share * (tokens_in as f64 * price.input + tokens_out as f64 * price.output) / 1e6
}

/// Returns what the answers of a journal have cost.
pub fn spent_before(config: &LlmConfig, sums: &Sums) -> Spent {
    let mut spent = Spent::default();
    for ((llm, batch), sum) in sums {
        let cost = cost(config, llm, *batch, sum.tokens_in, sum.tokens_out);
        let (tokens_in, tokens_out) = (sum.tokens_in, sum.tokens_out);
        spent.add(Spent { requests: sum.answers, tokens_in, tokens_out, cost });
    }
    spent
}

/// Permission to make a call. The most that it may cost is reserved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leave {
    most: Spent,
}

/// The caps, over all runs on a data set.
pub struct Budget<'a> {
    config: &'a LlmConfig,
    spent: Cell<Spent>,
    /// Reserved for the calls in flight.
    reserved: Cell<Spent>,
    in_flight: Cell<u64>,
    freed: Notify,
    /// The cap that was reached, in the words of the config.
    met: RefCell<Option<String>>,
}

impl<'a> Budget<'a> {
    pub fn new(config: &'a LlmConfig, spent: Spent) -> Self {
        let (spent, reserved) = (Cell::new(spent), Cell::new(Spent::default()));
        Self {
            config,
            spent,
            reserved,
            in_flight: Cell::new(0),
            freed: Notify::new(),
            met: RefCell::new(None),
        }
    }

    /// Reserves the most that a call may cost; returns none once a cap is reached. It waits if only
    /// calls in flight stand in the way.
    pub async fn admit(&self, llm: &str, tokens_in: u64, most_out: u64) -> Option<Leave> {
        let cost = cost(self.config, llm, false, tokens_in, most_out);
        let most = Spent { requests: 1, tokens_in, tokens_out: most_out, cost };
        loop {
            if self.met.borrow().is_some() {
                return None;
            }
            let mut ahead = self.spent.get();
            ahead.add(self.reserved.get());
            ahead.add(most);
            let Some(cap) = self.broken(&ahead) else {
                let mut reserved = self.reserved.get();
                reserved.add(most);
                self.reserved.set(reserved);
                self.in_flight.set(self.in_flight.get() + 1);
                return Some(Leave { most });
            };
            if self.in_flight.get() == 0 {
                *self.met.borrow_mut() = Some(cap);
                self.freed.notify_waiters();
                return None;
            }
            self.freed.notified().await;
        }
    }

    fn broken(&self, ahead: &Spent) -> Option<String> {
        let config = self.config;
        if config.max_requests > 0 && ahead.requests > config.max_requests {
            return Some(format!("`llm.max-requests` = {}", config.max_requests));
        }
        if config.max_tokens > 0 && ahead.tokens() > config.max_tokens {
            return Some(format!("`llm.max-tokens` = {}", config.max_tokens));
        }
        if config.max_cost > 0.0 && ahead.cost > config.max_cost {
            return Some(format!("`llm.max-cost` = {} {}", config.max_cost, config.currency));
        }
        None
    }

    /// Books a call: a request, and its tokens if it was answered.
    pub fn book(&self, leave: Leave, llm: &str, tokens: Option<(u64, u64)>) {
        let (tokens_in, tokens_out) = tokens.unwrap_or_default();
        let mut spent = self.spent.get();
        spent.add(Spent {
            requests: 1,
            tokens_in,
            tokens_out,
            cost: cost(self.config, llm, false, tokens_in, tokens_out),
        });
        self.spent.set(spent);
        let reserved = self.reserved.get();
        self.reserved.set(Spent {
            requests: reserved.requests - leave.most.requests,
            tokens_in: reserved.tokens_in - leave.most.tokens_in,
            tokens_out: reserved.tokens_out - leave.most.tokens_out,
            cost: (reserved.cost - leave.most.cost).max(0.0),
        });
        self.in_flight.set(self.in_flight.get() - 1);
        self.freed.notify_waiters();
    }

    pub fn spent(&self) -> Spent {
        self.spent.get()
    }

    /// The cap that stopped the run.
    pub fn met(&self) -> Option<String> {
        self.met.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Price;
    use std::collections::BTreeMap;

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(future)
    }

    fn priced() -> LlmConfig {
        let prices = BTreeMap::from([("m".to_owned(), Price { input: 1.0, output: 10.0 })]);
        LlmConfig { prices, ..LlmConfig::default() }
    }

    #[test]
    fn money_is_tokens_by_price_and_half_of_it_in_a_batch() {
        let config = priced();
        assert_eq!(cost(&config, "m", false, 1_000_000, 100_000), 2.0);
        assert_eq!(cost(&config, "m", true, 1_000_000, 100_000), 1.0);
        assert_eq!(cost(&config, "other", false, 1_000_000, 100_000), 0.0);
    }

    #[test]
    fn no_call_leaves_that_could_break_a_cap() {
        let caps = [
            LlmConfig { max_requests: 3, ..priced() },
            LlmConfig { max_tokens: 3 * 1100, ..priced() },
            LlmConfig { max_cost: 3.0 * 0.002, ..priced() },
        ];
        for config in caps {
            run(async {
                let budget = Budget::new(&config, Spent::default());
                for _ in 0..3 {
                    let leave = budget.admit("m", 1000, 100).await.expect("there is room");
                    budget.book(leave, "m", Some((1000, 100)));
                }
                assert_eq!(budget.admit("m", 1000, 100).await, None);
                assert!(budget.met().unwrap().starts_with("`llm.max-"));
            });
        }
    }

    #[test]
    fn a_call_waits_for_the_room_that_calls_in_flight_may_leave() {
        let config = LlmConfig { max_tokens: 2500, ..priced() };
        run(async {
            let budget = Budget::new(&config, Spent::default());
            let first = budget.admit("m", 1000, 1000).await.unwrap();
            let book = async {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                budget.book(first, "m", Some((1000, 10)));
            };
            let (second, ()) = tokio::join!(budget.admit("m", 1000, 400), book);
            assert!(second.is_some(), "the first used less than was set aside");
        });
    }

    #[test]
    fn earlier_runs_count() {
        let config = LlmConfig { max_requests: 3, ..priced() };
        let spent = Spent { requests: 3, ..Spent::default() };
        run(async { assert_eq!(Budget::new(&config, spent).admit("m", 1, 1).await, None) });
    }
}
