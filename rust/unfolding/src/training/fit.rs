//! Layer by layer, batch by batch.
//!
//! In an incremental schedule a network of one layer is trained, then one of two, and so on, all of
//! them each time; a new layer starts where the one before it has come to. Else all layers are trained
//! from the start. A stage is a number of passes over the signals in random order, with a rate that
//! falls to 0 along half a cosine, a gate that narrows, so that what is trained is at last nearly what
//! is used, and moments of its own.

use std::f64::consts::PI;
use std::ops::Range;

use sparrot_foundation::random::Stream;
use sparrot_foundation::{Error, Record, Status, Trace};

use crate::matrix::Matrix;
use crate::number::Number;
use crate::training::adam::Adam;
use crate::training::gradient::{Gradient, Signals};
use crate::training::{Network, Objective, Run};

/// The width of a gate at the end of a stage, relative to that at its beginning.
const NARROWEST: f64 = 0.1;

/// How a network is trained.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Whether layers are added one by one.
    pub incremental: bool,
    /// Passes over the signals in each stage.
    pub epochs: usize,
    /// Signals between steps.
    pub batch: usize,
    /// The relative change of a parameter in a step, at first.
    pub rate: f64,
    /// Whether it falls in the course of a stage, and gates narrow.
    pub decays: bool,
    /// Whether steps are learned.
    pub steps: bool,
    /// Whether penalties are.
    pub alphas: bool,
    /// Of the order of the signals.
    pub seed: u64,
}

/// How training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All passes are done.
    Finished,
    /// The time allowed was used up.
    MaxTime,
    /// The callback asked to stop.
    Callback,
    /// A number was not finite; the parameters are the best of those before, in the stage.
    Diverged,
    /// All passes are done, and the plain algorithm has the smaller loss.
    NoGain,
}

impl Ending {
    /// The name Python knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Finished => "finished",
            Ending::MaxTime => "max_time",
            Ending::Callback => "callback",
            Ending::Diverged => "diverged",
            Ending::NoGain => "no_gain",
        }
    }
}

/// What is known of a trained network: means over all signals it was trained on.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// How training ended.
    pub ending: Ending,
    /// Whether the plain algorithm, which has the smaller loss, is what is returned.
    pub is_plain: bool,
    /// The loss, with exact thresholds and counts.
    pub loss: f64,
    /// That of what training ended with; NaN if it overflows.
    pub trained_loss: f64,
    /// That of the plain algorithm with as many layers.
    pub plain_loss: f64,
    /// The largest derivative of the training loss by a learned parameter's logarithm, relative to
    /// that loss.
    pub stationarity: f64,
}

/// Trains the network where it is: it holds the last step's parameters also after an error. A record
/// of the trace is a pass: its certificate is the mean gradient's largest entry relative to the loss, its
/// sparsity the mean number of non-zeros, its phase the number of layers.
///
/// # Errors
/// [`Error::OutOfMemory`]; [`Error::Interrupted`].
pub fn fit<T: Number>(
    dictionary: &Matrix<'_, T>,
    signals: &Signals<'_, T>,
    objective: Objective,
    schedule: Schedule,
    network: &mut Network,
    trace: &mut Trace,
    run: Run<'_>,
) -> Result<Fitted, Error> {
    let depth = network.depth();
    let batch = schedule.batch.min(signals.len());
    let plain = network.clone();
    let gradient = Gradient::new(dictionary, signals, batch, depth)?;
    let order = (0..signals.len() as u32).collect();
    let mut training = Training { gradient, objective, schedule, order, batch, scale: None, run };
    let mut random = Stream::new(schedule.seed);
    let first = if schedule.incremental { 1 } else { depth };
    let mut ending = Ending::Finished;
    for layers in first..=depth {
        if schedule.incremental && layers > 1 {
            network.log_steps[layers - 1] = network.log_steps[layers - 2];
            network.log_alphas[layers - 1] = network.log_alphas[layers - 2];
        }
        ending = training.stage(layers, network, &mut random, trace)?;
        if ending != Ending::Finished {
            break;
        }
    }
    training.judge(network, &plain, ending)
}

struct Training<'a, T: Number> {
    gradient: Gradient<'a, T>,
    objective: Objective,
    schedule: Schedule,
    order: Vec<u32>,
    batch: usize,
    /// The loss of the first batch: gradients are relative to it, so that no scale matters.
    scale: Option<f64>,
    run: Run<'a>,
}

/// Sums over a pass.
struct Pass {
    loss: f64,
    nonzeros: usize,
    /// By steps, then by penalties.
    gradient: Vec<f64>,
}

