//! The Python bindings of sparrot: convert views without copying, call, convert back.
//!
//! No mathematics here, and no validation beyond what memory safety needs: `python/sparrot`
//! validates before it calls, with messages for people. Every call runs detached from the
//! interpreter, inside [`guard::call`], which turns panics and errors into Python exceptions.

use pyo3::prelude::*;

mod arrays;
mod batch;
mod block_regression;
mod coding;
mod descent;
mod design;
mod graph;
mod guard;
mod ksparse;
mod least_squares;
mod moments;
mod observer;
mod path;
mod regression;
mod relatives;
mod router;
mod sketching;
mod softmax_regression;
mod special;
mod system;
mod transport;
mod unfolding;

/// The native part of sparrot. Private: import the public names from `sparrot`.
#[pymodule]
mod _sparrot {
    #[pymodule_export]
    use super::batch::{transport_batch_plans, transport_solve_batch};
    #[pymodule_export]
    use super::block_regression::block_regression_path;
    #[pymodule_export]
    use super::coding::{coding_encode, coding_prox, coding_solve};
    #[pymodule_export]
    use super::descent::descent_solve;
    #[pymodule_export]
    use super::graph::{
        ForestSweeps, graph_error_bounds, graph_forest_partition, graph_greedy_forest,
        graph_message_passing, graph_solve,
    };
    #[pymodule_export]
    use super::ksparse::{
        transport_ksparse_evaluate, transport_ksparse_plan, transport_ksparse_solve,
    };
    #[pymodule_export]
    use super::least_squares::{sketching_leverage, sketching_lstsq};
    #[pymodule_export]
    use super::moments::{
        sketching_corrected, sketching_finalize, sketching_look, sketching_looks_merged,
        sketching_merged, sketching_moments,
    };
    #[pymodule_export]
    use super::observer::StopFlag;
    #[pymodule_export]
    use super::regression::regression_path;
    #[pymodule_export]
    use super::relatives::{special_pull_back, special_sparsemax, special_stablemax, special_topk};
    #[pymodule_export]
    use super::router::transport_route;
    #[pymodule_export]
    use super::sketching::sketching_sketch;
    #[pymodule_export]
    use super::softmax_regression::sketching_softmax_regression;
    #[pymodule_export]
    use super::special::{
        special_finalize, special_merge, special_normalise, special_run, special_softmax,
    };
    #[pymodule_export]
    use super::system::{
        get_num_threads, panic_for_test, set_num_threads, simd_level, simd_levels, version,
    };
    #[pymodule_export]
    use super::transport::{
        transport_apply, transport_map, transport_plan, transport_round, transport_solve,
        transport_sparse_plan, transport_survey,
    };
    #[pymodule_export]
    use super::unfolding::{unfolding_gradient, unfolding_train, unfolding_transform};
}
