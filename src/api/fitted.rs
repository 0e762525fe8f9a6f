//! Denoising of one sample as a request asks for it: its traits, the choice of a model, its fit and the finish.

use std::sync::Arc;
use std::time::Duration;

use super::error::{Code, Problem};
use super::state::App;
use super::writing::About;
use crate::engine::{Done, Ticket};
use crate::infer::fit::{Choice, Finish, Fit, Traits, Wishes};
use crate::infer::{Options, Session};
use crate::sample::{Depth, Kind, Sample};

/// A request's wishes for each of its samples.
pub(super) struct Fitted<'a> {
    pub(super) app: &'a App,
    pub(super) ticket: &'a Ticket,
    /// The model that the request names.
    pub(super) named: Option<&'a Arc<Session>>,
    pub(super) options: Options,
    pub(super) wishes: Wishes,
    pub(super) depth: Depth,
}

impl Fitted<'_> {
    /// The clean sample, with what is said of it.
    ///
    /// # Errors
    /// No model can be chosen or it does not take the sample; no room.
    pub(super) async fn denoise(&self, sample: Sample) -> Result<Done<(Sample, About)>, Problem> {
        let (shape, sample) = (sample.shape(), Arc::new(sample));
        let seen = Arc::clone(&sample);
        let traits = self.ticket.convert(shape.numbers(), move || Traits::of(&seen)).await?;
        let (session, reason) = self.model(&sample, &traits).await?;
        let resampled = session.resampling(&sample).ok().flatten().map(|change| (change.from, change.to));
        let fit = Fit::of(&session, shape, &traits, self.options.mode);
        let finish = Finish::of(&sample, &traits, &self.options, self.wishes);
        let (clean, familiarity, queued, ran) = match (fit, finish) {
            (Fit::Whole, None) => {
                let sample = Arc::unwrap_or_clone(sample);
                let done = self.ticket.denoise(&session, sample, self.options, self.depth).await?;
                (done.value.sample, done.value.familiarity, done.queued, done.ran)
            }
            (fit, finish) => self.around(&session, sample, fit, finish).await?,
        };
        let sigmas = traits.sigmas(shape.kind());
        let is_image = shape.kind() == Kind::Image;
        let about = About {
            sigma: Some(sigmas.iter().sum::<f32>() / sigmas.len().max(1) as f32),
            sigmas,
            correlation: is_image.then_some(traits.grain.correlation),
            familiarity,
            resampled,
            reason,
            ..About::of(&session)
        };
        Ok(Done { value: (clean, about), queued, ran })
    }

    /// The named model, else the usual one with the reason for it.
    async fn model(
        &self,
        sample: &Sample,
        traits: &Traits,
    ) -> Result<(Arc<Session>, Option<String>), Problem> {
        if let Some(named) = self.named {
            return Ok((Arc::clone(named), None));
        }
        let Choice { model, reason } = self.app.choose(sample.shape(), traits, self.options.mode)?;
        Ok((self.app.session(&model).await?, Some(reason)))
    }

    /// The result where something is done before or after the model.
    async fn around(
        &self,
        session: &Arc<Session>,
        sample: Arc<Sample>,
        fit: Fit,
        finish: Option<Finish>,
    ) -> Result<(Sample, Option<f32>, Duration, Duration), Problem> {
        let shape = sample.shape();
        let (options, depth) = match &finish {
            Some(_) => Finish::ask(&self.options, self.depth),
            None => (self.options, self.depth),
        };
        let bytes = fit.bytes(shape, depth).saturating_add(shape.numbers().saturating_mul(2 * depth.bytes()));
        let whole = Arc::clone(&sample);
        let parts = self.ticket.convert(bytes, move || fit.split(&whole)).await?;
        let (mut results, mut familiarity) = (Vec::new(), Vec::new());
        let (mut queued, mut ran) = (Duration::ZERO, Duration::ZERO);
        for part in parts {
            let done = self.ticket.denoise(session, part, options, depth).await?;
            results.push(done.value.sample);
            familiarity.extend(done.value.familiarity);
            queued += done.queued;
            ran += done.ran;
        }
        let wanted = self.depth;
        let join = move || {
            let clean = fit.join(&sample, results);
            finish.map_or(clean.clone(), |finish| finish.apply(&sample, &clean, wanted))
        };
        let clean = self.ticket.convert(bytes, join).await?;
        let mean = familiarity.iter().sum::<f32>() / familiarity.len().max(1) as f32;
        Ok((clean, (!familiarity.is_empty()).then_some(mean), queued, ran))
    }
}

impl App {
    /// The model for an image that names none, else what [`App::default_model`] gives.
    ///
    /// # Errors
    /// None can be chosen.
    fn choose(
        &self,
        shape: crate::sample::Shape,
        traits: &Traits,
        mode: crate::infer::Mode,
    ) -> Result<Choice, Problem> {
        use crate::infer::fit::{Unsure, choose};
        match choose(self.registry(), &self.config().usual(), shape, traits, mode) {
            Ok(choice) => Ok(choice),
            Err(Unsure::Kind(shape)) => {
                let reason = format!("the only model for a {shape}");
                Ok(Choice { model: self.default_model(shape)?, reason })
            }
            Err(missing) => Err(Problem::new(Code::ModelNotFound, missing.to_string())),
        }
    }
}
