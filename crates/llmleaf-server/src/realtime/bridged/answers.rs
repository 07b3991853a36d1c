//! The answer of a session that is made, and those before it of which only that they are over is still to come. Whoever drops one of those
//! has it recorded as one that nobody wanted.

use std::collections::VecDeque;

/// Most answers whose end is waited for. Few services keep a connection open behind their last word.
const MOST_OVER: usize = 4;

/// They hold so many bytes of what they were asked, as long as they run.
pub struct Answers<R> {
    now: Option<(R, usize)>,
    over: VecDeque<(R, usize)>,
}

impl<R> Answers<R> {
    pub fn new() -> Self {
        Self {
            now: None,
            over: VecDeque::new(),
        }
    }

    /// Another one is made. The one before it was told to its end.
    pub fn ask(&mut self, answer: R, bytes: usize) {
        self.told();
        self.now = Some((answer, bytes));
    }

    /// The one that is made.
    pub fn now(&mut self) -> Option<&mut R> {
        self.now.as_mut().map(|(answer, _)| answer)
    }

    /// It was told to its end.
    pub fn told(&mut self) {
        if let Some(answer) = self.now.take() {
            self.over.push_back(answer);
        }
        if self.over.len() > MOST_OVER {
            self.over.pop_front();
        }
    }

    /// It has ended, or is not wanted any more.
    pub fn end(&mut self) {
        self.now = None;
    }

    /// Those that were told go on, as long as they are not over.
    pub fn go_on(&mut self, mut is_over: impl FnMut(&mut R) -> bool) {
        self.over.retain_mut(|(answer, _)| !is_over(answer));
    }

    /// None is wanted any more.
    pub fn clear(&mut self) {
        self.now = None;
        self.over.clear();
    }

    /// What is held of what they were asked.
    pub fn bytes(&self) -> usize {
        let all = self.now.iter().chain(&self.over);
        all.map(|(_, bytes)| bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn an_answer_that_was_told_is_kept_until_it_is_over() {
        let mut answers = Answers::new();
        let [first, second, third] = [1, 2, 3].map(Rc::new);
        let runs = |answer: &Rc<i32>| Rc::strong_count(answer) > 1;
        answers.ask(Rc::clone(&first), 10);
        answers.told();
        // Another one is asked for later, and is not wanted before the first is over.
        answers.ask(Rc::clone(&second), 200);
        assert!(answers.now().is_some_and(|now| **now == 2));
        assert_eq!(answers.bytes(), 210);
        answers.end();
        assert!(runs(&first) && !runs(&second));
        // One behind another that was told, and none was made between.
        answers.ask(Rc::clone(&second), 200);
        answers.ask(Rc::clone(&third), 3000);
        assert!(runs(&first) && runs(&second));
        assert_eq!(answers.bytes(), 3210);
        answers.go_on(|answer| **answer == 1);
        assert!(!runs(&first) && runs(&second) && runs(&third));
        assert_eq!(answers.bytes(), 3200);
        answers.clear();
        assert_eq!(answers.bytes(), 0);
        assert!(!runs(&second) && !runs(&third));
    }

    #[test]
    fn no_more_are_waited_for_than_that() {
        let mut answers = Answers::new();
        (0..9).for_each(|at| answers.ask(at, 1));
        let mut over = Vec::new();
        answers.go_on(|at| {
            over.push(*at);
            false
        });
        assert_eq!(over, [4, 5, 6, 7]);
        assert_eq!(answers.bytes(), 5);
    }
}
