//! Pooled latents: one vector for each latent of a model, whatever the size of its sample.

use crate::sample::{Latent, Plane};

/// Returns a latent as one vector: the numbers of a latent that is a vector, else mean and standard deviation of each channel over
/// all positions. Equally long for all latents of one model, of all channels.
pub fn pooled(latent: &Latent) -> Vec<f32> {
    latent.planes.iter().flat_map(of_plane).collect()
}

fn of_plane(plane: &Plane) -> Vec<f32> {
    if plane.dims.len() == 1 {
        return plane.data.clone();
    }
    let positions = plane.dims[1..].iter().product::<usize>().max(1);
    plane.data.chunks_exact(positions).flat_map(moments).collect()
}

fn moments(channel: &[f32]) -> [f32; 2] {
    let n = channel.len() as f64;
    let mean = channel.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let variance = channel.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
    [mean as f32, variance.sqrt() as f32]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Shape;

    fn latent(planes: Vec<Plane>) -> Latent {
        Latent { shape: Shape::Vector { features: 9 }, stats: Vec::new(), planes }
    }

    #[test]
    fn a_vector_stays_and_maps_become_mean_and_deviation() {
        let vector = Plane { dims: vec![3], data: vec![1.0, -2.0, 5.0] };
        assert_eq!(pooled(&latent(vec![vector])), [1.0, -2.0, 5.0]);
        let map = Plane { dims: vec![2, 1, 4], data: vec![1.0, 3.0, 1.0, 3.0, 7.0, 7.0, 7.0, 7.0] };
        let signal = Plane { dims: vec![1, 2], data: vec![0.0, -4.0] };
        assert_eq!(pooled(&latent(vec![map, signal])), [2.0, 1.0, 7.0, 0.0, -2.0, 2.0]);
    }
}
