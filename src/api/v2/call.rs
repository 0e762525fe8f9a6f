//! Call: the work of an inference, by the same steps as `/denoise`, `/encode` and `/decode`.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::input::Input;
use super::model::{Model, Part};
use super::parameters::Parameters;
use super::reply::{Reply, Results, check_alike};
use super::request::Asked;
use super::tensor::{Output, Tensor};
use crate::api::caller::Caller;
use crate::api::clock::Times;
use crate::api::decode::maker;
use crate::api::error::{Code, Problem};
use crate::api::extract::{self, Source};
use crate::api::fitted::Fitted;
use crate::api::reading::{Group, read_latent};
use crate::api::state::App;
use crate::codec::{self, Axes, Depth, Format, Order};
use crate::engine::{Held, Ticket};
use crate::infer::Session;
use crate::limits::Limits;
use crate::media::Reading;
use crate::sample::{Kind, Sample, Shape};

/// A request on its way through the model.
pub(super) struct Call<'a> {
    pub(super) app: &'a App,
    pub(super) ticket: &'a Ticket,
    pub(super) caller: Caller,
    pub(super) model: Model,
    pub(super) times: Times,
    /// Bytes of memory of its JSON.
    pub(super) tree: usize,
    /// Held memory of the request: its body, and then its samples.
    pub(super) held: Vec<Held>,
}