impl<T: Number> Training<'_, T> {
    /// Trains the first layers.
    fn stage(
        &mut self,
        layers: usize,
        network: &mut Network,
        random: &mut Stream,
        trace: &mut Trace,
    ) -> Result<Ending, Error> {
        let depth = network.depth();
        let count = self.order.len();
        // As numbers: there may be more steps in a stage than integers count.
        let batches = count.div_ceil(self.batch) as f64;
        let steps = self.schedule.epochs as f64 * batches;
        let mut adam = Adam::new(2 * depth);
        let mut best = (f64::INFINITY, network.clone());
        for epoch in 0..self.schedule.epochs {
            random.shuffle_first(&mut self.order, count);
            let mut pass = Pass { loss: 0.0, nonzeros: 0, gradient: vec![0.0; 2 * depth] };
            for (b, first) in (0..count).step_by(self.batch).enumerate() {
                // Here also if the time was used up before training began.
                if self.run.stop.is_late() {
                    return Ok(Ending::MaxTime);
                }
                let batch = first..count.min(first + self.batch);
                let done = (epoch as f64 * batches + b as f64) / steps;
                if !self.step(batch, done, layers, network, &mut adam, &mut pass)? {
                    *network = best.1;
                    return Ok(Ending::Diverged);
                }
            }
            if pass.loss < best.0 {
                best = (pass.loss, network.clone());
            }
            let record = Record {
                iteration: trace.0.len() + 1,
                time: self.run.stop.seconds(),
                objective: pass.loss / count as f64,
                certificate: relative(self.largest(&pass.gradient, depth), pass.loss),
                sparsity: pass.nonzeros / count,
                phase: layers as u32,
            };
            trace.0.push(record);
            match self.run.stop.after(&record)? {
                Some(Status::MaxTime) => return Ok(Ending::MaxTime),
                Some(_) => return Ok(Ending::Callback),
                None => {}
            }
        }
        Ok(Ending::Finished)
    }

    /// A step of the parameters of the first layers, by a batch, where so much of the stage is done;
    /// whether everything was finite.
    fn step(
        &mut self,
        batch: Range<usize>,
        done: f64,
        layers: usize,
        network: &mut Network,
        adam: &mut Adam,
        pass: &mut Pass,
    ) -> Result<bool, Error> {
        let depth = network.depth();
        let objective = self.objective.narrowed(self.width(done));
        let rows = &self.order[batch];
        let sums = self.gradient.sums(rows, network, layers, objective, true, self.run)?;
        if !sums.is_finite {
            return Ok(false);
        }
        let share = rows.len() as f64;
        let of_first = if sums.loss > 0.0 { sums.loss / share } else { 1.0 };
        let scale = 1.0 / (share * *self.scale.get_or_insert(of_first));
        pass.loss += sums.loss;
        pass.nonzeros += sums.nonzeros;
        let fall = if self.schedule.decays { 0.5 + 0.5 * (PI * done).cos() } else { 1.0 };
        let rate = self.schedule.rate * fall;
        adam.begin();
        let learned = [
            (self.schedule.steps, 0, &mut network.log_steps, &sums.log_steps),
            (self.schedule.alphas, depth, &mut network.log_alphas, &sums.log_alphas),
        ];
        for (is_learned, first, parameters, derivatives) in learned {
            let into = &mut pass.gradient[first..first + layers];
            into.iter_mut().zip(derivatives).for_each(|(m, d)| *m += d);
            if is_learned {
                adam.descend(first, &mut parameters[..layers], derivatives, scale, rate);
            }
        }
        Ok(true)
    }

    /// The largest derivative by a learned parameter.
    fn largest(&self, gradient: &[f64], depth: usize) -> f64 {
        let (steps, alphas) = gradient.split_at(depth);
        let used = [(self.schedule.steps, steps), (self.schedule.alphas, alphas)];
        let used = used.into_iter().filter(|(is_learned, _)| *is_learned);
        used.flat_map(|(_, values)| values).fold(0.0, |most, x| most.max(x.abs()))
    }

    /// Measures what is returned: the plain network, if what was trained is no better.
    fn judge(
        &mut self,
        network: &mut Network,
        plain: &Network,
        ending: Ending,
    ) -> Result<Fitted, Error> {
        self.order.sort_unstable();
        let exact = self.objective.exact();
        let last = self.objective.narrowed(self.width(1.0));
        let mut mean = |network: &Network, objective, wants_gradient| {
            self.gradient.mean(&self.order, network, objective, wants_gradient, self.run)
        };
        // Without a hard threshold both are the same function.
        let is_smooth = exact == last;
        let mut found = mean(network, exact, is_smooth)?;
        let trained_loss = found.loss;
        // Where nothing was trained it is known.
        let is_known = network == plain && !trained_loss.is_nan();
        let plain_loss = if is_known { trained_loss } else { mean(plain, exact, false)?.loss };
        let gained = trained_loss <= plain_loss || plain_loss.is_nan();
        if !gained {
            network.clone_from(plain);
        }
        if !(gained && is_smooth) {
            found = mean(network, last, true)?;
        }
        let smooth = found;
        let gradient = [smooth.log_steps, smooth.log_alphas].concat();
        let stationarity = relative(self.largest(&gradient, network.depth()), smooth.loss);
        let ending = if !gained && ending == Ending::Finished { Ending::NoGain } else { ending };
        let loss = if gained { trained_loss } else { plain_loss };
        Ok(Fitted { ending, is_plain: !gained, loss, trained_loss, plain_loss, stationarity })
    }

    /// The width of the gate, relative to that asked for, where so much of a stage is done.
    fn width(&self, done: f64) -> f64 {
        if self.schedule.decays { 1.0 - (1.0 - NARROWEST) * done } else { 1.0 }
    }
}

/// Of a gradient, to a loss that may be 0.
fn relative(gradient: f64, loss: f64) -> f64 {
    if gradient == 0.0 { 0.0 } else { gradient / loss }
}
