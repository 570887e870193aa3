//! Whether forbidden edges leave any plan at all.
//!
//! By Hall's theorem (as max-flow min-cut gives it for weights) there is a plan if and only if no set
//! of rows has more weight than all the columns that its edges lead to. Where there is such a set
//! the dual is unbounded: Sinkhorn and Newton raise the potentials of those rows for ever, and lower
//! those of the columns. So after a solve that got nowhere the set is among those of the rows with
//! the largest potentials, or is all rows that lead to none of the columns with the largest.
//!
//! A set that is found proves that there is no plan; that none is found proves nothing.
//!
//! **Cost.** One read of the costs, for all such sets at once: a column is reached by the k first rows
//! if the first row that reaches it is one of them.

use sparrot_foundation::{Error, Stop};
use sparrot_simd::reduce;

use crate::problem::Problem;

/// A set has too much weight by at least this share of the mass: weights that differ by less are
/// taken for equal elsewhere, too, as those are that were computed in single precision.
const TOO_MUCH: f64 = 1e-8;

/// Points named in a message.
const NAMED: usize = 5;

/// Whether what the potentials tell rules out every plan.
///
/// # Errors
/// [`Error::Infeasible`] if so, [`Error::Interrupted`].
pub fn check(
    problem: &Problem<'_>,
    phi: &[f64],
    psi: &[f64],
    stop: &Stop<'_>,
) -> Result<(), Error> {
    if problem.cost.can_be_thinned() {
        return Ok(()); // between points no edge is forbidden
    }
    let (by_phi, by_psi) = (descending(phi, problem.a), descending(psi, problem.b));
    // The rank of the first row that reaches a column, and of the first column that a row reaches.
    let mut reached_by = vec![usize::MAX; psi.len()];
    let mut reaches = vec![usize::MAX; phi.len()];
    let mut row = vec![0.0; psi.len()];
    let mut are_all_reached = false;
    for (rank, i) in by_phi.iter().enumerate() {
        stop.poll()?;
        problem.scaled_row(*i, &mut row);
        if are_all_reached && reduce::max(&row) < f64::INFINITY {
            reaches[*i] = 0;
            continue;
        }
        are_all_reached = true;
        for (column_rank, j) in by_psi.iter().enumerate() {
            if row[*j] < f64::INFINITY {
                reached_by[*j] = reached_by[*j].min(rank);
                reaches[*i] = reaches[*i].min(column_rank);
            }
            are_all_reached &= reached_by[*j] <= rank;
        }
    }
    let [rows, columns] = problem.sides;
    let least = TOO_MUCH * problem.mass();
    let found = worst(&by_phi, problem.a, &reached_by, problem.b, least)
        .map(|set| (rows, columns, set, &by_phi))
        .or_else(|| {
            worst(&by_psi, problem.b, &reaches, problem.a, least)
                .map(|set| (columns, rows, set, &by_psi))
        });
    match found {
        Some((side, other, set, order)) => Err(set.describe(side, other, order, problem.mass())),
        None => Ok(()),
    }
}

/// The points with weight, largest potential first.
fn descending(potentials: &[f64], weights: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..weights.len()).filter(|i| weights[*i] > 0.0).collect();
    order.sort_by(|i, j| potentials[*j].total_cmp(&potentials[*i]));
    order
}

/// The first points of an order, with more weight than those that they reach.
struct TooMuch {
    count: usize,
    weight: f64,
    room: f64,
}

/// Of the sets of first points the one with the most weight too much, among those that do not reach
/// all others. `reached_by` is the rank of the first point that reaches each of the others.
fn worst(
    order: &[usize],
    weights: &[f64],
    reached_by: &[usize],
    rooms: &[f64],
    least: f64,
) -> Option<TooMuch> {
    let mut room_at = vec![0.0; order.len()];
    // The rank of the first point with which all others are reached: a set up to that has the whole
    // mass to go to.
    let mut all_at = 0;
    for (rank, room) in reached_by.iter().zip(rooms).filter(|(_, room)| **room > 0.0) {
        all_at = all_at.max(*rank);
        if *rank < order.len() {
            room_at[*rank] += room;
        }
    }
    let (mut weight, mut room) = (0.0, 0.0);
    let mut worst: Option<TooMuch> = None;
    for (rank, i) in order.iter().enumerate().take_while(|(rank, _)| *rank < all_at) {
        weight += weights[*i];
        room += room_at[rank];
        if weight - room > worst.as_ref().map_or(least, |set| set.weight - set.room) {
            worst = Some(TooMuch { count: rank + 1, weight, room });
        }
    }
    worst
}

impl TooMuch {
    fn describe(&self, side: &str, other: &str, order: &[usize], mass: f64) -> Error {
        let mut set = order[..self.count].to_vec();
        set.sort_unstable();
        let named: Vec<String> = set.iter().take(NAMED).map(usize::to_string).collect();
        let rest = if set.len() > NAMED {
            format!(" and {} more", set.len() - NAMED)
        } else {
            String::new()
        };
        // As shares: the solver may have been given the weights scaled.
        let [held, room] = [self.weight, self.room].map(|weight| weight / mass);
        Error::Infeasible(format!(
            "{side}s {} ({held:.10} of the mass) can only go to {other}s that take {room:.10} of it, the \
             other edges being forbidden: no plan can do that. Allow more edges, change the weights, \
             or let marginals be missed at a price (unbalanced transport)",
            named.join(", ") + &rest,
        ))
    }
}
