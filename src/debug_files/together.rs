//! [`Together`]: questions that come while the rows are being asked wait for each other and are asked at once. A storm
//! of debuggers so costs the database a few questions, and every answer is of a look that began after its question came:
//! nothing is remembered, so nothing is ever out of date.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, watch};

/// Looks that may be under way at a time. With one alone a slow look would hold up everybody.
const AT_A_TIME: usize = 2;

/// Most questions of one look.
const MOST: usize = 500;

/// Brings questions together. A clone brings them together with the same others.
#[derive(Clone)]
pub(super) struct Together<Q, A> {
    waiting: Arc<Mutex<Option<Waiting<Q, A>>>>,
    turns: Arc<Semaphore>,
}

/// Answers by question, once they are there.
type Answers<Q, A> = Option<Arc<HashMap<Q, A>>>;

/// Questions that will be asked at the next turn.
struct Waiting<Q, A> {
    questions: HashSet<Q>,
    answers: watch::Receiver<Answers<Q, A>>,
}

/// What falls to somebody with a question.
enum Part<Q, A> {
    /// To ask for all that wait by then.
    Ask(watch::Sender<Answers<Q, A>>),
    /// To wait for somebody who asks.
    Wait(watch::Receiver<Answers<Q, A>>),
}

impl<Q: Clone + Eq + Hash, A: Clone> Together<Q, A> {
    /// Nobody waits yet.
    pub fn new() -> Self {
        Self { waiting: Arc::default(), turns: Arc::new(Semaphore::new(AT_A_TIME)) }
    }

    /// The answer to `question`. `find` answers as many questions as it is given, each of them.
    pub async fn ask<E, L>(&self, question: Q, find: impl Fn(Vec<Q>) -> L) -> Result<A, E>
    where
        L: Future<Output = Result<HashMap<Q, A>, E>>,
    {
        let answers = match self.part_of(&question) {
            Part::Ask(sender) => {
                // No turn is to be had of a semaphore that is closed, which this one never is.
                let _turn = self.turns.acquire().await.ok();
                let answers = Arc::new(find(self.close(&sender, &question)).await?);
                sender.send_replace(Some(Arc::clone(&answers)));
                Some(answers)
            }
            Part::Wait(mut answers) => match answers.wait_for(Option::is_some).await {
                Ok(answers) => answers.clone(),
                Err(_) => None,
            },
        };
        if let Some(answer) = answers.and_then(|answers| answers.get(&question).cloned()) {
            return Ok(answer);
        }
        // Whoever was to ask failed or went away; what became of that question is no answer to this one.
        let mut own = find(vec![question.clone()]).await?;
        Ok(own.remove(&question).expect("each question has an answer"))
    }

    /// Joins those who wait, or is the first of them.
    fn part_of(&self, question: &Q) -> Part<Q, A> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(others) = &mut *waiting
            && others.questions.len() < MOST
            && others.answers.has_changed().is_ok()
        {
            others.questions.insert(question.clone());
            return Part::Wait(others.answers.clone());
        }
        let (sender, answers) = watch::channel(None);
        *waiting = Some(Waiting { questions: HashSet::from([question.clone()]), answers });
        Part::Ask(sender)
    }

    /// The questions that wait for `sender`; whoever comes from now on waits for the next turn.
    fn close(&self, sender: &watch::Sender<Answers<Q, A>>, own: &Q) -> Vec<Q> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = waiting.take_if(|waiting| sender.subscribe().same_channel(&waiting.answers));
        ours.map_or_else(|| vec![own.clone()], |ours| ours.questions.into_iter().collect())
    }
}

impl<Q, A> fmt::Debug for Together<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Together")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn questions_that_wait_are_asked_at_once_and_each_has_its_answer() {
        let together = Together::new();
        let (looks, go) = (AtomicUsize::new(0), Semaphore::new(0));
        let ask = |question: usize| {
            together.ask(question, async |questions: Vec<usize>| {
                looks.fetch_add(1, Ordering::Relaxed);
                let _go = go.acquire().await.map_err(drop)?;
                Ok::<_, ()>(questions.into_iter().map(|question| (question, question * 2)).collect())
            })
        };
        let all = join_all((0..100).map(|number| ask(number % 10)));
        let release = async {
            tokio::task::yield_now().await;
            go.add_permits(1);
        };
        let (answers, ()) = tokio::join!(all, release);
        let expected: Vec<_> = (0..100).map(|number| Ok(number % 10 * 2)).collect();
        assert_eq!(answers, expected);
        assert!(looks.into_inner() <= AT_A_TIME + 1);
    }

    #[tokio::test]
    async fn no_answer_is_of_a_look_that_began_before_its_question() {
        let together = Together::new();
        let (truth, begun, go) = (AtomicUsize::new(1), Notify::new(), Notify::new());
        let slow = together.ask("x", async |_| {
            let seen = truth.load(Ordering::Relaxed);
            begun.notify_one();
            go.notified().await;
            Ok::<_, ()>(HashMap::from([("x", seen)]))
        });
        let later = async {
            begun.notified().await;
            truth.store(2, Ordering::Relaxed);
            let look = async |_: Vec<_>| Ok::<_, ()>(HashMap::from([("x", truth.load(Ordering::Relaxed))]));
            let answer = together.ask("x", look).await;
            go.notify_one();
            answer
        };
        assert_eq!(tokio::join!(slow, later), (Ok(1), Ok(2)));
    }

    #[tokio::test]
    async fn who_waits_for_somebody_that_fails_or_leaves_asks_alone() {
        let together = Together::<&str, ()>::new();
        let fails = async |_| Err::<HashMap<_, _>, _>("the first fails");
        let knows = async |_| Ok::<_, &str>(HashMap::from([("x", ())]));

        let turns = together.turns.acquire_many(AT_A_TIME as u32).await.expect("it is open");
        let (leader, follower) = (together.ask("x", fails), together.ask("x", knows));
        let release = async { drop(turns) };
        assert_eq!(tokio::join!(leader, follower, release), (Err("the first fails"), Ok(()), ()));

        let turns = together.turns.acquire_many(AT_A_TIME as u32).await.expect("it is open");
        tokio::select! {
            biased;
            _ = together.ask("x", knows) => panic!("it has no turn"),
            () = std::future::ready(()) => {}
        }
        drop(turns);
        assert_eq!(together.ask("x", knows).await, Ok(()));
    }
}
