//! Milliseconds of a training step and of scoring on batches of a given shape, without dropout.
//!
//! `cargo bench --workspace --bench step -- MODEL_DIR [REPEATS [SHAPE…]]`; a shape is both scored
//! and trained. `8x512` is eight sequences of 512 tokens, `16x64-512` is sixteen whose lengths are
//! spread evenly from 64 to 512. In the environment, `PRECISION=f32` or `bf16` leaves the other out,
//! `ONLY=score` or `train` likewise, and `GRADIENT_CHECKPOINTING=1` trains with that key. `just
//! bench` takes turns with PyTorch.

use std::path::Path;
use std::time::Instant;
use whetstone_model::{
    Architecture, DeviceName, Engine, Packed, PairNetwork, Precision, Spec, StepDropout,
};
use whetstone_train::{AdamW, Rates, StepGradients, TrainConfig};

/// The product's allocator and its setting, see the cli.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The ids of words, which the tables of all published models have.
const WORDS: std::ops::Range<usize> = 1000..30_000;

fn batch(shape: &Shape, spec: &Spec) -> Packed {
    let mut batch = Packed::default();
    for length in shape.lengths() {
        let word = |i| if i == 0 { 101 } else { WORDS.start + i * 7919 % WORDS.len() };
        let start = batch.tokens();
        batch.ids.extend((start..start + length).map(|i| word(i - start) as u32));
        let kind = |i| u32::from(i >= 12 && spec.token_types > 1);
        batch.types.extend((0..length).map(kind));
        batch.starts.push(batch.tokens());
    }
    batch
}

fn median_ms(repeats: usize, mut run: impl FnMut()) -> f64 {
    run();
    let mut times: Vec<f64> = (0..repeats)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[repeats / 2]
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let Some(model) = arguments.first() else {
        println!("step: no model folder given, nothing measured");
        return;
    };
    // SAFETY: stores a number in mimalloc's table of options (15 is the purge delay, in
    // milliseconds).
    unsafe { libmimalloc_sys::mi_option_set_default(15, 60_000) };
    let repeats = arguments.get(1).map_or(7, |text| text.parse().expect("REPEATS is a number"));
    for (name, precision) in [("f32", Precision::F32), ("bf16", Precision::Bf16)] {
        if !precision.is_supported() || !is_wanted("PRECISION", name) {
            continue;
        }
        println!("{precision:?}");
        let or = |usual: [&str; 2]| -> Vec<Shape> {
            let given = arguments.iter().skip(2).map(String::as_str);
            let shapes: Vec<Shape> = given.map(Shape::read).collect();
            if shapes.is_empty() { usual.map(Shape::read).into() } else { shapes }
        };
        if is_wanted("ONLY", "score") {
            score(Path::new(model), repeats, precision, &or(["32x128", "30x256"]));
        }
        if is_wanted("ONLY", "train") {
            train(Path::new(model), repeats, precision, &or(["16x128", "16x256"]));
        }
    }
}

/// Whether a variable of the environment names this choice, or none.
fn is_wanted(variable: &str, choice: &str) -> bool {
    std::env::var(variable).map_or(true, |wanted| wanted == choice)
}

/// How many sequences, and the lengths of the shortest and the longest.
struct Shape {
    text: String,
    sequences: usize,
    shortest: usize,
    longest: usize,
}

impl Shape {
    fn read(text: &str) -> Self {
        let number = |text: &str| text.parse().expect("a shape is written 8x512 or 16x64-512");
        let (sequences, lengths) = text.split_once('x').unwrap_or((text, ""));
        let (shortest, longest) = lengths.split_once('-').unwrap_or((lengths, lengths));
        let [sequences, shortest, longest] = [sequences, shortest, longest].map(number);
        Self { text: text.into(), sequences, shortest, longest }
    }

    fn lengths(&self) -> impl Iterator<Item = usize> {
        let Self { sequences, shortest, longest, .. } = *self;
        let steps = sequences.saturating_sub(1).max(1);
        (0..sequences).map(move |i| shortest + (longest - shortest) * i / steps)
    }
}

fn engine(precision: Precision) -> Engine {
    let recompute = std::env::var_os("GRADIENT_CHECKPOINTING").is_some();
    let cpu = Engine::open(DeviceName::Cpu).expect("there is a CPU");
    cpu.for_training(precision).with_gradient_checkpointing(recompute)
}

fn spec(model: &Path) -> Spec {
    Architecture::read(model).expect("the model's config is known").spec
}

fn score(model: &Path, repeats: usize, precision: Precision, shapes: &[Shape]) {
    for shape in shapes {
        let engine = engine(precision);
        let network =
            PairNetwork::load_or_init_head(model, None, 1, &engine).expect("the model loads");
        let network = network.for_inference();
        let batch = batch(shape, &spec(model));
        let ms = median_ms(repeats, || drop(network.logits(&batch, &engine)));
        println!("score {}: {ms:.0} ms", shape.text);
    }
}

fn train(model: &Path, repeats: usize, precision: Precision, shapes: &[Shape]) {
    for shape in shapes {
        let engine = engine(precision);
        let mut network =
            PairNetwork::load_or_init_head(model, None, 1, &engine).expect("the model loads");
        let batch = batch(shape, &spec(model));
        let mut optimizer = AdamW::new(&engine);
        let config = TrainConfig::default();
        let rates = Rates { base: 2e-5, head_multiplier: 1.0, layer_decay: 1.0 };
        let (mut forward, mut backward) = (0.0, 0.0);
        let ms = median_ms(repeats, || {
            let start = Instant::now();
            let loss =
                network.forward(&batch, StepDropout::default(), &engine).powf_scalar(2.0).mean();
            forward = start.elapsed().as_secs_f64() * 1e3;
            let gradients = loss.backward();
            backward = start.elapsed().as_secs_f64() * 1e3 - forward;
            let mut step = StepGradients::default();
            step.add(&mut network, gradients, &engine);
            optimizer.step(&mut network, step, rates, &config);
        });
        println!(
            "train step {}: {ms:.0} ms (last: forward {forward:.0}, backward {backward:.0})",
            shape.text
        );
    }
}
