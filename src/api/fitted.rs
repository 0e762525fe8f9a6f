//! Denoising of one sample as a request asks for it: its traits, the choice of a model, its fit and the finish.

use std::sync::Arc;
use std::time::Duration;

use super::error::{Code, Problem};
use super::state::App;
use super::writing::About;
use crate::engine::{Done, Ticket};
use crate::infer::fit::{
    self, Choice, Finish, Fit, PageNote, Paged, Traits, Wishes, ask_of_page, bytes_of_page, refused_for_page,
    takes_pages,
};
use crate::infer::{Mode, NoiseLevel, Options, PredictOptions, Prediction, Probe, Session};
use crate::quality::residual_correlation;
use crate::sample::{Depth, Kind, Sample};

/// A result, its familiarity, and the times of its work.
type Computed = (Sample, Option<f32>, Duration, Duration);

/// A request's wishes for each of its samples.
pub(super) struct Fitted<'a> {
    pub(super) app: &'a App,
    pub(super) ticket: &'a Ticket,
    /// The model that the request names.
    pub(super) named: Option<&'a Arc<Session>>,
    pub(super) options: Options,
    pub(super) wishes: Wishes,
    pub(super) depth: Depth,
    /// Prediction of the quality of each result, if one is asked for.
    pub(super) predict: Option<PredictOptions>,
}

