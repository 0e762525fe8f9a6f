//! Index: named vectors, searched exactly for the nearest ones, and kept as a checksummed file.

mod file;
#[cfg(test)]
mod tests;

use serde::Serialize;
use utoipa::ToSchema;

/// Largest size of an index, in bytes of its vectors.
pub const MOST_BYTES: usize = 256 << 20;
/// Longest name of a vector, in characters.
const LONGEST_NAME: usize = 200;
/// Number of sums that a distance is computed in, so that they fill the lanes of the processor.
const LANES: usize = 16;

/// Named vectors of one length, made by the weights of one SHA-256.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
    digest: [u8; 32],
    /// Count of numbers of a vector.
    numbers: usize,
    /// Vectors, one after the other.
    data: Vec<f32>,
    names: Vec<String>,
}

/// Vector that was found.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Neighbor {
    /// Name of the sample.
    #[schema(example = "digits/0007")]
    pub name: String,
    /// Its place in the index, from 0.
    #[schema(example = 7)]
    pub position: usize,
    /// Euclidean distance of the vectors.
    #[schema(example = 1.25)]
    pub distance: f32,
}

/// Error of an index.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A vector has another length than those there are.
    #[error("a vector of {got} numbers among vectors of {expected}")]
    Numbers {
        /// Length of the vectors of the index.
        expected: usize,
        /// Length of the vector.
        got: usize,
    },
    /// The index is full.
    #[error("an index takes {MOST_BYTES} bytes of vectors, with these it would have {0}")]
    Full(usize),
    /// The index belongs to other weights.
    #[error("the index was made by weights of SHA-256 {made}, these have {asked}")]
    Digest {
        /// Digest in the index.
        made: String,
        /// Digest of the weights that ask.
        asked: String,
    },
    /// The file is damaged.
    #[error("the file of the index is damaged: {0}; remove it and put the samples again")]
    Damaged(String),
}

impl Index {
    /// Creates an empty index for vectors of `numbers` numbers, made by weights of this SHA-256; with 0 the first vector decides.
    pub fn new(digest: [u8; 32], numbers: usize) -> Self {
        Self { digest, numbers, data: Vec::new(), names: Vec::new() }
    }

    /// Returns the count of numbers of a vector; 0 before the first.
    pub fn numbers(&self) -> usize {
        self.numbers
    }

    /// Returns the number of vectors.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Returns `true` if there are no vectors.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the size in memory, in bytes.
    pub fn bytes(&self) -> usize {
        let names: usize = self.names.iter().map(|name| name.len() + size_of::<String>()).sum();
        self.data.len() * size_of::<f32>() + names
    }

    /// Checks that it was made by the weights of this SHA-256.
    ///
    /// # Errors
    /// [`Error::Digest`].
    pub fn check(&self, digest: [u8; 32]) -> Result<(), Error> {
        let hex = |digest: [u8; 32]| crate::hex::hex(digest);
        match self.digest == digest {
            true => Ok(()),
            false => Err(Error::Digest { made: hex(self.digest), asked: hex(digest) }),
        }
    }

    /// Adds a vector; its name is cut to 200 characters.
    ///
    /// # Errors
    /// The vector has another length, or the index is full.
    pub fn add(&mut self, name: &str, vector: &[f32]) -> Result<(), Error> {
        let expected = if self.numbers == 0 { vector.len() } else { self.numbers };
        if vector.len() != expected || vector.is_empty() {
            return Err(Error::Numbers { expected, got: vector.len() });
        }
        self.numbers = expected;
        let bytes = (self.data.len() + vector.len()).saturating_mul(size_of::<f32>());
        if bytes > MOST_BYTES {
            return Err(Error::Full(bytes));
        }
        self.data.extend_from_slice(vector);
        self.names.push(name.chars().take(LONGEST_NAME).collect());
        Ok(())
    }

    /// Adds all vectors of another index.
    ///
    /// # Errors
    /// It is of other weights, its vectors have another length, or both do not fit into one index.
    pub fn append(&mut self, other: &Index) -> Result<(), Error> {
        self.check(other.digest)?;
        let vectors = other.data.chunks_exact(other.numbers.max(1));
        other.names.iter().zip(vectors).try_for_each(|(name, vector)| self.add(name, vector))
    }

    /// Returns the `k` vectors nearest to `query`, the nearest first; among equally near ones the one that was added first. All are
    /// compared: the result is exact.
    ///
    /// # Errors
    /// The query has another length.
    pub fn nearest(&self, query: &[f32], k: usize) -> Result<Vec<Neighbor>, Error> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        if query.len() != self.numbers {
            return Err(Error::Numbers { expected: self.numbers, got: query.len() });
        }
        let k = k.min(self.len());
        let mut best: Vec<(f32, usize)> = Vec::with_capacity(k + 1);
        for (at, vector) in self.data.chunks_exact(self.numbers).enumerate() {
            let far = squared(query, vector);
            if best.len() < k || best.last().is_some_and(|(most, _)| far < *most) {
                let place = best.partition_point(|(other, _)| *other <= far);
                best.insert(place, (far, at));
                best.truncate(k);
            }
        }
        let neighbor = |(far, position): (f32, usize)| Neighbor {
            name: self.names[position].clone(),
            position,
            distance: far.sqrt(),
        };
        Ok(best.into_iter().map(neighbor).collect())
    }
}

/// Returns the squared distance of two vectors, summed in lanes: many times faster than in order, and as exact.
fn squared(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            let apart = a[lane] - b[lane];
            sums[lane] += apart * apart;
        }
    }
    let rest: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| (a - b) * (a - b)).sum();
    sums.iter().sum::<f32>() + rest
}
