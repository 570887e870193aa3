//! Gradients of unrolled networks against differences; training lowers the loss, with the same bits for
//! any number of threads.

use sparrot_design::Design;
use sparrot_foundation::random::Stream;
use sparrot_foundation::stop::Unobserved;
use sparrot_foundation::{Stop, Team, Trace};
use sparrot_unfolding::Matrix;
use sparrot_unfolding::training::{
    Coded, Count, Ending, Gate, Gradient, Loss, Network, Objective, Run, Schedule, Shrinkage,
    Signals, fit, plain_step, transform,
};

const FEATURES: usize = 9;
const ATOMS: usize = 21;
const COUNT: usize = 53;
const ALPHA: f64 = 0.05;

struct Data {
    /// By columns.
    dictionary: Vec<f64>,
    signals: Vec<f64>,
    codes: Vec<f64>,
}

fn data() -> Data {
    let mut random = Stream::new(3);
    let mut centred = |scale: f64| scale * (random.uniform() - 0.5);
    let dictionary: Vec<f64> = (0..FEATURES * ATOMS).map(|_| centred(1.0)).collect();
    let dense: Vec<f64> = (0..COUNT * ATOMS).map(|_| centred(4.0)).collect();
    let codes: Vec<f64> = dense.iter().map(|x| if x.abs() > 1.6 { *x } else { 0.0 }).collect();
    let product = |i: usize, f: usize| -> f64 {
        (0..ATOMS).map(|j| codes[i * ATOMS + j] * dictionary[j * FEATURES + f]).sum()
    };
    let signals =
        (0..COUNT).flat_map(|i| (0..FEATURES).map(move |f| (i, f))).map(|(i, f)| product(i, f));
    let signals = signals.collect();
    Data { dictionary, signals, codes }
}

impl Data {
    fn design(&self) -> Design<'_, f64> {
        Design::Dense(self.dictionary.chunks(FEATURES).collect())
    }
}

const KINDS: [(Shrinkage, Loss); 4] = [
    (Shrinkage::Soft, Loss::Supervised),
    (Shrinkage::Soft, Loss::L1 { alpha: ALPHA }),
    (Shrinkage::Hard(Gate::Smoothstep { width: 0.5 }), Loss::Supervised),
    (Shrinkage::Hard(Gate::Sigmoid { width: 0.3 }), Loss::L0 { alpha: ALPHA, count: Count::Cel0 }),
];

#[test]
fn gradients_are_those_of_differences() {
    let (data, team) = (data(), Team::new(Some(2)));
    let stop = Stop::new(&Unobserved, None);
    let design = data.design();
    let dictionary = Matrix::new(&design, "dictionary", usize::MAX, &team, &stop).unwrap();
    let rows: Vec<u32> = (0..COUNT as u32).collect();
    for (shrinkage, loss) in KINDS {
        let codes = (loss == Loss::Supervised).then_some(&data.codes[..]);
        let run = Run { team: &team, stop: &stop };
        let signals = Signals::new(&dictionary, &data.signals, codes, run).unwrap();
        let mut gradient = Gradient::new(&dictionary, &signals, COUNT, 4).unwrap();
        let mut network = Network::plain(4, 1.3 * plain_step(&design, &stop).unwrap(), ALPHA);
        let mut mean = |network: &Network| {
            gradient.mean(&rows, network, Objective { shrinkage, loss }, true, run).unwrap()
        };
        let exact = mean(&network);
        assert!(exact.is_finite && exact.loss > 0.0);
        let h = 1e-6;
        for t in 0..4 {
            let start = network.log_steps[t];
            network.log_steps[t] = start + h;
            let above = mean(&network).loss;
            network.log_steps[t] = start - h;
            let below = mean(&network).loss;
            network.log_steps[t] = start;
            let slope = (above - below) / (2.0 * h);
            assert!((slope - exact.log_steps[t]).abs() < 1e-6 * exact.loss, "{loss:?} {t}");
        }
    }
}

#[test]
fn training_lowers_the_loss_with_the_same_bits_for_any_number_of_threads() {
    let data = data();
    let stop = Stop::new(&Unobserved, None);
    let schedule = Schedule {
        incremental: true,
        epochs: 20,
        batch: 20,
        rate: 0.05,
        decays: true,
        steps: true,
        alphas: true,
        seed: 1,
    };
    for (shrinkage, loss) in KINDS {
        let run = |threads| {
            let team = Team::new(Some(threads));
            let design = data.design();
            let dictionary = Matrix::new(&design, "dictionary", usize::MAX, &team, &stop).unwrap();
            let codes = (loss == Loss::Supervised).then_some(&data.codes[..]);
            let run = Run { team: &team, stop: &stop };
            let signals = Signals::new(&dictionary, &data.signals, codes, run).unwrap();
            let mut network = Network::plain(4, plain_step(&design, &stop).unwrap(), ALPHA);
            let mut trace = Trace::default();
            let fitted = fit(
                &dictionary,
                &signals,
                Objective { shrinkage, loss },
                schedule,
                &mut network,
                &mut trace,
                run,
            );
            let fitted = fitted.unwrap();
            assert_eq!((fitted.ending, trace.0.len()), (Ending::Finished, 80));
            assert!(fitted.loss < 0.97 * fitted.plain_loss, "{loss:?}: {fitted:?}");
            let mut codes = vec![0.0; COUNT * ATOMS];
            let coded = transform(&dictionary, &data.signals, &network, shrinkage, &mut codes, run);
            assert_eq!(coded.unwrap(), Coded { finite: true, worse_than_zero: 0 });
            assert!(codes.iter().any(|x| *x != 0.0));
            (network, codes)
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(5));
    }
}
