//! The readers: a few threads, each with its own connection. In WAL mode they neither wait for the writer nor hold it
//! up, and each question sees every commit that was answered before it was asked.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::schema::{self, OpenError};
use crate::ReadError;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// Questions that may wait before askers have to.
const QUEUE: usize = 1024;

#[derive(Debug)]
pub(super) struct Readers {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    pub(super) fn start(path: &Path) -> Result<Self, OpenError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let count = thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8));
        let threads = (0..count)
            .map(|number| {
                let connection = schema::open_reader(path)?;
                let queue = Arc::clone(&queue);
                thread::Builder::new()
                    .name(format!("store-read-{number}"))
                    .spawn(move || serve(&connection, &queue))
                    .map_err(|source| OpenError::Io { path: path.to_owned(), source })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), threads: Mutex::new(threads) })
    }

    /// Answers one question.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        let closed = || ReadError::Unavailable("it is closed".to_owned());
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            if !reply.is_closed() {
                // Fails when the asker went away meanwhile.
                let _ = reply.send(question(connection));
            }
        });
        jobs.send(job).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?.map_err(|error| ReadError::Unavailable(error.to_string()))
    }

    /// Answers what has been asked and ends the threads. Blocks until then.
    pub(super) fn stop(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // A reader that panicked has told its asker by dropping the reply.
            let _ = thread.join();
        }
    }
}

fn serve(connection: &Connection, queue: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        // One thread waits for the next job, holding the lock; the others wait for the lock.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match job {
            Some(job) => job(connection),
            None => return,
        }
    }
}
