//! A job as the rules define it, without a database.

use std::ops::Range;

use domain::{Command, Effect, JobStatus};

/// The observable state of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    pub status: JobStatus,
    pub run: u32,
    pub is_planned: bool,
    /// The numbers of the committed chunks, in ascending order.
    pub committed: Vec<u32>,
    /// The kind and attempt of each event, oldest first.
    pub events: Vec<(String, u32)>,
    pub is_deleted: bool,
}

/// An atomic change of a job.
#[derive(Debug, Clone)]
pub enum Change {
    Command(Command),
    Delete,
    /// Begins an attempt.
    Begin(u32),
    Plan(u32),
    Commit(u32, Range<u32>),
    Complete(u32),
    /// Plans, commits and completes a small file.
    CompleteSmall(u32),
    Fail(u32),
}

/// Consecutive changes, which may interleave with others.
#[derive(Debug, Clone)]
pub struct Sequence {
    pub changes: Vec<Change>,
    /// Whether the sequence may end before all changes have happened.
    pub may_break_off: bool,
}

impl Model {
    pub fn uploaded() -> Self {
        Self {
            status: JobStatus::Pending,
            run: 0,
            is_planned: false,
            committed: Vec::new(),
            events: Vec::new(),
            is_deleted: false,
        }
    }

    pub fn deleted() -> Self {
        Self {
            is_deleted: true,
            ..Self::uploaded()
        }
    }

    /// Returns the states that these sequences can lead to, however they interleave.
    pub fn after(&self, sequences: &[Sequence], chunks: u32) -> Vec<Self> {
        let mut reached = Vec::new();
        self.explore(
            &mut vec![0; sequences.len()],
            sequences,
            chunks,
            &mut reached,
        );
        reached
    }

    fn explore(
        &self,
        at: &mut [usize],
        sequences: &[Sequence],
        chunks: u32,
        reached: &mut Vec<Self>,
    ) {
        let may_end = sequences
            .iter()
            .zip(at.iter())
            .all(|(sequence, at)| sequence.may_break_off || *at == sequence.changes.len());
        if may_end && !reached.contains(self) {
            reached.push(self.clone());
        }
        for (index, sequence) in sequences.iter().enumerate() {
            let Some(change) = sequence.changes.get(at[index]) else {
                continue;
            };
            let mut next = self.clone();
            next.apply(change, chunks);
            at[index] += 1;
            next.explore(at, sequences, chunks, reached);
            at[index] -= 1;
        }
    }

    fn apply(&mut self, change: &Change, chunks: u32) {
        let is_current =
            |run: u32| !self.is_deleted && self.run == run && self.status == JobStatus::Processing;
        match change {
            _ if self.is_deleted => {}
            Change::Delete => *self = Self::deleted(),
            Change::Command(command) => match command.effect_on(self.status) {
                Ok(Effect::Change(JobStatus::Processing)) => self.begin(self.run + 1),
                Ok(Effect::Change(status)) => {
                    self.events.push((status.to_string(), self.run));
                    self.status = status;
                    self.run += 1;
                }
                Ok(Effect::Nothing) | Err(_) => {}
            },
            Change::Begin(run) => self.begin(*run),
            Change::Plan(run) if is_current(*run) => self.is_planned = true,
            Change::Commit(run, numbers) if is_current(*run) && self.is_planned => {
                self.committed.extend(numbers.clone());
                self.committed.sort_unstable();
                self.committed.dedup();
            }
            Change::Complete(run)
                if is_current(*run)
                    && self.is_planned
                    && self.committed.len() == chunks as usize =>
            {
                self.end(JobStatus::Completed);
            }
            Change::CompleteSmall(run) if is_current(*run) && !self.is_planned => {
                self.is_planned = true;
                self.committed = (0..chunks).collect();
                self.end(JobStatus::Completed);
            }
            Change::Fail(run) if is_current(*run) => self.end(JobStatus::Failed),
            _ => {}
        }
    }

    fn begin(&mut self, run: u32) {
        let kind = match self.status {
            JobStatus::Pending => "started",
            JobStatus::Paused => "resumed",
            JobStatus::Failed | JobStatus::Cancelled => "retried",
            JobStatus::Processing | JobStatus::Completed => return,
        };
        if run != self.run + 1 {
            return;
        }
        if self.status != JobStatus::Paused {
            self.is_planned = false;
            self.committed.clear();
        }
        self.status = JobStatus::Processing;
        self.run = run;
        self.events.push((kind.to_owned(), run));
    }

    fn end(&mut self, status: JobStatus) {
        self.status = status;
        self.events.push((status.to_string(), self.run));
    }
}
