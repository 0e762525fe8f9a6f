//! Steps that the operations share: reading a request up to its samples, and writing the reply.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;

use super::body::{Received, counted};
use super::caller::Caller;
use super::clock::{Deadline, Times};
use super::error::Problem;
use super::extract::{Content, Form, Part, check_count};
use super::fields;
use super::negotiate::Accept;
use super::observe::RequestId;
use super::params::Params;
use super::reading::Group;
use super::state::App;
use super::writing::{About, Output, Style};
use crate::engine::{Held, Ticket};
use crate::infer::Session;
use crate::limits::Limits;
use crate::media::Reading;
use crate::sample::{Kind, Sample, Shape};

/// A request of an operation, taken apart, its samples still in their bytes.
pub(super) struct Call<P> {
    pub(super) times: Times,
    pub(super) accept: Accept,
    pub(super) params: P,
    pub(super) form: Form,
    pub(super) parts: Vec<Part>,
    /// The right to have work done for it.
    pub(super) ticket: Ticket,
    caller: Caller,
    /// Bytes of the parts beside the body.
    part_bytes: usize,
    /// Held memory of the request: its body and its parts, and then its samples.
    held: Vec<Held>,
}

impl<P: Params> Call<P> {
    /// Reads a request with the files and the parameters of `P`.
    ///
    /// # Errors
    /// The body is too large, too slow, empty, or not of a form that is read.
    pub(super) async fn receive(app: &App, request: Request) -> Result<Self, Problem> {
        let times = Times::start();
        let accept = Accept::of(request.headers());
        let caller = Caller::of(&request);
        let deadline = request.extensions().get::<Deadline>().map(|deadline| deadline.0);
        let mut received = Received::read(app, request).await?;
        let ticket = app.engine().admit(deadline)?;
        let mut held: Vec<Held> = received.held.take().into_iter().collect();
        let content = Content::extract::<P>(app, &ticket, received).await?;
        let Content { form, fields, parts, bytes } = content;
        held.push(ticket.count(bytes));
        let params: P = fields::read(&fields)?;
        params.check()?;
        Ok(Self { times, accept, params, form, parts, ticket, caller, part_bytes: bytes, held })
    }

    /// The model that was named, if one was.
    ///
    /// # Errors
    /// It is not there.
    pub(super) async fn named_model(&self, app: &App) -> Result<Option<Arc<Session>>, Problem> {
        match self.params.model() {
            Some(reference) => Ok(Some(app.session(reference).await?)),
            None => Ok(None),
        }
    }

    /// Reads the samples of all parts.
    ///
    /// # Errors
    /// The first part that cannot be read; more samples than the limit.
    pub(super) async fn samples(
        &mut self,
        app: &App,
        model: Option<&Arc<Session>>,
    ) -> Result<Vec<Group>, Problem> {
        let spec = model.map(|session| session.input().clone());
        let reading = self.params.reading();
        let read = move |part, limits: &Limits| {
            Group::read(part, &Reading { spec: spec.as_ref(), ..reading }, limits)
        };
        let groups = self.read(app, read, Group::bytes).await?;
        self.charge(groups.iter().flat_map(|group| &group.samples).map(Sample::shape));
        // The question which model is meant comes before that of too many rows.
        let open = groups.iter().filter(|_| model.is_none()).map(|group| group.samples[0].shape());
        let mut open = open.filter(|shape| shape.kind() != Kind::Image);
        open.try_for_each(|shape| app.model_to_denoise(shape).map(|_| ()))?;
        check_count(groups.iter().map(|group| group.samples.len()).sum(), app.limits())?;
        Ok(groups)
    }

    /// Counts samples of these shapes for the caller.
    pub(super) fn charge(&self, shapes: impl Iterator<Item = Shape>) {
        self.caller.charge_numbers(shapes.map(Shape::numbers).fold(0, usize::saturating_add));
    }

    /// Reads all parts, each into so many `bytes`.
    ///
    /// # Errors
    /// The first part that cannot be read.
    pub(super) async fn read<T: Send + 'static>(
        &mut self,
        app: &App,
        one: impl Fn(Part, &Limits) -> Result<T, Problem> + Send + 'static,
        bytes: impl Fn(&T) -> usize,
    ) -> Result<Vec<T>, Problem> {
        let parts = std::mem::take(&mut self.parts);
        let length = parts.iter().map(Part::len).sum();
        let limits = app.limits().clone();
        let measure = {
            let limits = limits.clone();
            move || {
                let each = parts.iter().map(|part| part.bytes_to_read(&limits));
                each.sum::<Result<usize, _>>().map(|bytes| (bytes, parts))
            }
        };
        let (to_read, parts) = self.ticket.examine(length, measure).await??;
        let to_read = to_read.saturating_add(self.part_bytes);
        self.held.extend(self.ticket.hold_samples(to_read)?);
        let read = move || parts.into_iter().map(|part| one(part, &limits)).collect::<Result<Vec<_>, _>>();
        let all = self.ticket.convert(to_read, read).await??;
        self.held = vec![self.ticket.count(all.iter().map(bytes).sum())];
        self.times.lap("read");
        Ok(all)
    }
}

/// The model for a sample of `shape`: the named one, else that of its kind.
///
/// # Errors
/// No model is named and none can be chosen.
pub(super) async fn model_for(
    app: &App,
    named: Option<&Arc<Session>>,
    shape: Shape,
) -> Result<Arc<Session>, Problem> {
    match named {
        Some(session) => Ok(Arc::clone(session)),
        None => app.session(&app.default_model(shape)?).await,
    }
}

impl About {
    /// Facts about a sample before it is computed.
    pub(super) fn of(session: &Session) -> Self {
        Self { model: session.id().to_string(), ..Self::default() }
    }
}

/// Writes the reply.
///
/// # Errors
/// A result cannot be held by the format.
pub(super) async fn respond(
    ticket: &Ticket,
    style: Style,
    outputs: Vec<Output>,
    RequestId(id): RequestId,
    times: Times,
) -> Result<Response, Problem> {
    let bytes = style.bytes_to_write(&outputs);
    let (headers, file) = ticket.convert(bytes, move || style.write(outputs, &id, times)).await??;
    let held = ticket.count(file.len());
    let mut response = Response::new(counted(file, held));
    *response.headers_mut() = headers;
    Ok(response)
}
