//! A gateway for tests that answers as it is told, in order, and remembers what it was asked.
//!
//! It has no time and no memory of tasks: what happens at a remote is the simulator's to play.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::{BoxFuture, FutureExt, pending, ready};
use tokio::sync::Notify;

use super::{Accepted, Capabilities, Gateway, Listed, Observed, Order, Probe, Submitted};
use crate::domain::{ClientRef, Observation, Progress, TaskId};

/// What a scripted gateway was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// For a task under this reference.
    Submit(ClientRef),
    /// For the task of this reference.
    Find(ClientRef),
    /// For this task.
    Observe(TaskId),
    /// For these tasks at once.
    Many(Vec<TaskId>),
    /// For this page.
    List(u32),
}

/// A scripted answer.
#[derive(Debug, Clone)]
pub enum Line<T> {
    /// This, at once.
    Says(T),
    /// This, once that is told.
    When(Arc<Notify>, T),
    /// Nothing, ever.
    Hangs,
}

/// Answers as it is told; what it was not told, it answers like a quiet remote: every order is accepted (as `task-1`,
/// `task-2`, …), every known id is pending, no reference is known, and the list is empty.
#[derive(Debug, Default)]
pub struct ScriptedGateway {
    capabilities: Capabilities,
    script: Mutex<Script>,
}

#[derive(Debug, Default)]
struct Script {
    submit: VecDeque<Line<Submitted>>,
    find: VecDeque<Line<Observed>>,
    observe: VecDeque<Line<Observed>>,
    list: VecDeque<Line<Listed>>,
    many: VecDeque<Line<Listed>>,
    asked: Vec<Asked>,
    accepted: u32,
}

impl ScriptedGateway {
    /// A gateway that can do `capabilities`, with an empty script.
    #[must_use]
    pub fn new(capabilities: Capabilities) -> Self {
        Self { capabilities, script: Mutex::default() }
    }

    /// The next submission not told of yet is answered with `submitted`.
    #[must_use]
    pub fn submit_says(self, submitted: Submitted) -> Self {
        self.script().submit.push_back(Line::Says(submitted));
        self
    }

    /// The next submission not told of yet is answered with `submitted` once `told` is.
    #[must_use]
    pub fn submit_says_when(self, told: &Arc<Notify>, submitted: Submitted) -> Self {
        self.script().submit.push_back(Line::When(Arc::clone(told), submitted));
        self
    }

    /// The next submission not told of yet is never answered.
    #[must_use]
    pub fn submit_hangs(self) -> Self {
        self.script().submit.push_back(Line::Hangs);
        self
    }

    /// The next look-up not told of yet is answered with `observed`.
    #[must_use]
    pub fn find_says(self, observed: Observed) -> Self {
        self.script().find.push_back(Line::Says(observed));
        self
    }

    /// The next question for a task not told of yet is answered with `observed`.
    #[must_use]
    pub fn observe_says(self, observed: Observed) -> Self {
        self.script().observe.push_back(Line::Says(observed));
        self
    }

    /// The next question for a page not told of yet is answered with `listed`.
    #[must_use]
    pub fn list_says(self, listed: Listed) -> Self {
        self.script().list.push_back(Line::Says(listed));
        self
    }

    /// The next question for several tasks not told of yet is answered with `listed`.
    #[must_use]
    pub fn many_says(self, listed: Listed) -> Self {
        self.script().many.push_back(Line::Says(listed));
        self
    }