impl Call<'_> {
    /// Computes the outputs that are asked for.
    ///
    /// # Errors
    /// The input cannot be read or does not fit the model; no room.
    pub(super) async fn compute(self, asked: Asked) -> Result<(Reply, Times), Problem> {
        match self.model.part {
            Part::Whole => self.denoise(asked).await,
            Part::Decoder => self.decode(asked).await,
        }
    }

    async fn denoise(mut self, asked: Asked) -> Result<(Reply, Times), Problem> {
        let Asked { id, parameters, input, outputs } = asked;
        let session = self.app.session(&self.model.stated).await?;
        let samples = self.samples(&session, input, &parameters).await?;
        let is_asked = |output| outputs.iter().any(|(other, _)| *other == output);
        if is_asked(Output::Denoised) {
            check_alike(samples.iter().map(Sample::shape))?;
        }
        let mut files = Vec::new();
        if is_asked(Output::Latent) {
            for sample in &samples {
                files.push(self.latent(&session, sample.clone(), &parameters).await?);
            }
        }
        let mut clean = Vec::new();
        if is_asked(Output::Denoised) {
            clean = self.clean(&session, samples, &parameters).await?;
        }
        let results = outputs.into_iter().map(|(output, is_binary)| match output {
            Output::Denoised => (output, is_binary, Results::Samples(std::mem::take(&mut clean))),
            Output::Latent => (output, is_binary, Results::Files(std::mem::take(&mut files))),
        });
        let (model, version, results) = (self.model.name(), session.id().version, results.collect());
        Ok((Reply { model, version, id, results }, self.times))
    }

    async fn decode(mut self, asked: Asked) -> Result<(Reply, Times), Problem> {
        let Asked { id, input, outputs, .. } = asked;
        let latents = self.read(input, read_latent, |(.., latent)| 4 * latent.numbers()).await?;
        self.charge(latents.iter().map(|(.., latent)| latent.shape));
        check_alike(latents.iter().map(|(.., latent)| latent.shape))?;
        let version = latents.first().map_or(self.model.version, |(_, made_by, _)| made_by.version);
        let mut clean = Vec::with_capacity(latents.len());
        for (_, made_by, latent) in latents {
            let session = maker(self.app, Some(&self.model.stated), &made_by).await?;
            let done = self.ticket.decode(&session, latent, Depth::F32).await?;
            clean.push(self.times.take(done));
        }
        let is_binary = outputs.iter().any(|(_, is_binary)| *is_binary);
        let results = vec![(Output::Denoised, is_binary, Results::Samples(clean))];
        Ok((Reply { model: self.model.name(), version, id, results }, self.times))
    }

    /// Reads the samples of the input; each file holds one.
    async fn samples(
        &mut self,
        session: &Arc<Session>,
        input: Input,
        parameters: &Parameters,
    ) -> Result<Vec<Sample>, Problem> {
        let (spec, tensor) = (session.input().clone(), self.model.part.input(session.input()));
        let gaps = parameters.gaps();
        let one = move |part: extract::Part, limits: &Limits| {
            let is_file = matches!(part.source, Source::File(..));
            // A file says the order of its axes itself.
            let order = (!is_file).then(|| order_of(spec.kind));
            let pointer = part.pointer.clone();
            let group = Group::read(part, &Reading { spec: Some(&spec), gaps, order }, limits)?;
            if is_file {
                check_file(&group, &tensor).map_err(|problem| problem.under(&pointer))?;
            }
            Ok(group)
        };
        let groups = self.read(input, one, Group::bytes).await?;
        self.charge(groups.iter().flat_map(|group| &group.samples).map(Sample::shape));
        Ok(groups.into_iter().flat_map(|group| group.samples).collect())
    }

    /// Reads each part of the input by `one`, into so many `bytes`.
    async fn read<T: Send + 'static>(
        &mut self,
        input: Input,
        one: impl Fn(extract::Part, &Limits) -> Result<T, Problem> + Send + 'static,
        bytes: impl Fn(&T) -> usize,
    ) -> Result<Vec<T>, Problem> {
        let (limits, is_latent) = (self.app.limits().clone(), self.model.part == Part::Decoder);
        let of = limits.clone();
        let divide = input.bytes_to_divide(self.tree);
        let parts = self.ticket.convert(divide, move || input.parts(is_latent, &of)).await??;
        let to_read = parts.iter().map(|part| part.bytes_to_read(&limits)).sum::<Result<usize, _>>()?;
        let read = move || parts.into_iter().map(|part| one(part, &limits)).collect::<Result<Vec<_>, _>>();
        let all = self.ticket.convert(to_read, read).await??;
        self.held = vec![self.ticket.count(all.iter().map(bytes).sum())];
        self.times.lap("read");
        Ok(all)
    }

    fn charge(&self, shapes: impl Iterator<Item = Shape>) {
        self.caller.charge_numbers(shapes.map(Shape::numbers).fold(0, usize::saturating_add));
    }

    /// The latent file of a sample.
    async fn latent(
        &mut self,
        session: &Arc<Session>,
        sample: Sample,
        parameters: &Parameters,
    ) -> Result<Vec<u8>, Problem> {
        let ratio = parameters.denoise().options().ratio;
        let done = self.ticket.encode(session, sample, ratio).await?;
        let (id, latent) = (session.id().clone(), self.times.take(done));
        let bytes = latent.numbers().saturating_mul(size_of::<f32>());
        Ok(self.ticket.convert(bytes, move || codec::write_latent(&id, &latent)).await?)
    }

    /// The clean samples, as `/denoise` computes them.
    async fn clean(
        &mut self,
        session: &Arc<Session>,
        samples: Vec<Sample>,
        parameters: &Parameters,
    ) -> Result<Vec<Sample>, Problem> {
        let denoise = parameters.denoise();
        let fitted = Fitted {
            app: self.app,
            ticket: self.ticket,
            named: Some(session),
            options: denoise.options(),
            wishes: denoise.wishes(),
            depth: Depth::F32,
        };
        // All at once: small ones go through the model together.
        let all = try_join_all(samples.into_iter().map(|sample| fitted.denoise(sample))).await?;
        Ok(all.into_iter().map(|done| self.times.take(done).0).collect())
    }
}

/// Order of the axes of a tensor.
fn order_of(kind: Kind) -> Order {
    let axes = match kind {
        Kind::Image => Axes::Chw,
        Kind::Signal => Axes::Cl,
        Kind::Vector => Axes::D,
    };
    Order { batched: true, axes }
}

/// Checks that a file holds one sample that a tensor can hold.
fn check_file(group: &Group, tensor: &Tensor) -> Result<(), Problem> {
    let [sample] = group.samples.as_slice() else {
        let detail = format!("the file holds {} samples; send one a file", group.samples.len());
        return Err(Problem::new(Code::ShapeMismatch, detail));
    };
    let dims = [vec![1], sample.shape().dims()].concat();
    tensor.check_shape(&dims)?;
    Ok(group.carrier.check(&group.samples, Format::Raw, Some(Depth::F32))?)
}
