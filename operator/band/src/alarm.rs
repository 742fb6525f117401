//! The state of an alarm that needs M breaches of the N newest values.

use std::collections::VecDeque;

/// State of an alarm, as CloudWatch calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Ok,
    Alarm,
    InsufficientData,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

/// M-of-N alarm: it is raised by M breaches among the N newest values.
#[derive(Debug)]
pub(crate) struct Alarm {
    periods: usize,
    datapoints: usize,
    newest: VecDeque<bool>,
}

impl Alarm {
    pub(crate) fn new(periods: u32, datapoints: u32) -> Self {
        Self { periods: periods as usize, datapoints: datapoints as usize, newest: VecDeque::new() }
    }

    /// Adds a value and returns the new state. None is a value without a band, which doesn't count.
    pub(crate) fn add(&mut self, breach: Option<bool>) -> State {
        if let Some(breach) = breach {
            self.newest.push_back(breach);
            if self.newest.len() > self.periods {
                self.newest.pop_front();
            }
        }
        let breaches = self.newest.iter().filter(|breach| **breach).count();
        if breaches >= self.datapoints {
            State::Alarm
        } else if self.newest.len() < self.periods {
            State::InsufficientData
        } else {
            State::Ok
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m_of_n_raises_the_alarm_and_clears_it() {
        let mut alarm = Alarm::new(3, 2);
        let states: Vec<State> = [None, Some(false), Some(true), Some(true), Some(false), None, Some(false)]
            .into_iter()
            .map(|breach| alarm.add(breach))
            .collect();
        use State::{Alarm as Raised, InsufficientData as Unknown, Ok as Clear};
        assert_eq!(states, [Unknown, Unknown, Unknown, Raised, Raised, Raised, Clear]);
    }
}
