//! What a network is, and what it is trained for.

use crate::training::{Loss, Shrinkage};

/// The nonlinearity of the layers, and the loss of what comes out of the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// See above.
    pub shrinkage: Shrinkage,
    /// See above.
    pub loss: Loss,
}

impl Objective {
    /// As the network is used: without what makes it smooth.
    pub fn exact(self) -> Objective {
        Objective { shrinkage: self.shrinkage.exact(), loss: self.loss.exact() }
    }

    /// With a gate of another width.
    pub fn narrowed(self, factor: f64) -> Objective {
        Objective { shrinkage: self.shrinkage.narrowed(factor), ..self }
    }
}
