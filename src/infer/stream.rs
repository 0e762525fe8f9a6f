//! Stream: a signal without a known end, denoised block by block, with bounded memory.
//!
//! Blocks have a fixed length and position, so that the result does not depend on how the signal is divided into chunks, and
//! each is computed with as many steps around it as the network sees: the result equals that of the whole signal with the
//! same statistics, bit for bit. A step is returned once its block and the steps that it depends on have arrived
//! ([`SignalStream::latency`]).

use std::sync::Arc;

use super::scale::Scale;
use super::{Error, Mode, Options, Result, Session};
use crate::nn::model::Normalize;
use crate::sample::{Kind, Moments, Sample, Shape, Stats, gaps};

/// Number of steps of a block.
const BLOCK: usize = 512;

/// Alignment of the steps around a block, in strides of the network.
const ALIGN: usize = 4;

/// Number of steps that statistics are taken from, if they are not given.
pub const WINDOW: usize = 4096;

/// Largest number of steps of a gap: no step after its beginning is certain before its end.
const LONGEST_GAP: usize = 1 << 16;

/// Steps that have become certain.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Index of the first step.
    pub start: usize,
    /// Denoised numbers of each channel; NaN where one is missing in the input and missing numbers are kept.
    pub channels: Vec<Vec<f32>>,
}

/// A signal that is denoised while it arrives.
#[derive(Debug)]
pub struct SignalStream {
    session: Arc<Session>,
    options: Options,
    keeps_gaps: bool,
    /// Statistics of all channels, or of each; `None` until there are enough steps to take them from.
    scale: Option<Scale>,
    window: usize,
    /// Steps of each channel from index `base` on.
    channels: Vec<Vec<f32>>,
    is_missing: Vec<Vec<bool>>,
    base: usize,
    /// Index after the last step of each channel that is known or filled in, and the least of them.
    filled: Vec<usize>,
    settled: usize,
    /// Index of the first step that was not returned yet.
    done: usize,
}

impl SignalStream {
    /// Starts a stream for a model of signals. `stats` are the mean and deviation of all channels together, or of each
    /// channel, as the model normalises them; without, they are taken from the first `window` steps.
    ///
    /// # Errors
    /// The model does not take signals, an option does not fit it, or the statistics are too many or not positive.
    pub fn new(
        session: Arc<Session>,
        options: Options,
        stats: Option<Vec<Stats>>,
        window: usize,
        keeps_gaps: bool,
    ) -> Result<Self> {
        let input = session.input();
        let count = input.channels;
        if input.kind != Kind::Signal {
            let reason = format!("model {} takes {}s; only signals are streamed", session.id(), input.kind);
            return Err(Error::Parameter { name: "model", reason });
        }
        if !(1..=1 << 20).contains(&window) {
            let reason = format!("expected 1..={}, got {window}", 1 << 20);
            return Err(Error::Parameter { name: "window", reason });
        }
        session.turns(&options)?;
        session.keep(Shape::Signal { channels: count, length: BLOCK }, options.ratio)?;
        let scale = match (&session.manifest().model.normalize, stats) {
            (Normalize::Fixed(own), None) => Some(Scale::all(*own)),
            (Normalize::Fixed(_) | Normalize::Columns(_), _) => {
                let reason = format!("model {} has statistics of its own; leave them out", session.id());
                return Err(Error::Parameter { name: "stats", reason });
            }
            (_, None) => None,
            (normalize, Some(stats)) => {
                let expected = normalize.kept(count);
                let is_good =
                    |stats: &Stats| stats.mean.is_finite() && stats.std.is_finite() && stats.std > 0.0;
                if stats.len() != expected || !stats.iter().all(is_good) {
                    let reason =
                        format!("expected {expected} of a mean and a deviation above 0, got {stats:?}");
                    return Err(Error::Parameter { name: "stats", reason });
                }
                Some(if *normalize == Normalize::Channel {
                    Scale::channels(stats)
                } else {
                    Scale::all(stats[0])
                })
            }
        };
        let (channels, is_missing) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        let (base, filled, settled, done) = (0, vec![0; count], 0, 0);
        Ok(Self {
            session,
            options,
            keeps_gaps,
            scale,
            window,
            channels,
            is_missing,
            base,
            filled,
            settled,
            done,
        })
    }

