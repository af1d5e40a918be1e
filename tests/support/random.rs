//! Random choices that are the same for the same seed.

/// SplitMix64.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    /// One stream for each pair.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut r = Self(seed ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03));
        r.bits();
        r
    }

    /// The seed of this run: fixed, unless `HAVENLINT_KERNEL_SEED` gives another.
    pub fn seed() -> u64 {
        std::env::var("HAVENLINT_KERNEL_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_081)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `n` − 1.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// From `lo` to `hi`, both included.
    pub fn between(&mut self, lo: u128, hi: u128) -> u128 {
        let wide = u128::from(self.bits()) << 64 | u128::from(self.bits());
        match (hi - lo).checked_add(1) {
            Some(n) => lo + wide % n,
            None => wide,
        }
    }

    /// True in `percent` of all cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// One of several, by weight.
    pub fn weighted<'a, T>(&mut self, list: &'a [(usize, T)]) -> &'a T {
        let mut at = self.below(list.iter().map(|(w, _)| w).sum());
        for (weight, item) in list {
            if at < *weight {
                return item;
            }
            at -= weight;
        }
        &list[0].1
    }

    /// `n` different ones (or all), in their order.
    pub fn some<T: Clone>(&mut self, list: &[T], n: usize) -> Vec<T> {
        let mut left: Vec<usize> = (0..list.len()).collect();
        while left.len() > n {
            left.remove(self.below(left.len()));
        }
        left.into_iter().map(|i| list[i].clone()).collect()
    }

    /// `!` in `percent` of all cases, with a blank behind it.
    pub fn not(&mut self, percent: usize) -> &'static str {
        if self.chance(percent) { "! " } else { "" }
    }
}
