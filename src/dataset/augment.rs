//! Dihedral transforms: the eight flips and quarter turns of an image.

/// Applies dihedral transform `which` to each channel of `(C, H, W)` in place: bit 0 flips left and right, bit 1 flips up
/// and down, then bit 2 transposes. The values 0 to 7 are the eight symmetries of the square; 0 is the identity.
///
/// # Panics
/// Bit 2 is set and `height` differs from `width`.
pub fn turn<T>(data: &mut [T], height: usize, width: usize, which: usize) {
    assert!(which & 4 == 0 || height == width, "{width}x{height} is not square and cannot be turned");
    for plane in data.chunks_exact_mut(height * width) {
        if which & 1 != 0 {
            plane.chunks_exact_mut(width).for_each(<[T]>::reverse);
        }
        if which & 2 != 0 {
            for y in 0..height / 2 {
                let (upper, lower) = plane.split_at_mut((height - 1 - y) * width);
                upper[y * width..(y + 1) * width].swap_with_slice(&mut lower[..width]);
            }
        }
        if which & 4 != 0 {
            for y in 1..height {
                for x in 0..y {
                    plane.swap(y * width + x, x * width + y);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(which: usize) -> Vec<f32> {
        let mut data = vec![1.0, 2.0, 3.0, 4.0];
        turn(&mut data, 2, 2, which);
        data
    }

    #[test]
    fn each_bit_does_what_it_says() {
        assert_eq!(turned(0), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(turned(1), [2.0, 1.0, 4.0, 3.0]);
        assert_eq!(turned(2), [3.0, 4.0, 1.0, 2.0]);
        assert_eq!(turned(4), [1.0, 3.0, 2.0, 4.0]);
    }

    #[test]
    fn all_eight_differ() {
        let mut all: Vec<_> = (0..8).map(|which| format!("{:?}", turned(which))).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 8);
    }

    #[test]
    fn channels_move_alike_and_odd_sizes_flip() {
        let mut data: Vec<f32> = (0..12).map(|i| i as f32).collect();
        turn(&mut data, 3, 2, 3);
        assert_eq!(data[..6], [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
        assert_eq!(data[6..], [11.0, 10.0, 9.0, 8.0, 7.0, 6.0]);
    }

    #[test]
    #[should_panic = "not square"]
    fn what_is_not_square_cannot_be_turned() {
        turn(&mut [0.0; 6], 3, 2, 4);
    }
}
