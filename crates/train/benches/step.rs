//! Milliseconds of a training step and of scoring on fixed shapes, without padding or dropout.
//!
//! `cargo bench --workspace --bench step -- MODEL_DIR [REPEATS [SHAPE…]]`; a shape such as `8x512`
//! is both scored and trained. `just bench` takes turns with PyTorch.

use std::path::Path;
use std::time::Instant;
use whetstone_model::{CrossEncoderNetwork, DeviceName, Engine, Packed, Precision, StepDropout};
use whetstone_train::{AdamW, Rates, StepGradients, TrainConfig};

/// The product's allocator and its setting, see the cli.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn batch(sequences: usize, seq: usize) -> Packed {
    let ids = (0..sequences * seq)
        .map(|i| if i % seq == 0 { 101 } else { 1000 + (i * 7919 % 29000) as u32 })
        .collect();
    let types = (0..sequences * seq).map(|i| u32::from(i % seq >= 12)).collect();
    Packed { ids, types, starts: (0..=sequences).map(|i| i * seq).collect(), seen: None }
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
    for precision in
        [Precision::F32, Precision::Bf16].into_iter().filter(|precision| precision.is_supported())
    {
        println!("{precision:?}");
        let shapes: Vec<Shape> = arguments.iter().skip(2).map(|text| shape(text)).collect();
        let or =
            |usual: [Shape; 2]| if shapes.is_empty() { usual.to_vec() } else { shapes.clone() };
        score(Path::new(model), repeats, precision, &or([(32, 128), (30, 256)]));
        train(Path::new(model), repeats, precision, &or([(16, 128), (16, 256)]));
    }
}

/// How many sequences, and how long.
type Shape = (usize, usize);

fn shape(text: &str) -> Shape {
    let number = |text: &str| text.parse().expect("a shape is written 8x512");
    let (sequences, seq) = text.split_once('x').expect("a shape is written 8x512");
    (number(sequences), number(seq))
}

fn engine(precision: Precision) -> Engine {
    Engine::open(DeviceName::Cpu).expect("there is a CPU").for_training(precision)
}

fn score(model: &Path, repeats: usize, precision: Precision, shapes: &[Shape]) {
    for &(sequences, seq) in shapes {
        let engine = engine(precision);
        let network = CrossEncoderNetwork::load_or_init_head(model, None, 1, &engine)
            .expect("the model loads");
        let network = network.for_inference();
        let batch = batch(sequences, seq);
        let ms = median_ms(repeats, || drop(network.logits(&batch, &engine)));
        println!("score {sequences}x{seq}: {ms:.0} ms");
    }
}

fn train(model: &Path, repeats: usize, precision: Precision, shapes: &[Shape]) {
    for &(sequences, seq) in shapes {
        let engine = engine(precision);
        let mut network = CrossEncoderNetwork::load_or_init_head(model, None, 1, &engine)
            .expect("the model loads");
        let batch = batch(sequences, seq);
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
            "train step {sequences}x{seq}: {ms:.0} ms (last: forward {forward:.0}, backward {backward:.0})"
        );
    }
}