impl Fitted<'_> {
    /// The clean sample, with what is said of it.
    ///
    /// # Errors
    /// No model can be chosen or it does not take the sample; no room.
    pub(super) async fn denoise(&self, sample: Sample) -> Result<Done<(Sample, About)>, Problem> {
        let (shape, sample) = (sample.shape(), Arc::new(sample));
        let seen = Arc::clone(&sample);
        let is_wanted = self.options.mode == Mode::Full
            && self.named.is_none_or(|named| takes_pages(named, shape, self.options.mode));
        let look = move || Traits::of(&seen).with_page(&seen, is_wanted);
        let traits = self.ticket.convert(shape.numbers(), look).await?;
        let (session, reason) = self.model(&sample, &traits).await?;
        let resampled = session.resampling(&sample).ok().flatten().map(|change| (change.from, change.to));
        let fit = Fit::of(&session, shape, &traits, self.options.mode);
        let finish = Finish::of(&session, &sample, &traits, &self.options, self.wishes);
        let is_page = takes_pages(&session, shape, self.options.mode) && traits.page.is_some();
        let level = self
            .predict
            .map(|asked| NoiseLevel::for_result(&traits, shape.kind(), (self.wishes, is_page), asked));
        let seen = level.is_some().then(|| Arc::clone(&sample));
        let (mut page, mut prediction) = (None, None);
        if let Some(Err(reason)) = &level {
            prediction = Some(reason.clone().into());
        }
        let (clean, familiarity, queued, ran) = match (fit, finish) {
            _ if is_page => {
                if let Some((name, reason)) = refused_for_page(self.wishes) {
                    return Err(Problem::invalid_at(format!("/{name}"), format!("{name} {reason}")));
                }
                let (done, note) = self.page(&session, Arc::clone(&sample), &traits).await?;
                page = Some(note);
                done
            }
            (Fit::Whole, None) if level.is_none() => {
                let sample = Arc::unwrap_or_clone(sample);
                let done = self.ticket.denoise(&session, sample, self.options, self.depth).await?;
                (done.value.sample, done.value.familiarity, done.queued, done.ran)
            }
            (fit, finish) => {
                let level = level.and_then(Result::ok);
                let (done, predicted) = self.around(&session, sample, (fit, finish), level).await?;
                prediction = predicted.or(prediction);
                done
            }
        };
        let (clean, residual_correlation) = match seen {
            Some(seen) => self.residual(seen, clean).await?,
            None => (clean, None),
        };
        let missing = clean.missing_count();
        let sigmas = traits.sigmas(shape.kind());
        let is_image = shape.kind() == Kind::Image;
        let about = About {
            sigma: Some(sigmas.iter().sum::<f32>() / sigmas.len().max(1) as f32),
            sigmas,
            correlation: is_image.then_some(traits.grain.correlation),
            familiarity,
            prediction,
            residual_correlation,
            resampled,
            missing,
            reason,
            page,
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

    /// The result of a page, and what became of it.
    async fn page(
        &self,
        session: &Arc<Session>,
        sample: Arc<Sample>,
        traits: &Traits,
    ) -> Result<(Computed, PageNote), Problem> {
        let bytes = bytes_of_page(sample.shape(), self.depth);
        let prepare = {
            let (session, sample, traits) = (Arc::clone(session), Arc::clone(&sample), traits.clone());
            let mode = self.options.mode;
            move || fit::page(&session, &sample, &traits, mode)
        };
        let passage = match self.ticket.convert(bytes, prepare).await? {
            Some(Paged::Passes(passage)) => passage,
            Some(Paged::Stays(reason)) => {
                let unchanged = (Arc::unwrap_or_clone(sample), None, Duration::ZERO, Duration::ZERO);
                return Ok((unchanged, reason.into()));
            }
            None => return Err(Problem::new(Code::ShapeMismatch, "the model takes no such page")),
        };
        let options = ask_of_page(&self.options);
        let done = self.ticket.denoise(session, passage.input(), options, Depth::F32).await?;
        let (queued, ran, denoised) = (done.queued, done.ran, done.value);
        let (strength, depth) = (self.options.strength, self.depth);
        let restore = move || {
            let (page, report) = passage.restore(&sample, &denoised.sample, strength, depth);
            (page.with_gaps_of(&sample), report)
        };
        let (clean, report) = self.ticket.convert(bytes, restore).await?;
        Ok(((clean, denoised.familiarity, queued, ran), report.into()))
    }

    /// The result where something is done before or after the model, or its quality is predicted for this noise.
    async fn around(
        &self,
        session: &Arc<Session>,
        sample: Arc<Sample>,
        (fit, finish): (Fit, Option<Finish>),
        level: Option<NoiseLevel>,
    ) -> Result<(Computed, Option<Prediction>), Problem> {
        let shape = sample.shape();
        let (options, depth) = match &finish {
            Some(_) => Finish::ask(&self.options, self.depth),
            None => (self.options, self.depth),
        };
        let bytes = fit.bytes(shape, depth).saturating_add(shape.numbers().saturating_mul(2 * depth.bytes()));
        let whole = Arc::clone(&sample);
        let parts: Vec<Arc<Sample>> = match fit {
            Fit::Whole => vec![whole],
            fit => {
                let split = move || fit.split(&whole).into_iter().map(Arc::new).collect();
                self.ticket.convert(bytes, split).await?
            }
        };
        // The model takes a copy of what is read again.
        let _held = self.ticket.hold(sample.shape().numbers().saturating_mul(sample.depth().bytes()))?;
        let (mut results, mut familiarity, mut responses) = (Vec::new(), Vec::new(), Vec::new());
        let (mut queued, mut ran) = (Duration::ZERO, Duration::ZERO);
        for part in parts {
            let seen = level.is_some().then(|| Arc::clone(&part));
            let done = self.ticket.denoise(session, Arc::unwrap_or_clone(part), options, depth).await?;
            familiarity.extend(done.value.familiarity);
            queued += done.queued;
            ran += done.ran;
            let result = Arc::new(done.value.sample);
            if let (Some(level), Some(part)) = (level, seen) {
                let (probe, result) = (Probe::of_noise(level.sigma()), Arc::clone(&result));
                let done = self.ticket.respond(session, part, result, options, probe).await?;
                responses.push(done.value);
                queued += done.queued;
                ran += done.ran;
            }
            results.push(Arc::unwrap_or_clone(result));
        }
        let prediction =
            level.map(|level| level.judge(session, &responses, self.options.strength, finish.is_some()));
        let wanted = self.depth;
        let join = move || {
            let clean = fit.join(&sample, results);
            let done = finish.map_or(clean.clone(), |finish| finish.apply(&sample, &clean, wanted));
            done.with_gaps_of(&sample)
        };
        let clean = self.ticket.convert(bytes, join).await?;
        let mean = familiarity.iter().sum::<f32>() / familiarity.len().max(1) as f32;
        Ok(((clean, (!familiarity.is_empty()).then_some(mean), queued, ran), prediction))
    }

    /// The result again, with the correlation of what was removed.
    async fn residual(&self, sample: Arc<Sample>, clean: Sample) -> Result<(Sample, Option<f32>), Problem> {
        // A few rows of memory, and time as for the conversion of so many bytes.
        let time = sample.shape().numbers();
        let work = move || {
            let correlation = residual_correlation(&sample, &clean);
            (clean, correlation)
        };
        Ok(self.ticket.convert(time, work).await?)
    }
}

impl App {
    /// The model for an image that names none, else what [`App::default_model`] gives.
    ///
    /// # Errors
    /// None can be chosen.
    fn choose(&self, shape: crate::sample::Shape, traits: &Traits, mode: Mode) -> Result<Choice, Problem> {
        use crate::infer::fit::{Unsure, choose};
        match choose(self.registry(), &self.config().usual(), shape, traits, mode) {
            Ok(choice) => Ok(choice),
            Err(Unsure::Kind(shape)) => {
                let model = match mode {
                    Mode::Full => self.model_to_denoise(shape)?,
                    Mode::Strict => self.default_model(shape)?,
                };
                Ok(Choice { model, reason: format!("the usual model for a {}", shape.kind()) })
            }
            Err(missing) => Err(Problem::new(Code::ModelNotFound, missing.to_string())),
        }
    }
}