    /// Model of the stream.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Largest number of steps between a step and the last one that must have arrived before it is returned, once there are
    /// statistics.
    pub fn latency(&self) -> usize {
        BLOCK - 1 + self.ahead()
    }

    /// Number of steps that the network sees on either side.
    pub fn reach(&self) -> usize {
        let Some(sizes) = self.session.manifest().model.scales() else { return 0 };
        let reach = sizes.reach();
        reach.encoder + reach.decoder
    }

    /// Statistics of the stream: those given, or those taken from its first steps.
    pub fn stats(&self) -> Option<Vec<Stats>> {
        self.scale.as_ref().map(Scale::stats)
    }

    /// Maximum memory of a call with chunks of `steps` steps, in bytes.
    pub fn bytes(&self, steps: usize) -> usize {
        let outer = BLOCK + 2 * self.ahead();
        let shape = Shape::Signal { channels: self.channels.len(), length: outer };
        let held =
            (self.window + outer + LONGEST_GAP + 2 * steps) * self.channels.len() * 2 * size_of::<f32>();
        self.session.working_bytes(shape).saturating_add(held)
    }

    /// Adds a chunk, one list of numbers for each channel, in which numbers that are not finite are missing. Returns the
    /// steps that have become certain.
    ///
    /// # Errors
    /// The channels are not those of the model, or differ in length; a gap is too long; [`Error::Range`].
    pub fn push(&mut self, chunk: &[Vec<f32>]) -> Result<Option<Piece>> {
        let length = chunk.first().map_or(0, Vec::len);
        if chunk.len() != self.channels.len() || chunk.iter().any(|channel| channel.len() != length) {
            let shape = Shape::Signal { channels: chunk.len(), length };
            let expected = format!("chunks of {} channel(s) of one length", self.channels.len());
            return Err(Error::Shape { model: self.session.id().clone(), expected, got: shape });
        }
        for ((channel, is_missing), new) in self.channels.iter_mut().zip(&mut self.is_missing).zip(chunk) {
            channel.extend_from_slice(new);
            is_missing.extend(new.iter().map(|v| !v.is_finite()));
        }
        self.settle(false)?;
        self.take(false)
    }

    /// Ends the signal and returns the remaining steps.
    ///
    /// # Errors
    /// A channel has no number at all; [`Error::Range`].
    pub fn finish(mut self) -> Result<Option<Piece>> {
        self.settle(true)?;
        self.take(true)
    }

    /// Number of steps after a block that must be there, in whole strides.
    fn ahead(&self) -> usize {
        self.reach().next_multiple_of(ALIGN * self.session.manifest().model.stride())
    }

    /// Index after the last step that has arrived.
    fn end(&self) -> usize {
        self.base + self.channels[0].len()
    }

    /// Fills in gaps that have ended, and takes statistics as soon as there are enough steps.
    fn settle(&mut self, is_last: bool) -> Result<()> {
        let end = self.end();
        for (c, (channel, is_missing)) in self.channels.iter_mut().zip(&self.is_missing).enumerate() {
            // A gap ends with the next number in its channel.
            let known = is_missing.iter().rposition(|m| !m).map_or(0, |last| self.base + last + 1);
            let to = if is_last { end } else { known };
            if is_last && known == 0 && self.filled[c] == 0 {
                let reason = format!("channel {c} (counted from 0) holds no number: all are missing");
                return Err(Error::Parameter { name: "data", reason });
            }
            if to <= self.filled[c] {
                continue;
            }
            // From the last number before the gap, which may be of an earlier chunk.
            let from = self.filled[c].saturating_sub(1).max(self.base) - self.base;
            let part = from..to - self.base;
            if is_missing[part.clone()].contains(&true) {
                let mut marks = is_missing[part.clone()].to_vec();
                marks[0] &= self.filled[c] == 0;
                gaps::fill(&mut channel[part.clone()], line(part.len()), &marks);
            }
            self.filled[c] = to;
        }
        let settled = self.filled.iter().copied().min().unwrap_or(0);
        if end - settled > LONGEST_GAP {
            let reason = format!(
                "a channel lacks its numbers from step {settled} on, more than {LONGEST_GAP} of them"
            );
            return Err(Error::Parameter { name: "data", reason });
        }
        self.settled = settled;
        if self.scale.is_none() && (settled >= self.window || is_last && settled > 0) {
            let moments = |(channel, is_missing): (&Vec<f32>, &Vec<bool>)| {
                let count = self.window.min(channel.len());
                (channel[..count].to_vec(), is_missing[..count].to_vec())
            };
            let first: Vec<(Vec<f32>, Vec<bool>)> =
                self.channels.iter().zip(&self.is_missing).map(moments).collect();
            self.scale = Some(match self.session.manifest().model.normalize {
                Normalize::Channel => {
                    Scale::channels(first.iter().map(|(v, m)| gaps::moments_without(v, m).of_one()).collect())
                }
                _ => {
                    let (numbers, missing): (Vec<_>, Vec<_>) = first.into_iter().unzip();
                    let moments: Moments = gaps::moments_without(&numbers.concat(), &missing.concat());
                    Scale::all(moments.into())
                }
            });
        }
        Ok(())
    }

