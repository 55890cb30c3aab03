//! All parameters one after the other in memory. A step then takes a handful of operations, where
//! every operation is a launch.

use crate::optimizer::{Moments, Rates, StepGradients};
use burn::module::Param;
use burn::tensor::Tensor;
use std::collections::{BTreeMap, HashMap};
use whetstone_model::{AdamWState, AdamWStep, Engine, PairNetwork, Parameter, Slot};

/// Parameters whose memory begins at a multiple of this many values are looked at without a copy.
const ALIGNMENT: usize = 64;

/// What parameters have in common that take the same step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub is_decayed: bool,
    /// The bits of the factor on the base learning rate.
    factor: u64,
}

impl Kind {
    pub fn factor(self) -> f64 {
        f64::from_bits(self.factor)
    }
}

/// Where a parameter lies in its group.
#[derive(Clone, Debug, PartialEq)]
struct Span {
    name: String,
    start: usize,
    len: usize,
}

impl Span {
    fn of(&self, flat: &Tensor<1>) -> Tensor<1> {
        flat.clone().slice(self.start..self.start + self.len)
    }
}

/// The parameters that have gradients, by what they have in common. Adding up the lengths gives
/// where each begins.
type Layout = BTreeMap<Kind, Vec<Span>>;

/// The weights and moments of all parameters that have gradients. The network's own weights are
/// parts of this memory.
pub(crate) struct Flat {
    layout: Layout,
    /// In the order of the layout.
    states: Vec<AdamWState>,
}

impl Flat {
    /// Lays out the parameters that have a gradient. `moments` may hold what an earlier run or
    /// layout left; the others start at 0.
    fn new(
        layout: Layout,
        network: &mut PairNetwork,
        moments: &mut Moments,
        engine: &Engine,
    ) -> Self {
        let mut weights: HashMap<String, Tensor<1>> =
            network.parameters().into_iter().map(|p| (p.name, weight(&p.slot))).collect();
        let mut state = |spans: &Vec<Span>| {
            let (mut w, mut m, mut v) = (Vec::new(), Vec::new(), Vec::new());
            for Span { name, len, .. } in spans {
                let zeros = || (engine.zeros(*len), engine.zeros(*len));
                let (first, second) = moments.remove(name).unwrap_or_else(zeros);
                w.push(weights.remove(name).expect("the layout names parameters"));
                m.push(first);
                v.push(second);
            }
            let [weight, first_moment, second_moment] = [w, m, v].map(|parts| join(parts, engine));
            AdamWState { weight, first_moment, second_moment }
        };
        let states = layout.values().map(&mut state).collect();
        Self { layout, states }
    }

    /// Returns the memory for these gradients: `flat` itself if it fits, else a new layout that
    /// takes over its moments.
    pub fn fitting(
        flat: Option<Self>,
        network: &mut PairNetwork,
        (gradients, rates): (&StepGradients, Rates),
        moments: &mut Moments,
        engine: &Engine,
    ) -> Self {
        let layout = layout(network, gradients, rates);
        match flat {
            Some(flat) if flat.layout == layout => flat,
            other => {
                moments.extend(other.iter().flat_map(Flat::moments));
                Self::new(layout, network, moments, engine)
            }
        }
    }

    /// One step of AdamW. Returns the gradients' norm before clipping, `[1]`, without waiting for
    /// it. If it is no number, no weight changes.
    pub fn step(
        &mut self,
        network: &mut PairNetwork,
        mut gradients: StepGradients,
        (max_norm, step_of): (f64, impl Fn(Kind) -> AdamWStep),
        engine: &Engine,
    ) -> Tensor<1> {
        let mut joined = |spans: &Vec<Span>| {
            let parts = spans.iter().map(|span| gradients.take(&span.name));
            join(parts.collect(), engine)
        };
        let gradients: Vec<Tensor<1>> = self.layout.values().map(&mut joined).collect();
        let norm = engine.norm(&gradients);
        // Moved, so that the moments have one owner and can change in place.
        let states = std::mem::take(&mut self.states);
        let of_groups = self.layout.keys().zip(states).zip(gradients);
        let step = |((kind, state), gradient): ((&Kind, AdamWState), Tensor<1>)| {
            engine.adamw_together(state, gradient, (&norm, max_norm), step_of(*kind))
        };
        self.states = of_groups.map(step).collect();
        self.give_back(network);
        norm
    }

    /// Makes the network's parameters parts of this memory.
    fn give_back(&self, network: &mut PairNetwork) {
        let spans = self.layout.values().zip(&self.states);
        let mut values: HashMap<&str, Tensor<1>> = spans
            .flat_map(|(spans, state)| spans.iter().map(|span| (span, &state.weight)))
            .map(|(span, flat)| (span.name.as_str(), span.of(flat)))
            .collect();
        for Parameter { name, slot, .. } in network.parameters() {
            if let Some(value) = values.remove(name.as_str()) {
                put(slot, value);
            }
        }
    }

    /// Returns the first and second moment of each parameter.
    pub fn moments(&self) -> Moments {
        let spans = self.layout.values().zip(&self.states);
        spans
            .flat_map(|(spans, state)| spans.iter().map(move |span| (span, state)))
            .map(|(span, state)| {
                let moments = (span.of(&state.first_moment), span.of(&state.second_moment));
                (span.name.clone(), moments)
            })
            .collect()
    }
}

fn layout(network: &mut PairNetwork, gradients: &StepGradients, rates: Rates) -> Layout {
    let layers = network.layers();
    let mut layout = Layout::new();
    for Parameter { name, role, slot } in network.parameters() {
        let Some(len) = gradients.len_of(&name) else { continue };
        let is_decayed = !matches!(slot, Slot::Vector(_));
        let kind = Kind { is_decayed, factor: rates.factor(role, layers).to_bits() };
        layout.entry(kind).or_default().push(Span { name, start: 0, len });
    }
    for spans in layout.values_mut() {
        // Last come those that would push the others off the places where no copy is needed.
        spans.sort_by_key(|span| !span.len.is_multiple_of(ALIGNMENT));
        let mut start = 0;
        for span in spans {
            span.start = start;
            start += span.len;
        }
    }
    layout
}

/// Joins the parts, with zeros up to a whole number of chunks.
fn join(parts: Vec<Tensor<1>>, engine: &Engine) -> Tensor<1> {
    let len: usize = parts.iter().map(|part| part.dims()[0]).sum();
    engine.join(parts, len.next_multiple_of(Engine::CHUNK))
}

fn weight(slot: &Slot) -> Tensor<1> {
    fn flat<const D: usize>(param: &Param<Tensor<D>>) -> Tensor<1> {
        let value = param.val().inner();
        let len = value.shape().num_elements();
        value.reshape([len])
    }
    match slot {
        Slot::Table(param) | Slot::Matrix(param) => flat(param),
        Slot::Vector(param) => flat(param),
    }
}

fn put(slot: Slot, value: Tensor<1>) {
    fn shaped<const D: usize>(param: &mut Param<Tensor<D>>, value: Tensor<1>) {
        let shape = param.lazy_shape();
        *param = Param::from_tensor(Tensor::from_inner(value.reshape(shape)));
    }
    match slot {
        Slot::Table(param) | Slot::Matrix(param) => shaped(param, value),
        Slot::Vector(param) => shaped(param, value),
    }
}