    /// All that was asked, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.script().asked.clone()
    }

    /// How many requests for a task were sent.
    #[must_use]
    pub fn submissions(&self) -> usize {
        self.script().asked.iter().filter(|asked| matches!(asked, Asked::Submit(_))).count()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that is seen as pending, succeeded or failed.
#[must_use]
pub fn seen(task: &TaskId, client_ref: Option<&ClientRef>, progress: Progress) -> Observed {
    Observed::Seen(Observation {
        task: task.clone(),
        client_ref: client_ref.cloned(),
        progress,
        took: None,
        units: None,
        created_at: None,
    })
}

impl Gateway for ScriptedGateway {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn submit<'a>(&'a self, order: Order<'a>) -> BoxFuture<'a, Submitted> {
        // Like a real one: nothing is asked before the future runs.
        async move {
            let line = {
                let mut script = self.script();
                script.asked.push(Asked::Submit(order.client_ref.clone()));
                script.submit.pop_front().unwrap_or_else(|| {
                    script.accepted += 1;
                    let task = TaskId::new(format!("task-{}", script.accepted)).expect("it is valid");
                    Line::Says(Submitted::Accepted(Accepted::plain(task)))
                })
            };
            play(line).await
        }
        .boxed()
    }

    fn find<'a>(&'a self, client_ref: &'a ClientRef) -> BoxFuture<'a, Observed> {
        async move {
            let line = {
                let mut script = self.script();
                script.asked.push(Asked::Find(client_ref.clone()));
                script.find.pop_front().unwrap_or(Line::Says(Observed::NotVisible))
            };
            play(line).await
        }
        .boxed()
    }

    fn observe<'a>(&'a self, about: super::Asked<'a>) -> BoxFuture<'a, Observed> {
        let task = about.task;
        async move {
            let line = {
                let mut script = self.script();
                script.asked.push(Asked::Observe(task.clone()));
                let quiet = || seen(task, None, Progress::Pending { status: "processing".into() });
                script.observe.pop_front().unwrap_or_else(|| Line::Says(quiet()))
            };
            play(line).await
        }
        .boxed()
    }

    fn observe_many<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Listed> {
        async move {
            let line = {
                let mut script = self.script();
                script.asked.push(Asked::Many(tasks.to_vec()));
                let nothing = Listed::Unclear { words: "not told".into(), retry_after: None };
                script.many.pop_front().unwrap_or(Line::Says(nothing))
            };
            play(line).await
        }
        .boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<Probe, String>> {
        ready(Ok(Probe { took: std::time::Duration::ZERO, ahead: None, observed: Observed::NotVisible })).boxed()
    }

    fn list(&self, page: u32, _size: u32) -> BoxFuture<'_, Listed> {
        async move {
            let line = {
                let mut script = self.script();
                script.asked.push(Asked::List(page));
                script.list.pop_front().unwrap_or(Line::Says(Listed::Page(Vec::new())))
            };
            play(line).await
        }
        .boxed()
    }
}

fn play<T: Send + 'static>(line: Line<T>) -> BoxFuture<'static, T> {
    match line {
        Line::Says(answer) => ready(answer).boxed(),
        Line::When(told, answer) => async move {
            told.notified().await;
            answer
        }
        .boxed(),
        Line::Hangs => pending().boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Doubt, Effect, ImageSource, Images};

    #[test]
    fn it_follows_its_script_and_then_is_a_quiet_remote() {
        let gateway = ScriptedGateway::new(Capabilities::default())
            .submit_says(Submitted::InDoubt(Doubt::TimedOut))
            .submit_hangs();
        let images = Images::One(ImageSource::Url("https://h/a.jpg".into()));
        let effect = Effect { scene: "s".into(), images, duration: None, model: None, mode: None };
        let client_ref = ClientRef::new("nr-1-a1").unwrap();
        let order = Order { effect: &effect, pictures: &[], client_ref: &client_ref, callback_url: None };
        drop(gateway.submit(order));
        assert_eq!(gateway.submissions(), 0, "a future that never ran asked for something");
        assert_eq!(gateway.submit(order).now_or_never(), Some(Submitted::InDoubt(Doubt::TimedOut)));
        assert_eq!(gateway.submit(order).now_or_never(), None);
        let task = TaskId::new("task-1").unwrap();
        assert_eq!(gateway.submit(order).now_or_never(), Some(Submitted::Accepted(Accepted::plain(task))));
        assert_eq!(gateway.find(&client_ref).now_or_never(), Some(Observed::NotVisible));
        assert_eq!(gateway.submissions(), 3);
        assert_eq!(gateway.asked().last(), Some(&Asked::Find(client_ref)));
    }
}