    /// Computes all blocks that are certain.
    fn take(&mut self, is_last: bool) -> Result<Option<Piece>> {
        let Some(scale) = self.scale.clone() else { return Ok(None) };
        let start = self.done;
        let mut channels: Vec<Vec<f32>> = vec![Vec::new(); self.channels.len()];
        loop {
            let end = (self.done + BLOCK).min(self.settled);
            let is_certain = self.done + BLOCK + self.ahead() <= self.settled;
            if end <= self.done || !is_certain && !is_last {
                break;
            }
            let block = self.block(self.done..end, &scale)?;
            channels.iter_mut().zip(block).for_each(|(all, own)| all.extend(own));
            self.done = end;
            self.forget();
        }
        Ok((self.done > start).then_some(Piece { start, channels }))
    }

    /// Computes the steps of a block.
    fn block(&self, core: std::ops::Range<usize>, scale: &Scale) -> Result<Vec<Vec<f32>>> {
        let align = ALIGN * self.session.manifest().model.stride();
        let first = core.start.saturating_sub(self.reach()) / align * align;
        let last = (core.start + BLOCK + self.ahead()).min(self.settled);
        let part = first - self.base..last - self.base;
        let data: Vec<f32> =
            self.channels.iter().flat_map(|channel| &channel[part.clone()]).copied().collect();
        let shape = Shape::Signal { channels: self.channels.len(), length: last - first };
        let out_of_range = |_| Error::Range { model: self.session.id().clone() };
        let sample = Sample::new(shape, data).map_err(out_of_range)?;
        let result = self.session.denoise_scaled(&sample, &self.options, scale)?;
        let own = core.start - first..core.end - first;
        let mut channels: Vec<Vec<f32>> =
            result.chunks_exact(last - first).map(|channel| channel[own.clone()].to_vec()).collect();
        if self.keeps_gaps {
            let place = core.start - self.base;
            for (channel, is_missing) in channels.iter_mut().zip(&self.is_missing) {
                let missing = channel.iter_mut().zip(&is_missing[place..]).filter(|(_, m)| **m);
                missing.for_each(|(v, _)| *v = f32::NAN);
            }
        }
        Ok(channels)
    }

    /// Drops steps that no later block depends on.
    fn forget(&mut self) {
        let align = ALIGN * self.session.manifest().model.stride();
        // One step more, from which a gap continues.
        let needed = self.done.saturating_sub(self.reach()).saturating_sub(1) / align * align;
        let count = needed.saturating_sub(self.base);
        if count > 0 {
            self.channels.iter_mut().for_each(|channel| drop(channel.drain(..count)));
            self.is_missing.iter_mut().for_each(|is_missing| drop(is_missing.drain(..count)));
            self.base = needed;
        }
    }
}

impl Session {
    /// Denoises a signal in one piece with given statistics.
    ///
    /// # Errors
    /// As [`Session::denoise`].
    pub fn denoise_scaled(&self, sample: &Sample, options: &Options, scale: &Scale) -> Result<Vec<f32>> {
        let keep = self.keep(sample.shape(), options.ratio)?;
        debug_assert!(options.ensemble == 1 || options.mode == Mode::Full);
        self.pass_scaled(sample, options, keep, scale)
    }
}

fn line(length: usize) -> Shape {
    Shape::Signal { channels: 1, length }
}
