//! A listing of jobs that is read page by page: memory is flat for any number of rows.

use crate::domain::{Job, JobId};

use super::{Filter, Store, StoreError};

/// The pages of a listing, by number. A job that comes to match meanwhile is seen if its number was not passed yet.
pub struct Pages<'a> {
    store: &'a dyn Store,
    filter: Filter,
    limit: usize,
    after: JobId,
}

impl<'a> Pages<'a> {
    /// Begins with the lowest number. A page has at most `limit` jobs.
    #[must_use]
    pub fn of(store: &'a dyn Store, filter: Filter, limit: usize) -> Self {
        Self { store, filter, limit, after: JobId(0) }
    }

    /// The next page, which is never empty; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<Job>>, StoreError> {
        let jobs = self.store.jobs(self.filter.clone(), self.after, self.limit).await?;
        let Some(last) = jobs.last() else { return Ok(None) };
        self.after = last.id;
        Ok(Some(jobs))
    }
}
