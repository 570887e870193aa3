//! Disjoint sets, by union by size with path halving: O(alpha(n)) a step.

/// A partition of `0..n` into sets, each with a representative.
#[derive(Clone, Debug)]
pub struct UnionFind {
    parents: Vec<u32>,
    sizes: Vec<u32>,
}

impl UnionFind {
    /// Every element for itself.
    pub fn new(n: usize) -> UnionFind {
        UnionFind { parents: (0..n as u32).collect(), sizes: vec![1; n] }
    }

    /// The representative of the set of an element.
    pub fn find(&mut self, element: u32) -> u32 {
        let mut x = element;
        while self.parents[x as usize] != x {
            let grandparent = self.parents[self.parents[x as usize] as usize];
            self.parents[x as usize] = grandparent;
            x = grandparent;
        }
        x
    }

    /// Joins the sets of two elements.
    pub fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return;
        }
        let is_smaller = self.sizes[a as usize] < self.sizes[b as usize];
        let (root, child) = if is_smaller { (b, a) } else { (a, b) };
        self.parents[child as usize] = root;
        self.sizes[root as usize] += self.sizes[child as usize];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_are_transitive() {
        let mut sets = UnionFind::new(6);
        sets.join(0, 1);
        sets.join(2, 3);
        assert_ne!(sets.find(0), sets.find(3));
        sets.join(1, 3);
        assert_eq!(sets.find(0), sets.find(2));
        sets.join(0, 2);
        assert_ne!(sets.find(4), sets.find(0));
        assert_ne!(sets.find(4), sets.find(5));
    }
}
