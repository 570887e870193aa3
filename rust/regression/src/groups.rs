//! Which columns form a group.

/// Disjoint groups that hold all columns.
#[derive(Clone, Debug)]
pub struct Groups {
    starts: Vec<u32>,
    columns: Vec<u32>,
}

impl Groups {
    /// Every column by itself.
    pub fn single(columns: usize) -> Groups {
        Groups { starts: (0..=columns as u32).collect(), columns: (0..columns as u32).collect() }
    }

    /// The groups of these sizes, of columns in this order.
    pub fn new(sizes: impl Iterator<Item = u32>, columns: Vec<u32>) -> Groups {
        let mut starts = vec![0];
        starts.extend(sizes.scan(0, |end, size| {
            *end += size;
            Some(*end)
        }));
        Groups { starts, columns }
    }

    /// The same with some of the columns: groups may be left without any.
    pub fn filtered(&self, keep: impl Fn(u32) -> bool) -> Groups {
        let kept = |g: usize| self.columns(g).iter().copied().filter(|j| keep(*j));
        let sizes = (0..self.len()).map(|g| kept(g).count() as u32);
        Groups::new(sizes, (0..self.len()).flat_map(kept).collect())
    }

    /// The number of groups.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The columns of a group.
    pub fn columns(&self, group: usize) -> &[u32] {
        &self.columns[self.starts[group] as usize..self.starts[group + 1] as usize]
    }
}
